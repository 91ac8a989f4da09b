//! S3's clock, as its answers show it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use jiff::Timestamp;

/// How far S3's clock is ahead of ours, in seconds, from the `Date` of its answers.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerClock(Arc<AtomicI64>);

impl ServerClock {
    pub(super) fn now(&self) -> Timestamp {
        let ahead = self.0.load(Ordering::Relaxed);
        let seconds = Timestamp::now().as_second().saturating_add(ahead);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }
}

impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            let ahead = date.timestamp().as_second().saturating_sub(Timestamp::now().as_second());
            self.0.store(ahead, Ordering::Relaxed);
        }
        Ok(())
    }
}
