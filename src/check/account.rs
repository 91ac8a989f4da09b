//! The steps `secrets`, `account` and `keys`: the account, and whether AWS knows its key.

use serde_json::{Map, Value};

use super::report::{Step, Told};
use crate::aws::Aws;
use crate::config::{Login, ModuleConfiguration};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::identity::Identity;
use crate::platform::secrets::Secrets;
use crate::platform::values::Values;
use crate::validate::{AccountError, Identified, identify};

/// The account, and its way into AWS.
pub(crate) struct Account {
    /// What the user says of it.
    pub(crate) configuration: ModuleConfiguration,
    /// The way.
    pub(crate) aws: Aws,
}

/// What to do where a value is missing.
pub(crate) const VALUES: &str =
    "run the check with the files or variables that the trigger or the connector is given";

/// The platform that the values name; `None` if they name none, as in a run by hand.
pub(crate) fn platform(values: &Values) -> Option<Result<Callback, CallbackError>> {
    let is_named = |name: &str| !matches!(values.text(name), Ok(None));
    (is_named("token") || is_named("url_callback")).then(|| Callback::from_values(values))
}

/// Gets the secrets from the platform, as trigger and connector do when they start.
pub(crate) async fn secrets(platform: Option<&Result<Callback, CallbackError>>) -> Step<Option<Secrets>> {
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
pub(crate) fn advice(error: &CallbackError) -> &'static str {
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
pub(crate) fn account(
    values: &Values,
    secrets: Option<&Secrets>,
    callback: Option<&Callback>,
) -> Step<Account> {
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
    let identity = callback.map(|callback| Identity::new(callback, values)).transpose();
    let aws = identity.and_then(|identity| Aws::new(&account, values, identity));
    let aws = aws.map_err(|error| Told::failed(error.to_string(), VALUES))?;
    account.check(aws.has_other_s3()).map_err(|error| Told::failed(error.to_string(), advice))?;
    let login = match account.login() {
        Login::Key { id, .. } => {
            let end = id.char_indices().rev().nth(3).and_then(|(at, _)| id.get(at..)).unwrap_or_default();
            format!("access key that ends in {end}")
        }
        Login::Role(role) => format!("role {role}"),
        Login::Nothing => String::new(),
    };
    let second = account.second_role().map(|role| format!(", then role {role}")).unwrap_or_default();
    let told = Told::ok(format!("{login}{second}, region {}", aws.region())).with("region", aws.region());
    Ok((told, Account { configuration: account, aws }))
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
pub(crate) async fn keys(account: &Account) -> Step<()> {
    match identify(&account.configuration, &account.aws).await {
        Ok(Identified { account, arn, end }) => {
            let told = match end {
                None => format!("the key belongs to {arn}"),
                Some(end) => format!("the role's session is {arn}, until {end:.0}; then it is renewed"),
            };
            Ok((Told::ok(told).with("account", account).with("arn", arn), ()))
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
