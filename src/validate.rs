//! `validate_module_configuration`: proves the account with a call that every user may make.
//!
//! `sts:GetCallerIdentity` needs no permission, so that whatever it is refused for lies in the key, the secret or the
//! region.

use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use jiff::Timestamp;
use serde_json::json;

use crate::aws::role::RoleError;
use crate::aws::{Aws, STS_CALL};
use crate::config::{ConfigError, ModuleConfiguration};
use crate::http::{no_answer, quoted};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::identity::Identity;
use crate::platform::logs::LogQueue;
use crate::platform::rope::Rope;
use crate::platform::values::{ValueError, Values};
use crate::shutdown::{Shutdown, Stopped};

/// What is wrong with the account, in words for the one who entered it.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The platform did not hand the secrets over.
    #[error(transparent)]
    Platform(CallbackError),
    /// The shutdown signal came first.
    #[error("stopped by the platform before the account was checked")]
    Stopped(#[from] Stopped),
    /// A value is missing or malformed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The module configuration is incomplete or of the wrong form.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The role cannot be assumed.
    #[error("{error}; {}", error.advice())]
    Role {
        /// Why.
        error: RoleError,
    },
    /// The key is one half of temporary credentials.
    #[error(
        "the access key in `aws_access_key` belongs to temporary credentials, which end ({code}); create an access key of an IAM user, which begins with AKIA"
    )]
    TemporaryKey {
        /// What STS called it.
        code: String,
    },
    /// STS does not know the key.
    #[error(
        "AWS does not know the access key ID in `aws_access_key` ({code}): check that it is copied whole, that the key exists and is active, and, if {region} is a region that has to be enabled, that the account has enabled it"
    )]
    UnknownKey {
        /// What STS called it.
        code: String,
        /// The region that was asked.
        region: String,
    },
    /// The secret is not that of the key.
    #[error(
        "the secret in `aws_secret_access_key` does not belong to the access key ID in `aws_access_key` ({code}): enter both again, from the same access key"
    )]
    WrongSecret {
        /// What STS called it.
        code: String,
    },
    /// The signature is too old or of the future.
    #[error(
        "AWS refused the time of the request ({code}): the clock of the machine that runs this module is wrong; the account was not checked"
    )]
    Clock {
        /// What STS called it.
        code: String,
    },
    /// A policy of the organisation, or something else that STS says no to.
    #[error("AWS refused to check the account: {code}: {message}")]
    Refused {
        /// What STS called it.
        code: String,
        /// What STS said.
        message: String,
    },
    /// STS could not be reached.
    #[error(
        "cannot reach AWS at {endpoint}: {reason}; check that `aws_region_name` ({region}) is an existing region, and that the network lets this module reach it"
    )]
    Unreachable {
        /// Host, or the URL that was configured.
        endpoint: String,
        /// What broke.
        reason: String,
        /// The region that was asked.
        region: String,
    },
    /// What came back makes no sense.
    #[error("{endpoint} gave an answer that is not one of AWS: {reason}")]
    Senseless {
        /// Host, or the URL that was configured.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Runs the validation from the first report to the last. What is wrong with the account is told to the platform; only
/// what cannot be told is an error here.
pub async fn run(values: &Values, _logs: &LogQueue, shutdown: &Shutdown) -> Result<(), CallbackError> {
    let callback = Callback::from_values(values)?;
    let checked = check(&callback, values, shutdown).await;
    let results = json!({"success": checked.is_ok()});
    let report = match checked {
        Ok(Identified { account, arn, .. }) => {
            tracing::info!(account, arn, "the account works");
            json!({"status": "finished", "results": results})
        }
        Err(error) => {
            tracing::error!("{error}");
            json!({"status": "finished", "results": results, "error": error.to_string()})
        }
    };
    callback.report_end(&Rope::from(&report), shutdown).await
}

/// Who AWS takes us for.
#[derive(Debug, PartialEq, Eq)]
pub struct Identified {
    /// Twelve digits.
    pub account: String,
    /// The ARN of the user, or of the session of the role.
    pub arn: String,
    /// When the credentials end, if they do.
    pub end: Option<Timestamp>,
}

async fn check(
    callback: &Callback,
    values: &Values,
    shutdown: &Shutdown,
) -> Result<Identified, AccountError> {
    let running = json!({"status": "running"});
    let secrets = shutdown.race(callback.begin(&running, shutdown)).await?.map_err(AccountError::Platform)?;
    let account = ModuleConfiguration::read(values.required_json("module_configuration")?, secrets)?;
    let aws = Aws::new(&account, values, Some(Identity::new(callback, values)?))?;
    shutdown.race(identify(&account, &aws)).await?
}

/// Asks STS who the account's key or role belongs to; takes 20 s at most for each call.
pub async fn identify(account: &ModuleConfiguration, aws: &Aws) -> Result<Identified, AccountError> {
    account.check(aws.has_other_sts())?;
    let client = aws_sdk_sts::Client::from_conf(aws.sts().build());
    let called = client.get_caller_identity().send().await;
    let identity = called.map_err(|error| explain(&error, aws))?;
    let end = aws.session().and_then(|session| session.end());
    Ok(Identified {
        account: identity.account.unwrap_or_default(),
        arn: identity.arn.unwrap_or_default(),
        end: end.and_then(|end| Timestamp::try_from(end).ok()),
    })
}

/// Puts a failed call into words.
fn explain(error: &SdkError<GetCallerIdentityError>, aws: &Aws) -> AccountError {
    if let Some(error) = RoleError::in_chain(error) {
        return AccountError::Role { error: error.clone() };
    }
    let (region, endpoint, reason) = (aws.region().to_owned(), aws.sts_shown(), no_answer(error));
    match error {
        SdkError::ServiceError(context) => {
            let refusal = context.err();
            match refusal.code() {
                Some(code) => refused(code, refusal.message().unwrap_or_default(), region),
                None => {
                    let (status, body) = (context.raw().status(), context.raw().body().bytes());
                    let reason = format!("status {status}, {}", quoted(body.unwrap_or_default()));
                    AccountError::Senseless { endpoint, reason }
                }
            }
        }
        SdkError::TimeoutError(_) => {
            let reason = format!("no answer within {} s", STS_CALL.as_secs());
            AccountError::Unreachable { endpoint, reason, region }
        }
        SdkError::ResponseError(_) => AccountError::Senseless { endpoint, reason },
        _ => AccountError::Unreachable { endpoint, reason, region },
    }
}

/// Puts a refusal into words.
fn refused(code: &str, message: &str, region: String) -> AccountError {
    let time = ["Signature expired", "not yet current", "RequestTimeTooSkewed", "RequestExpired"];
    let code_and_message = format!("{code}: {message}");
    let code = code.to_owned();
    if time.iter().any(|sign| code_and_message.contains(sign)) {
        return AccountError::Clock { code };
    }
    match code.as_str() {
        "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" | "AuthFailure" => {
            AccountError::UnknownKey { code, region }
        }
        "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" => AccountError::TemporaryKey { code },
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
            AccountError::WrongSecret { code }
        }
        _ => AccountError::Refused { code, message: message.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let told = |code: &str, message: &str| refused(code, message, "eu-west-3".to_owned()).to_string();
        let signature = "The request signature we calculated does not match the signature you provided.";
        for (code, message, expected) in [
            (
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                "`aws_access_key`",
            ),
            ("SignatureDoesNotMatch", signature, "`aws_secret_access_key`"),
            ("SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than", "clock"),
            ("SignatureDoesNotMatch", "Signature not yet current: 2027 is still later than", "clock"),
            ("ExpiredToken", "The security token included in the request is expired", "begins with AKIA"),
            ("AccessDenied", "with an explicit deny in a policy", "explicit deny"),
        ] {
            let told = told(code, message);
            assert!(told.contains(expected) && told.contains(code), "{told}");
        }
    }
}
