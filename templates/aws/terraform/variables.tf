variable "bucket_name" {
  type        = string
  description = "The bucket that the flow logs are delivered to, e.g. acme-flow-logs"
}

variable "prefix" {
  type        = string
  default     = ""
  description = "The prefix that you enter in the platform, e.g. AWSLogs/111122223333/vpcflowlogs/; empty for all of the bucket"
}

variable "community_uuid" {
  type        = string
  description = "The UUID of your community, as the platform shows it"
}

variable "module_configuration_uuid" {
  type        = string
  description = "The UUID of the account's configuration, as the platform shows it"
}

variable "oidc_provider_arn" {
  type        = string
  default     = ""
  description = "The ARN of the platform's identity provider in this account, if it is there; empty to create it"
}

variable "provider_host" {
  type        = string
  default     = "app.sekoia.io/api/v1/symphony/oidc"
  description = "The platform's identity provider, without https://"
}

variable "role_name" {
  type        = string
  default     = "SekoiaIOConnectorRole"
  description = "The name of the role"
}

variable "kms_key_arn" {
  type        = string
  default     = ""
  description = "The ARN of the KMS key that encrypts the objects; empty if none of yours does. The key's own policy must let IAM policies of its account count"
}

variable "create_bucket" {
  type        = bool
  default     = false
  description = "Whether to create the bucket"
}

variable "expire_days" {
  type        = number
  default     = 30
  description = "After how many days a bucket that this module creates removes objects"
}

variable "vpc_id" {
  type        = string
  default     = ""
  description = "The VPC to create a flow log for, which delivers to the bucket, e.g. vpc-0123456789abcdef0; empty to create none"
}

variable "create_queue" {
  type        = bool
  default     = false
  description = "Whether to create a queue that announces new objects, with a queue for dead letters. A bucket that this module creates sends to it; in one that is there, add the notification by hand, for all object create events"
}

variable "queue_name" {
  type        = string
  default     = "sekoia-flow-logs"
  description = "The name of that queue; that of the dead letters ends in -dead-letters"
}
