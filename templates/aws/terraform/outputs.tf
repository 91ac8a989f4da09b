# They are named as the properties of the platform's forms that they belong into.

data "aws_region" "current" {}

output "aws_role_arn" {
  description = "In the account's configuration"
  value       = aws_iam_role.platform.arn
}

output "aws_region_name" {
  description = "In the account's configuration, if the bucket is in the region of this module's provider"
  value       = data.aws_region.current.name
}

output "bucket_name" {
  description = "In the connector or the trigger"
  value       = var.bucket_name
}

output "queue_name" {
  description = "In the connector or the trigger, where there is a queue"
  value       = one(aws_sqs_queue.flow_logs[*].name)
}
