# The queue that announces new objects, and the one for dead letters.

resource "aws_sqs_queue" "flow_logs" {
  count = var.create_queue ? 1 : 0
  name  = var.queue_name
  # 14 days, the longest that SQS keeps a message.
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = 300
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn
    maxReceiveCount     = 10
  })
}

resource "aws_sqs_queue" "dead_letters" {
  count                     = var.create_queue ? 1 : 0
  name                      = "${var.queue_name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "flow_logs" {
  count     = var.create_queue ? 1 : 0
  queue_url = aws_sqs_queue.flow_logs[0].id
  policy    = data.aws_iam_policy_document.announce[0].json
}

data "aws_iam_policy_document" "announce" {
  count = var.create_queue ? 1 : 0
  statement {
    sid       = "AnnounceObjects"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.flow_logs[0].arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [local.bucket_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

# A bucket has one configuration of notifications: that of a bucket which is there is left as it is.
resource "aws_s3_bucket_notification" "flow_logs" {
  count  = var.create_bucket && var.create_queue ? 1 : 0
  bucket = aws_s3_bucket.flow_logs[0].id
  queue {
    queue_arn = aws_sqs_queue.flow_logs[0].arn
    events    = ["s3:ObjectCreated:*"]
  }
  # S3 asks the queue whether it may send to it.
  depends_on = [aws_sqs_queue_policy.flow_logs]
}
