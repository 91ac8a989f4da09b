//! A queue of SQS: messages taken, kept for longer, given back and deleted.
//!
//! Source: Amazon SQS's API reference, for limits and errors.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::aws::role::{RoleError, Session};
use crate::aws::{self, Aws};
use crate::config::queue::QueueName;
use crate::http::{no_answer, quoted};

/// Messages that a call takes, keeps, gives back or deletes at most.
pub const AT_ONCE: usize = MOST as usize;
const MOST: u8 = 10;
/// How long SQS waits for a message before it says that there is none; the longest that it takes.
const WAIT: Duration = Duration::from_secs(20);
/// Time for an attempt, the wait included.
const ATTEMPT: Duration = Duration::from_secs(30);

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same at each receipt.
    pub id: String,
    /// What it is kept, given back and deleted by; another one at each receipt.
    pub handle: String,
    /// What it says.
    pub body: String,
    /// How often it was received, this time included, as far as SQS knows.
    pub receives: u32,
}

/// What SQS says of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that somebody has taken.
    pub in_flight: u64,
    /// Where messages go that were received too often; `None` if nowhere.
    pub dead_letters: Option<String>,
    /// The queue's own ARN.
    pub arn: Option<String>,
    /// Who may do what with it.
    pub policy: serde_json::Value,
}

/// What a call to SQS came to, some time.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, SqsError>>;

/// A queue.
pub trait Mailbox: std::fmt::Debug + Send + Sync {
    /// Takes up to [`AT_ONCE`] messages, which nobody else gets for `visibility`; waits 20 s for the first at most.
    fn receive(&self, visibility: Duration) -> Answer<'_, Vec<Message>>;

    /// Keeps messages for `visibility` from now on, or gives them back at once where that is zero. Gives the handles that are
    /// of no use any more: somebody else has got those messages.
    fn keep<'a>(&'a self, handles: &'a [String], visibility: Duration) -> Answer<'a, Vec<String>>;

    /// Deletes messages. Gives the handles of those that SQS did not delete.
    fn delete<'a>(&'a self, handles: &'a [String]) -> Answer<'a, Vec<String>>;

    /// How much is in it.
    fn depth(&self) -> Answer<'_, Depth>;
}

/// A call to SQS that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} {queue}: {detail}; {}", .failure.advice())]
pub struct SqsError {
    call: &'static str,
    queue: String,
    detail: String,
    failure: SqsFailure,
}

/// Why a call failed, and with that what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqsFailure {
    /// There is no such queue.
    NoQueue,
    /// The policies do not allow the call, which needs this right.
    Denied(&'static str),
    /// The queue's KMS key may not be used.
    Kms,
    /// The key or the role is wrong; what to do.
    Login(&'static str),
    /// What is asked is not possible for this queue.
    Refused,
    /// It may pass.
    Passing,
}

impl SqsError {
    /// A call to `queue` that came to `detail`.
    pub fn new(call: &'static str, queue: &str, detail: String, failure: SqsFailure) -> Self {
        Self { call, queue: queue.to_owned(), detail, failure }
    }

    /// Why it failed.
    pub fn failure(&self) -> SqsFailure {
        self.failure
    }
}

impl SqsFailure {
    /// What to do.
    pub fn advice(self) -> String {
        let advice = match self {
            Self::Denied(right) => {
                return format!(
                    "allow {right} on the queue to the account's user or role, and in another account in the queue's policy too"
                );
            }
            Self::NoQueue => {
                "check the queue's name and the account's region; a queue of another account or region is entered as its URL or ARN"
            }
            Self::Kms => "allow kms:Decrypt on the queue's KMS key to the account's user or role",
            Self::Login(advice) => advice,
            Self::Refused => "see that it is a standard queue",
            Self::Passing => "it is tried again",
        };
        advice.to_owned()
    }
}

/// SQS as a [`Mailbox`].
#[derive(Debug)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    url: String,
    shown: Arc<str>,
    /// Where the credentials are a role's.
    session: Option<Arc<Session>>,
}

impl Sqs {
    /// Finds the queue that `name` means.
    pub async fn find(aws: &Aws, name: &QueueName) -> Result<Self, SqsError> {
        let config = aws.sqs(name.region.as_deref()).timeout_config(aws::time_limits(Some(ATTEMPT), None));
        let client = aws_sdk_sqs::Client::from_conf(config.build());
        let (url, session) = (name.url.clone().unwrap_or_default(), aws.session().cloned());
        let mut queue = Self { client, url, shown: name.to_string().into(), session };
        if queue.url.is_empty() {
            let (asked, since) = (queue.client.get_queue_url().queue_name(&name.name), Instant::now());
            let asked = asked.set_queue_owner_aws_account_id(name.account.clone()).send().await;
            let found = asked.map_err(|error| queue.failed("find", "sqs:GetQueueUrl", since, &error))?;
            queue.url = found.queue_url.unwrap_or_default();
        }
        Ok(queue)
    }

    /// Puts a failed call into words; `right` is what it needs. Credentials that have ended are given up: the next attempt gets
    /// new ones.
    fn failed<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        call: &'static str,
        right: &'static str,
        since: Instant,
        error: &SdkError<E>,
    ) -> SqsError {
        if let Some(session) = &self.session
            && error.code().is_some_and(|code| code.contains("ExpiredToken"))
        {
            session.give_up(since);
        }
        of_sdk(call, &self.shown, right, error)
    }

    /// What the SDK refuses without a call.
    fn odd(&self, call: &'static str, error: &dyn std::error::Error) -> SqsError {
        SqsError::new(call, &self.shown, error.to_string(), SqsFailure::Refused)
    }
}

impl Mailbox for Sqs {
    fn receive(&self, visibility: Duration) -> Answer<'_, Vec<Message>> {
        let received = async move {
            let since = Instant::now();
            let received = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(MOST.into())
                .wait_time_seconds(seconds(WAIT))
                .visibility_timeout(seconds(visibility))
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
                .send()
                .await
                .map_err(|error| self.failed("receive from", "sqs:ReceiveMessage", since, &error))?;
            Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
        };
        received.boxed()
    }

    fn keep<'a>(&'a self, handles: &'a [String], visibility: Duration) -> Answer<'a, Vec<String>> {
        let kept = async move {
            let since = Instant::now();
            let entries = handles.iter().enumerate().map(|(id, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(id.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(seconds(visibility))
                    .build()
            });
            let entries =
                entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.odd("keep in", &error))?;
            let kept = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| self.failed("keep in", "sqs:ChangeMessageVisibility", since, &error))?;
            let lost = kept.failed.into_iter().filter(|failed| failed.sender_fault);
            Ok(lost.filter_map(|failed| of_id(handles, &failed.id)).collect())
        };
        kept.boxed()
    }

    fn delete<'a>(&'a self, handles: &'a [String]) -> Answer<'a, Vec<String>> {
        let deleted = async move {
            let since = Instant::now();
            let entries = handles.iter().enumerate().map(|(id, handle)| {
                DeleteMessageBatchRequestEntry::builder().id(id.to_string()).receipt_handle(handle).build()
            });
            let entries =
                entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.odd("delete from", &error))?;
            let deleted = self
                .client
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| self.failed("delete from", "sqs:DeleteMessage", since, &error))?;
            Ok(deleted.failed.into_iter().filter_map(|failed| of_id(handles, &failed.id)).collect())
        };
        deleted.boxed()
    }

    fn depth(&self) -> Answer<'_, Depth> {
        let asked = async move {
            use QueueAttributeName::{
                ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible, Policy, QueueArn,
                RedrivePolicy,
            };
            let since = Instant::now();
            let asked = self
                .client
                .get_queue_attributes()
                .queue_url(&self.url)
                .attribute_names(ApproximateNumberOfMessages)
                .attribute_names(ApproximateNumberOfMessagesNotVisible)
                .attribute_names(RedrivePolicy)
                .attribute_names(QueueArn)
                .attribute_names(Policy)
                .send()
                .await
                .map_err(|error| self.failed("look at", "sqs:GetQueueAttributes", since, &error))?;
            let attributes = asked.attributes.unwrap_or_default();
            let number = |name: &QueueAttributeName| {
                attributes.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
            };
            let json = |name| {
                let text: Option<&String> = attributes.get(name);
                text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(serde_json::Value::Null)
            };
            let arn_in = |json: &serde_json::Value, name| json.get(name)?.as_str().map(str::to_owned);
            Ok(Depth {
                waiting: number(&ApproximateNumberOfMessages),
                in_flight: number(&ApproximateNumberOfMessagesNotVisible),
                dead_letters: arn_in(&json(&RedrivePolicy), "deadLetterTargetArn"),
                arn: attributes.get(&QueueArn).cloned(),
                policy: json(&Policy),
            })
        };
        asked.boxed()
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// The handle of an entry of a batch.
fn of_id(handles: &[String], id: &str) -> Option<String> {
    handles.get(id.parse::<usize>().ok()?).cloned()
}

fn message(received: aws_sdk_sqs::types::Message) -> Option<Message> {
    let attributes = received.attributes.unwrap_or_default();
    let receives = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    Some(Message {
        id: received.message_id?,
        handle: received.receipt_handle?,
        body: received.body.unwrap_or_default(),
        receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
    })
}

/// Puts a failed call into words; `right` is what it needs.
fn of_sdk<E: ProvideErrorMetadata + std::error::Error + 'static>(
    call: &'static str,
    queue: &str,
    right: &'static str,
    error: &SdkError<E>,
) -> SqsError {
    let new = |detail: String, failure| SqsError::new(call, queue, detail, failure);
    if let Some(role) = RoleError::in_chain(error) {
        return new(role.to_string(), SqsFailure::Login(role.advice()));
    }
    match (error.code(), error.raw_response()) {
        (Some(code), _) => {
            let message = quoted(error.message().unwrap_or_default().as_bytes());
            new(format!("{code}: {message}"), failure(code, right))
        }
        (None, Some(answer)) => {
            let body = quoted(answer.body().bytes().unwrap_or_default());
            let detail =
                format!("something else than SQS answers: HTTP {}, {body}", answer.status().as_u16());
            new(detail, SqsFailure::Passing)
        }
        (None, None) => new(no_answer(error), SqsFailure::Passing),
    }
}

fn failure(code: &str, right: &'static str) -> SqsFailure {
    let code = code.rsplit(['#', '.']).next().unwrap_or(code);
    match code {
        "QueueDoesNotExist" | "NonExistentQueue" | "InvalidAddress" => SqsFailure::NoQueue,
        "AccessDenied" | "AccessDeniedException" => SqsFailure::Denied(right),
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            SqsFailure::Login("check the access key ID of the account: it does not exist or is disabled")
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" => SqsFailure::Login(
            "check the secret access key of the account: it does not belong to the access key ID",
        ),
        "UnsupportedOperation" | "InvalidAttributeValue" | "InvalidParameterValue" => SqsFailure::Refused,
        code if code.starts_with("Kms") => SqsFailure::Kms,
        _ => SqsFailure::Passing,
    }
}
