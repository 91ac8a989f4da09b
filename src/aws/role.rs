//! The temporary credentials of a role: fetched, kept, and renewed before they end.
//!
//! While they are renewed, those that are held go on being used: work does not wait, unless there are none that are good.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_sts::config::SharedCredentialsProvider;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::config::{Login, ModuleConfiguration};
use crate::http::{no_answer, quoted};
use crate::platform::callback::CallbackError;
use crate::platform::identity::Identity;

/// What the session is called in the customer's CloudTrail; the platform's own module calls it so, and a trust policy may
/// ask for it.
const NAME: &str = "sekoia-automation-session";
/// Credentials are renewed when so much of their life is left, or a quarter of a shorter one.
const LEAD: Duration = Duration::from_secs(300);
/// The time to the next attempt where credentials could not be renewed and those that are held are still good.
const AGAIN: Duration = Duration::from_secs(30);
/// How long STS lets credentials live where it is not asked for another time; those that a role's credentials were used for
/// never live longer.
const LIFE: Duration = Duration::from_secs(3_600);
/// The shortest life that STS gives. It is assumed where the clock of this machine is so wrong that they seem to have ended.
const SHORTEST_LIFE: Duration = Duration::from_secs(900);

/// From who we are to the role that reads the bucket.
#[derive(Clone, Debug)]
pub struct Chain {
    first: First,
    second: Option<Second>,
}

#[derive(Clone, Debug)]
enum First {
    /// The account's key, which assumes the second role.
    Key(Credentials),
    /// Who the platform says we are, if there is one, and the role that this may assume.
    Identity { identity: Option<Box<Identity>>, role: String },
}

/// A role that is assumed with the credentials of the first.
#[derive(Clone, Debug)]
struct Second {
    role: String,
    external_id: Option<String>,
}

/// Why a role's credentials could not be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RoleError {
    /// Without a platform, nobody says who we are.
    #[error(
        "the role {role} cannot be assumed without the platform, which issues the token that AWS asks for"
    )]
    NoPlatform {
        /// Its ARN.
        role: String,
    },
    /// The platform gave no token.
    #[error("the platform gave no token to assume the role {role} with: {reason}")]
    NoToken {
        /// Its ARN.
        role: String,
        /// What came of the call.
        reason: String,
    },
    /// STS refused.
    #[error("AWS does not let this module assume the role {role} ({code}: {message})")]
    Refused {
        /// Its ARN.
        role: String,
        /// What STS called it.
        code: String,
        /// What STS said.
        message: String,
        /// What to do.
        advice: &'static str,
    },
    /// STS could not be reached, or something else answered.
    #[error("the role {role} could not be assumed: {reason}")]
    NoAnswer {
        /// Its ARN.
        role: String,
        /// What broke.
        reason: String,
    },
}

impl RoleError {
    /// Finds it among the causes of an error of a client.
    pub fn in_chain<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// What to do, in half a sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoPlatform { .. } => {
                "run it with the `token` and the `url_callback` of a trigger or connector"
            }
            Self::NoToken { .. } => {
                "it is tried again; if it stays, ask the platform's support whether it issues tokens for this module, or enter an access key in place of the role"
            }
            Self::Refused { advice, .. } => advice,
            Self::NoAnswer { .. } => {
                "it is tried again; if it stays, see that this machine reaches STS in the account's region, and that the region exists; a proxy goes into HTTPS_PROXY"
            }
        }
    }
}

impl Chain {
    /// What `account` asks for; `None` where its key is used as it is.
    pub fn of(
        account: &ModuleConfiguration,
        key: Option<Credentials>,
        identity: Option<Identity>,
    ) -> Option<Self> {
        let second = account.second_role().map(|role| Second {
            role: role.to_owned(),
            external_id: account.external_id().map(str::to_owned),
        });
        let first = match (account.login(), key) {
            (Login::Role(role), _) => {
                First::Identity { identity: identity.map(Box::new), role: role.to_owned() }
            }
            (_, Some(key)) if second.is_some() => First::Key(key),
            _ => return None,
        };
        Some(Self { first, second })
    }
}

/// The credentials of a role for as long as they are needed.
#[derive(Debug)]
pub struct Session {
    chain: Chain,
    sts: aws_sdk_sts::Client,
    held: Mutex<Option<Held>>,
    /// Held by who renews.
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Held {
    credentials: Credentials,
    since: Instant,
    /// When they are to be renewed.
    due: Instant,
    ends: Instant,
}

impl Session {
    /// Credentials by `chain`; `sts` is a client without any.
    pub fn new(chain: Chain, sts: aws_sdk_sts::Client) -> Self {
        Self { chain, sts, held: Mutex::default(), renewal: tokio::sync::Mutex::default() }
    }

    /// What gives them to a client.
    pub fn provider(self: &Arc<Self>) -> Provider {
        Provider(Arc::clone(self))
    }

    /// When those that are held end; `None` if there are none.
    pub fn end(&self) -> Option<SystemTime> {
        self.held().as_ref().and_then(|held| held.credentials.expiry())
    }

    /// Those that are held are of no use, AWS says. Those that came after `since`, when it was asked, are kept.
    pub fn give_up(&self, since: Instant) {
        let mut held = self.held();
        if held.as_ref().is_some_and(|held| held.since <= since) {
            *held = None;
        }
    }

    async fn credentials(self: Arc<Self>) -> Result<Credentials, RoleError> {
        let (held, now) = (self.held().clone(), Instant::now());
        match held {
            Some(held) if now < held.due => Ok(held.credentials),
            Some(held) if now < held.ends => {
                let session = Arc::clone(&self);
                tokio::spawn(async move { session.renew_early().await });
                Ok(held.credentials)
            }
            _ => {
                let _alone = self.renewal.lock().await;
                let renewed = self.held().clone().filter(|held| Instant::now() < held.due);
                match renewed {
                    Some(held) => Ok(held.credentials),
                    None => self.renew().await,
                }
            }
        }
    }

    /// Renews credentials that are still good, unless somebody does.
    async fn renew_early(&self) {
        let Ok(_alone) = self.renewal.try_lock() else { return };
        if let Err(error) = self.renew().await {
            if let Some(held) = self.held().as_mut() {
                held.due = Instant::now() + AGAIN;
            }
            let advice = error.advice();
            tracing::warn!(%error, advice, "could not renew the credentials of the role, those that are held are still good; it is tried again");
        }
    }

    async fn renew(&self) -> Result<Credentials, RoleError> {
        let since = Instant::now();
        let credentials = self.chain.assume(&self.sts).await?;
        let left = credentials.expiry().and_then(|end| end.duration_since(SystemTime::now()).ok());
        let life = left.filter(|left| !left.is_zero()).unwrap_or(SHORTEST_LIFE).min(LIFE);
        let ends = since + life;
        *self.held() =
            Some(Held { credentials: credentials.clone(), since, due: ends - LEAD.min(life / 4), ends });
        Ok(credentials)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chain {
    /// Assumes the role, or the one and then the other.
    async fn assume(&self, sts: &aws_sdk_sts::Client) -> Result<Credentials, RoleError> {
        let first = match &self.first {
            First::Key(key) => key.clone(),
            First::Identity { identity, role } => by_identity(identity.as_deref(), role, sts).await?,
        };
        match &self.second {
            Some(second) => second.assume(first, sts).await,
            None => Ok(first),
        }
    }
}

/// Assumes the first role with the platform's token.
async fn by_identity(
    identity: Option<&Identity>,
    role: &str,
    sts: &aws_sdk_sts::Client,
) -> Result<Credentials, RoleError> {
    let identity = identity.ok_or_else(|| RoleError::NoPlatform { role: role.to_owned() })?;
    let no_token =
        |error: CallbackError| RoleError::NoToken { role: role.to_owned(), reason: error.to_string() };
    let token = identity.token().await.map_err(no_token)?;
    let assumed = sts
        .assume_role_with_web_identity()
        .role_arn(role)
        .role_session_name(NAME)
        .web_identity_token(token.expose_secret())
        .send()
        .await
        .map_err(|error| refused(role, &error, by_identity_advice))?;
    given(role, assumed.credentials)
}

impl Second {
    async fn assume(&self, first: Credentials, sts: &aws_sdk_sts::Client) -> Result<Credentials, RoleError> {
        let signer =
            aws_sdk_sts::Config::builder().credentials_provider(SharedCredentialsProvider::new(first));
        let assumed = sts
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(NAME)
            .set_external_id(self.external_id.clone())
            .customize()
            .config_override(signer)
            .send()
            .await
            .map_err(|error| refused(&self.role, &error, by_role_advice))?;
        given(&self.role, assumed.credentials)
    }
}

fn given(role: &str, credentials: Option<aws_sdk_sts::types::Credentials>) -> Result<Credentials, RoleError> {
    let Some(given) = credentials else {
        let reason = "the answer of STS has no credentials".to_owned();
        return Err(RoleError::NoAnswer { role: role.to_owned(), reason });
    };
    let end = SystemTime::try_from(given.expiration).ok();
    let token = Some(given.session_token);
    Ok(Credentials::new(given.access_key_id, given.secret_access_key, token, end, "role"))
}

/// Puts a refusal of STS into words.
fn refused<E: ProvideErrorMetadata + std::error::Error + 'static>(
    role: &str,
    error: &SdkError<E>,
    advice: fn(&str, &str) -> &'static str,
) -> RoleError {
    let role = role.to_owned();
    let answer = error.raw_response();
    match (error.code(), answer) {
        (Some(code), Some(_)) => {
            let message = error.message().unwrap_or_default();
            let advice = advice(code, message);
            RoleError::Refused { role, code: code.to_owned(), message: quoted(message.as_bytes()), advice }
        }
        (_, Some(answer)) => {
            let body = quoted(answer.body().bytes().unwrap_or_default());
            let reason =
                format!("something else than STS answers: HTTP {}, {body}", answer.status().as_u16());
            RoleError::NoAnswer { role, reason }
        }
        (_, None) => RoleError::NoAnswer { role, reason: no_answer(error) },
    }
}

/// What to do where the platform's token is not enough.
fn by_identity_advice(code: &str, message: &str) -> &'static str {
    match code {
        "InvalidIdentityToken" if message.contains("No OpenIDConnect provider") => {
            "create the identity provider in IAM of the account that the role is in: its URL is the one in this message, its audience is sts.amazonaws.com"
        }
        "InvalidIdentityToken" if message.contains("audience") => {
            "add the audience sts.amazonaws.com to the identity provider in IAM of the account that the role is in"
        }
        "InvalidIdentityToken" | "IDPRejectedClaim" | "ExpiredTokenException" | "ExpiredToken" => {
            "it is tried again with a new token; if it stays, compare the identity provider in IAM with the platform's guide"
        }
        "AccessDenied" => {
            "correct the role's trust policy: it must name the platform's identity provider, allow sts:AssumeRoleWithWebIdentity, and its conditions must have the audience sts.amazonaws.com and, as the subject, community:<community UUID>:modconf:<UUID of this account's configuration>"
        }
        _ => common_advice(code),
    }
}

/// What to do where the first credentials are not enough for the second role.
fn by_role_advice(code: &str, _message: &str) -> &'static str {
    match code {
        "AccessDenied" => {
            "in the account that the role is in, its trust policy must name who assumes it, and the external ID if it asks for one, exactly as in `aws_external_id`; on this side, sts:AssumeRole on the role must be allowed"
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "check the access key ID of the account: it does not exist or is disabled"
        }
        "SignatureDoesNotMatch" => {
            "check the secret access key of the account, and the clock of the machine that runs this container"
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            "it is tried again with new credentials of the first role"
        }
        _ => common_advice(code),
    }
}

fn common_advice(code: &str) -> &'static str {
    match code {
        "ValidationError" => "check the role's ARN and the external ID: AWS takes them for no such thing",
        "RegionDisabledException" => {
            "activate STS in the account's region, in IAM of the account that the role is in"
        }
        "RequestExpired" | "RequestTimeTooSkewed" => "set the clock of the machine that runs this container",
        _ => "it is tried again",
    }
}

/// Gives a session's credentials to a client.
#[derive(Debug)]
pub struct Provider(Arc<Session>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let session = Arc::clone(&self.0);
        future::ProvideCredentials::new(async move {
            session.credentials().await.map_err(CredentialsError::provider_error)
        })
    }
}
