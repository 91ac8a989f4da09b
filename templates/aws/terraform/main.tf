# A role with which the platform reads VPC Flow Logs in a bucket, without an access key that never ends. Optionally the bucket
# itself, a queue that announces its objects, and a flow log that delivers to it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  bucket_arn   = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}"
  provider_arn = var.oidc_provider_arn != "" ? var.oidc_provider_arn : aws_iam_openid_connect_provider.platform[0].arn
}

resource "aws_iam_openid_connect_provider" "platform" {
  count          = var.oidc_provider_arn == "" ? 1 : 0
  url            = "https://${var.provider_host}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "platform" {
  name               = var.role_name
  description        = "Reads VPC Flow Logs for the SOC platform"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.provider_host}:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.provider_host}:sub"
      values   = ["community:${var.community_uuid}:modconf:${var.module_configuration_uuid}"]
    }
  }
}

resource "aws_iam_role_policy" "read_flow_logs" {
  name   = "ReadFlowLogs"
  role   = aws_iam_role.platform.id
  policy = data.aws_iam_policy_document.read_flow_logs.json
}

data "aws_iam_policy_document" "read_flow_logs" {
  statement {
    sid       = "FindFlowLogs"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.prefix}*"]
    }
  }

  statement {
    sid       = "ReadFlowLogs"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${var.prefix}*"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == "" ? [] : [var.kms_key_arn]
    content {
      sid       = "DecryptFlowLogs"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = aws_sqs_queue.flow_logs
    content {
      sid = "TakeMessages"
      actions = [
        "sqs:GetQueueUrl",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
      ]
      resources = [statement.value.arn]
    }
  }
}
