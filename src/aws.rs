//! What the clients of AWS's services have in common.
//!
//! They know the module configuration and nothing else. The environment's keys, profile, region and metadata service
//! belong to the platform, so their configuration is built here by hand and not by the SDK's default chain. Only an
//! endpoint may come from the environment.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{RetryConfig, SharedCredentialsProvider, TimeoutConfig};
use secrecy::ExposeSecret as _;

use crate::config::ModuleConfiguration;
use crate::platform::values::{ValueError, Values};

/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// What every client is built from: the account's region and key, and how a call is tried again.
pub fn sdk_config(account: &ModuleConfiguration) -> SdkConfig {
    let secret = account.aws_secret_access_key.expose_secret().trim();
    let key = Credentials::new(account.aws_access_key.trim(), secret, None, None, "module configuration");
    SdkConfig::builder()
        .region(Region::new(account.aws_region_name.trim().to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(key))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .build()
}

/// The time that a call gets, in one attempt and with all of them; `None` sets no limit.
pub fn time_limits(attempt: Option<Duration>, call: Option<Duration>) -> TimeoutConfig {
    let mut limits = TimeoutConfig::builder().connect_timeout(CONNECT);
    limits.set_operation_attempt_timeout(attempt).set_operation_timeout(call);
    limits.build()
}

/// The server that stands in for a service of AWS, e.g. `s3`, if one is configured.
pub fn endpoint(values: &Values, service: &str) -> Result<Option<String>, ValueError> {
    let of_service = values.text(&format!("aws_endpoint_url_{service}"))?;
    let endpoint = of_service.or(values.text("aws_endpoint_url")?);
    Ok(endpoint.map(|endpoint| endpoint.trim().to_owned()))
}
