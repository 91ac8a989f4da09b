//! What can be known wrong with a configuration before the first poll: it is said once, and not tried without end.

use crate::aws::Aws;
use crate::config::{ConfigError, ModuleConfiguration, TRIGGER, TriggerConfiguration};
use crate::context::Context;
use crate::s3::{Bucket, ListRequest, S3Failure};
use crate::shutdown::Stopped;
use crate::source::listing::origin::until_listed;

/// The bucket of `configuration`, or what is known to be wrong.
///
/// A prefix that has the form of a mistake is refused only if nothing lies below it: S3 takes any text for a key, so that
/// what looks like a mistake may be right.
pub async fn open(
    account: &ModuleConfiguration,
    configuration: &TriggerConfiguration,
    aws: &Aws,
    context: &Context,
) -> Result<Result<Bucket, ConfigError>, Stopped> {
    if let Err(error) = account.check(aws.has_other_s3()) {
        return Ok(Err(error));
    }
    let bucket = Bucket::new(aws, configuration, context.metrics.clone());
    if let Err(error) = bucket.check().await
        && *error.failure() == S3Failure::Unsendable
    {
        let problem = format!(
            "AWS cannot be asked for property `bucket_name` in the region of the account: {}",
            error.detail()
        );
        return Ok(Err(ConfigError::new(TRIGGER, problem)));
    }
    let Some(mistake) = configuration.mistake() else { return Ok(Ok(bucket)) };
    let look = async || {
        let request = ListRequest { prefix: &configuration.prefix, ..ListRequest::default() };
        match bucket.list(request).await {
            Ok(page) => Ok(page.objects.is_empty() && page.next.is_none()),
            // A policy for the right prefix does not allow to list the wrong one.
            Err(error) if *error.failure() == S3Failure::Denied => Ok(true),
            Err(error) => Err(error),
        }
    };
    let is_empty = until_listed(context, look).await?;
    Ok(if is_empty { Err(mistake) } else { Ok(bucket) })
}
