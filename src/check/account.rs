//! The steps `secrets`, `account` and `keys`: the account, and whether AWS knows its key.

use serde_json::{Map, Value};

use super::report::{Step, Told};
use crate::aws;
use crate::config::ModuleConfiguration;
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::secrets::Secrets;
use crate::platform::values::Values;
use crate::validate::{AccountError, Identity, identify};

/// What to do where a value is missing.
pub(super) const VALUES: &str =
    "run the check with the files or variables that the trigger or the connector is given";

/// The platform that the values name; `None` if they name none, as in a run by hand.
pub(super) fn platform(values: &Values) -> Option<Result<Callback, CallbackError>> {
    let is_named = |name: &str| !matches!(values.text(name), Ok(None));
    (is_named("token") || is_named("url_callback")).then(|| Callback::from_values(values))
}

/// Gets the secrets from the platform, as trigger and connector do when they start.
pub(super) async fn secrets(platform: Option<&Result<Callback, CallbackError>>) -> Step<Option<Secrets>> {
    let callback = match platform {
        None => {
            let found = "there is no platform (neither `token` nor `url_callback`): the secret is taken from \
                         module_configuration";
            return Ok((Told::skipped(found), None));
        }
        Some(Err(error)) => {
            return Err(Told::failed(error.to_string(), "set both `token` and `url_callback`"));
        }
        Some(Ok(callback)) => callback,
    };
    match callback.secrets_once().await {
        Ok(secrets) => {
            let names: Vec<&str> =
                secrets.module.keys().chain(secrets.node.keys()).map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Ok((
                Told::ok(format!("the platform takes the token and hands the secrets over: {names}")),
                Some(secrets),
            ))
        }
        Err(error) => Err(Told::failed(error.to_string(), advice(&error))),
    }
}

/// What to do about a call to the platform that failed.
pub(super) fn advice(error: &CallbackError) -> &'static str {
    match error {
        CallbackError::Refused { .. } => {
            "check `token` and `url_callback`: the token ends with the run that it was made for"
        }
        CallbackError::Unreachable { .. } => {
            "see that this machine resolves and reaches the platform's host; a proxy goes into HTTPS_PROXY"
        }
        CallbackError::Senseless { .. } => {
            "check `url_callback` and `url_secrets`: something else answers there"
        }
        CallbackError::NoClient(_) => "install the system's CA certificates",
        _ => "try again later; if it stays, ask the platform's support",
    }
}

/// Reads the account, with the secrets of the platform or its own.
pub(super) fn account(values: &Values, secrets: Option<&Secrets>) -> Step<ModuleConfiguration> {
    let given = values.required_json("module_configuration");
    let given = given.map_err(|error| Told::failed(error.to_string(), VALUES))?;
    let of_platform = secrets.map(|secrets| secrets.module.clone());
    let advice = match of_platform {
        None => "correct the account; without a platform, the secret itself goes into module_configuration",
        Some(_) => "correct the account in the playbook editor",
    };
    let secrets = of_platform.unwrap_or_else(|| own_secrets(&given));
    let account = ModuleConfiguration::read(given, secrets);
    let account = account.map_err(|error| Told::failed(error.to_string(), advice))?;
    let stands_in =
        aws::endpoint(values, "s3").map_err(|error| Told::failed(error.to_string(), VALUES))?.is_some();
    account.check(stands_in).map_err(|error| Told::failed(error.to_string(), advice))?;
    let key = account.aws_access_key.trim();
    let end = key.char_indices().rev().nth(3).and_then(|(at, _)| key.get(at..)).unwrap_or_default();
    let region = account.aws_region_name.trim();
    let told = Told::ok(format!("access key that ends in {end}, region {region}"));
    Ok((told.with("region", region), account))
}

/// The secrets that the account itself holds. What has only asterisks stands for a secret that is elsewhere.
fn own_secrets(given: &Value) -> Map<String, Value> {
    let properties = given.as_object().into_iter().flatten();
    let own = properties.filter(|(name, value)| {
        let text = value.as_str().unwrap_or_default();
        ModuleConfiguration::SECRETS.contains(&name.as_str()) && text.chars().any(|letter| letter != '*')
    });
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Asks AWS whose key it is. Nothing but the check needs STS: where only STS is out of reach, S3 decides about the key.
pub(super) async fn keys(account: &ModuleConfiguration, values: &Values) -> Step<()> {
    match identify(account, values).await {
        Ok(Identity { account, arn }) => {
            let told = Told::ok(format!("the key belongs to {arn}"));
            Ok((told.with("account", account).with("arn", arn), ()))
        }
        Err(
            error @ (AccountError::Unreachable { .. }
            | AccountError::Senseless { .. }
            | AccountError::Refused { .. }),
        ) => {
            let advice = "nothing, if the steps after this one are well: flow logs need S3, not STS";
            Ok((Told::warning(error.to_string(), advice), ()))
        }
        Err(error) => Err(Told::failed(error.to_string(), "correct the account in the playbook editor")),
    }
}
