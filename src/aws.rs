//! The way into AWS: what the clients of its services have in common.
//!
//! They know the module configuration and nothing else. The environment's keys, profile, role, web identity and metadata
//! service belong to the platform, so their configuration is built here by hand and not by the SDK's default chain. Only
//! an endpoint may come from the environment.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_sts::config::{BehaviorVersion, IdentityCache};
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{RetryConfig, SharedCredentialsProvider, TimeoutConfig};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;

use crate::aws::role::{Chain, Session};
use crate::config::{Login, ModuleConfiguration};
use crate::http::shown;
use crate::platform::identity::Identity;
use crate::platform::values::{ValueError, Values};

pub mod role;

/// Time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for a call to STS, attempts and waits included: somebody may wait for the answer in a form.
pub const STS_CALL: Duration = Duration::from_secs(20);

/// The way into AWS of an account. Clones share it.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    sts_endpoint: Option<String>,
    s3_endpoint: Option<String>,
    sqs_endpoint: Option<String>,
    session: Option<Arc<Session>>,
}

impl Aws {
    /// The way of `account`. To assume a role as who the platform says we are takes its `identity`.
    pub fn new(
        account: &ModuleConfiguration,
        values: &Values,
        identity: Option<Identity>,
    ) -> Result<Self, ValueError> {
        let (s3_endpoint, sts_endpoint) = (endpoint(values, "s3")?, endpoint(values, "sts")?);
        let sqs_endpoint = endpoint(values, "sqs")?;
        let config = SdkConfig::builder()
            .region(Region::new(account.aws_region_name.trim().to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build();
        let mut aws = Self { config, sts_endpoint, s3_endpoint, sqs_endpoint, session: None };
        let key = match account.login() {
            Login::Key { id, secret } => {
                Some(Credentials::new(id, secret.expose_secret().trim(), None, None, "module configuration"))
            }
            Login::Role(_) | Login::Nothing => None,
        };
        aws.session = Chain::of(account, key.clone(), identity)
            .map(|chain| Arc::new(Session::new(chain, aws_sdk_sts::Client::from_conf(aws.sts().build()))));
        let mut config = aws.config.clone().into_builder();
        if let Some(session) = &aws.session {
            // It keeps the credentials itself, and renews them before they end.
            config = config
                .identity_cache(IdentityCache::no_cache())
                .credentials_provider(SharedCredentialsProvider::new(session.provider()));
        } else {
            config.set_credentials_provider(key.map(SharedCredentialsProvider::new));
        }
        aws.config = config.build();
        Ok(aws)
    }

    /// What a client of S3 is built from.
    pub fn s3(&self) -> aws_sdk_s3::config::Builder {
        let config =
            aws_sdk_s3::config::Builder::from(&self.config).behavior_version(BehaviorVersion::latest());
        match &self.s3_endpoint {
            // Stores that stand in for S3 seldom have a host name for each bucket.
            Some(endpoint) => config.endpoint_url(endpoint).force_path_style(true),
            None => config,
        }
    }

    /// What a client of STS is built from.
    pub fn sts(&self) -> aws_sdk_sts::config::Builder {
        let mut config = aws_sdk_sts::config::Builder::from(&self.config)
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(time_limits(None, Some(STS_CALL)));
        config.set_endpoint_url(self.sts_endpoint.clone());
        config
    }

    /// What a client of SQS is built from, in a region or that of the account.
    pub fn sqs(&self, region: Option<&str>) -> aws_sdk_sqs::config::Builder {
        let mut config = aws_sdk_sqs::config::Builder::from(&self.config);
        if let Some(region) = region {
            config.set_region(Some(Region::new(region.to_owned())));
        }
        config.set_endpoint_url(self.sqs_endpoint.clone());
        config.behavior_version(BehaviorVersion::latest())
    }

    /// The host or URL of STS, as it may be shown.
    pub fn sts_shown(&self) -> String {
        if let Some(endpoint) = &self.sts_endpoint {
            return shown::text(endpoint);
        }
        let region = Params::builder().region(self.region()).build().ok();
        let resolved =
            region.and_then(|region| DefaultResolver::new().resolve_endpoint(&region).now_or_never());
        match resolved {
            Some(Ok(endpoint)) => endpoint.url().trim_start_matches("https://").to_owned(),
            _ => format!("STS in {}", self.region()),
        }
    }

    /// Whether a server stands in for S3.
    pub fn has_other_s3(&self) -> bool {
        self.s3_endpoint.is_some()
    }

    /// Whether a server stands in for STS.
    pub fn has_other_sts(&self) -> bool {
        self.sts_endpoint.is_some()
    }

    /// The account's region.
    pub fn region(&self) -> &str {
        self.config.region().map(Region::as_ref).unwrap_or_default()
    }

    /// The role's session; `None` where the account's key is used as it is.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }
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
