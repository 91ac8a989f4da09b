//! The account, and its secrets in the place of their placeholders.

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bucket::shortened;
use super::{ConfigError, MODULE, check_required, overlay, read};

/// The account that reads the flow logs.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "AWS account")]
pub struct ModuleConfiguration {
    /// The region of the bucket, as the S3 console shows it beside the bucket's name, e.g. eu-west-3
    #[schemars(title = "Region", length(min = 1))]
    #[schemars(extend("pattern" = "^[a-z]+(-[a-z]+)+-[1-9][0-9]?$", "examples" = ["eu-west-3", "us-east-1"]))]
    pub aws_region_name: String,
    /// The ARN of the role that may list and read the bucket and trusts the platform, e.g. arn:aws:iam::111122223333:role/SekoiaIOConnectorRole; then leave access key ID and secret empty
    #[serde(default)]
    #[schemars(title = "Role ARN", with = "String", extend("pattern" = ROLE_PATTERN))]
    pub aws_role_arn: Option<String>,
    /// Without a role: the ID of the access key of the IAM user that may list and read the bucket, e.g. AKIAIOSFODNN7EXAMPLE
    #[serde(default)]
    #[schemars(title = "Access key ID", with = "String")]
    pub aws_access_key: Option<String>,
    /// Without a role: the secret that AWS showed once, when the access key was made, e.g. wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    #[serde(default)]
    #[schemars(title = "Secret access key", with = "String")]
    pub aws_secret_access_key: Option<SecretString>,
    /// Only if the bucket is read by a role in another account: the ARN of that role, which the first role, or the access key, assumes, e.g. arn:aws:iam::444455556666:role/FlowLogs
    #[serde(default)]
    #[schemars(title = "Role ARN in another account", with = "String", extend("pattern" = ROLE_PATTERN))]
    pub aws_assume_role_arn: Option<String>,
    /// Only if the trust policy of that role asks for one: the external ID, e.g. 7f2c9d3e
    #[serde(default)]
    #[schemars(title = "External ID", with = "String")]
    pub aws_external_id: Option<String>,
    /// Only if your intake asks for an API key beside the intake key: that key, e.g. eyJ0eXAiOiJKV1Qi, which Push events then sends; leave it empty otherwise
    #[serde(default)]
    #[schemars(title = "API key of the intake", with = "String")]
    pub api_key: Option<SecretString>,
}

/// What a role's ARN looks like in a form; an empty field is none.
const ROLE_PATTERN: &str = "^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+)?$";

/// What an account logs in with.
#[derive(Clone, Copy, Debug)]
pub enum Login<'a> {
    /// This role, as who the platform says we are.
    Role(&'a str),
    /// A key that does not end.
    Key {
        /// Its ID.
        id: &'a str,
        /// Its secret.
        secret: &'a SecretString,
    },
    /// Nothing.
    Nothing,
}

impl ModuleConfiguration {
    /// The properties that the platform keeps as secrets.
    pub const SECRETS: [&str; 2] = ["aws_secret_access_key", "api_key"];

    /// Puts the secrets into the place of their placeholders. A placeholder whose secret the platform did not hand over
    /// is taken out, so that it is never taken for the secret; gives the names of those.
    pub fn put_secrets(account: &mut Value, secrets: Map<String, Value>) -> Vec<&'static str> {
        let mut without = Vec::new();
        if let Value::Object(properties) = account {
            for name in Self::SECRETS {
                let placeholder = properties.remove(name).unwrap_or_default();
                let is_left = secrets.get(name).is_none_or(Value::is_null);
                if is_left && !placeholder.is_null() && placeholder != "" {
                    without.push(name);
                }
            }
        }
        overlay(account, secrets);
        without
    }

    /// Reads the account with the secrets that the platform handed over.
    pub fn read(mut given: Value, secrets: Map<String, Value>) -> Result<Self, ConfigError> {
        check_required::<Self>(MODULE, &given)?;
        let without = Self::put_secrets(&mut given, secrets);
        let account = read::<Self>(MODULE, given)?.warn_unknown(MODULE);
        let problem = match account.login() {
            Login::Role(_) => {
                if account.key().is_some() {
                    tracing::info!("the account has a role and an access key: the role is used, not the key");
                }
                return Ok(account);
            }
            Login::Key { .. } => return Ok(account),
            Login::Nothing if without.contains(&"aws_secret_access_key") => {
                "the platform did not hand over the secret `aws_secret_access_key`, and has only a placeholder in its place"
            }
            Login::Nothing => {
                "it has nothing to log in to AWS with: enter either `aws_role_arn`, or both `aws_access_key` and `aws_secret_access_key`"
            }
        };
        Err(ConfigError::new(MODULE, problem))
    }

    /// What it logs in with. Given a role and a key, the role counts.
    pub fn login(&self) -> Login<'_> {
        let key = self.key();
        match (filled(self.aws_role_arn.as_ref()), key) {
            (Some(role), _) => Login::Role(role),
            (None, Some((id, secret))) => Login::Key { id, secret },
            (None, None) => Login::Nothing,
        }
    }

    /// The ID of its key, and the secret.
    fn key(&self) -> Option<(&str, &SecretString)> {
        let is_filled = |secret: &&SecretString| !secret.expose_secret().trim().is_empty();
        filled(self.aws_access_key.as_ref()).zip(self.aws_secret_access_key.as_ref().filter(is_filled))
    }

    /// The role that is assumed with the first one, or with the key.
    pub fn second_role(&self) -> Option<&str> {
        filled(self.aws_assume_role_arn.as_ref())
    }

    /// What the second role's trust policy asks for.
    pub fn external_id(&self) -> Option<&str> {
        filled(self.aws_external_id.as_ref())
    }

    /// Refuses what can be known wrong without asking. A server that stands in for AWS may name its regions and keys as
    /// it likes.
    pub fn check(&self, stands_in: bool) -> Result<(), ConfigError> {
        let region = self.aws_region_name.trim();
        let (key, secret) = match self.login() {
            Login::Key { id, secret } => (id, secret.expose_secret().trim()),
            Login::Role(_) | Login::Nothing => ("", ""),
        };
        let wrong = |name, what| ConfigError::new(MODULE, format!("property `{name}` {what}"));
        for (name, role) in
            [("aws_role_arn", &self.aws_role_arn), ("aws_assume_role_arn", &self.aws_assume_role_arn)]
        {
            if filled(role.as_ref()).is_some_and(|role| !is_role(role)) {
                let what = "is not the ARN of a role, which looks like arn:aws:iam::111122223333:role/NAME: copy it from the role's page in IAM";
                return Err(wrong(name, what.to_owned()));
            }
        }
        if let Some(id) = self.external_id() {
            let is_id = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@:/-".contains(letter);
            if self.second_role().is_none() {
                let what = "is of use with `aws_assume_role_arn` alone: the role that the platform's token is for knows no external ID";
                return Err(wrong("aws_external_id", what.to_owned()));
            }
            if !(2..=1_224).contains(&id.len()) || !id.chars().all(is_id) {
                let what = "is no external ID: 2 to 1,224 letters, digits and _+=,.@:/-";
                return Err(wrong("aws_external_id", what.to_owned()));
            }
        }
        if key.starts_with("ASIA") {
            let what = "begins with ASIA: it belongs to temporary credentials, which need a session token and soon end; create an access key of an IAM user, which begins with AKIA";
            return Err(wrong("aws_access_key", what.to_owned()));
        }
        if stands_in {
            return Ok(());
        }
        if !is_region(region) {
            let what = format!(
                "is {:?}, which is not the name of an AWS region; it must look like eu-west-3{}",
                shortened(region),
                region_in(region).map_or_else(String::new, |region| format!(": enter {region}"))
            );
            return Err(wrong("aws_region_name", what));
        }
        if matches!(self.login(), Login::Role(_)) {
            return Ok(());
        }
        let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_id(secret) && secret.starts_with("AKIA") && !key.starts_with("AKIA") {
            return Err(wrong(
                "aws_secret_access_key",
                "is an access key ID: are the two exchanged?".to_owned(),
            ));
        }
        if !is_id(key) || !(16..=128).contains(&key.len()) {
            let what = "is no access key ID: enter it alone, without quotes or spaces; it is 20 capitals and digits, e.g. AKIAIOSFODNN7EXAMPLE";
            return Err(wrong("aws_access_key", what.to_owned()));
        }
        let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=');
        if !secret.bytes().all(is_secret) {
            let what = "has characters that no secret access key has: enter it alone, without quotes or spaces, as AWS showed it";
            return Err(wrong("aws_secret_access_key", what.to_owned()));
        }
        Ok(())
    }
}

/// A property that is there and is not empty.
fn filled(property: Option<&String>) -> Option<&str> {
    property.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Whether a text is built like a role's ARN.
fn is_role(text: &str) -> bool {
    let Some(("arn", rest)) = text.split_once(':') else { return false };
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let [partition, "iam", "", account, resource] = parts.as_slice() else { return false };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@_/-".contains(letter);
    partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_name)
}

/// Whether a name is built like `eu-west-3` or `us-gov-east-1`. A region that does not exist has no server: its name is
/// found wrong when it is asked for.
pub fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            let is_number = matches!(number.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
            words.len() >= 2 && words.iter().all(is_word) && is_number
        }
        [] => false,
    }
}

/// The region that is meant: the one in `Europe (Paris) eu-west-3`, or that of the zone `eu-west-3a`.
fn region_in(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let mut regions = words.filter_map(|word| {
        let of_zone = word.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        [word, of_zone].into_iter().find(|name| is_region(name))
    });
    regions.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn check(key: &str, secret: &str, region: &str) -> Result<(), String> {
        let given =
            json!({"aws_access_key": key, "aws_secret_access_key": secret, "aws_region_name": region});
        let secrets = json!({ "aws_secret_access_key": secret });
        let account = ModuleConfiguration::read(given, secrets.as_object().cloned().unwrap()).unwrap();
        let checked = account.check(false).map_err(|error| error.to_string());
        assert!(checked.as_ref().err().is_none_or(|error| !error.contains(secret)), "{checked:?}");
        checked
    }

    #[test]
    fn regions_are_told_from_what_is_none() {
        for region in [
            "eu-west-3",
            " us-east-1\n",
            "us-gov-east-1",
            "cn-northwest-1",
            "ap-southeast-15",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert_eq!(check(KEY, SECRET, region), Ok(()), "{region}");
        }
        for (text, right) in [
            ("Paris", ""),
            ("eu-west", ""),
            ("eu-west-0", ""),
            ("west-3", ""),
            ("-a-1", ""),
            ("eu-west-3a", ": enter eu-west-3"),
            ("EU-WEST-3", ": enter eu-west-3"),
            ("eu_west_3", ": enter eu-west-3"),
            ("eu-west-3.evil.example", ": enter eu-west-3"),
            ("Europe (Paris)", ""),
            ("Europe (Paris) eu-west-3", ": enter eu-west-3"),
            ("\"eu-west-3\"", ": enter eu-west-3"),
        ] {
            let error = check(KEY, SECRET, text).unwrap_err();
            let told = format!(
                "`aws_region_name` is {text:?}, which is not the name of an AWS region; it must look like eu-west-3{right};"
            );
            assert!(error.contains(&told), "{error}");
        }
    }

    #[test]
    fn keys_that_can_be_none_are_told_without_a_call_and_never_quoted() {
        assert_eq!(check(&format!(" {KEY}\n"), &format!("{SECRET}\n"), "eu-west-3"), Ok(()));
        let exchanged = check(SECRET, KEY, "eu-west-3").unwrap_err();
        assert!(exchanged.contains("are the two exchanged"), "{exchanged}");
        for key in [
            "AKIA",
            "\"AKIAIOSFODNN7EXAMPLE\"",
            "AKIAIOSFODNN7 EXAMPLE",
            "AKIAIOSFODNN7EXAMPLE,hush",
            "ASIAIOSFODNN7EXAMPLE",
        ] {
            let error = check(key, SECRET, "eu-west-3").unwrap_err();
            assert!(error.contains("`aws_access_key`") && !error.contains("hush"), "{error}");
        }
        for secret in [format!("'{SECRET}'"), SECRET.replace('/', " "), format!("{SECRET}é")] {
            let error = check(KEY, &secret, "eu-west-3").unwrap_err();
            assert!(error.contains("`aws_secret_access_key` has characters"), "{error}");
        }
    }

    #[test]
    fn a_placeholder_is_never_taken_for_a_secret() {
        let given = || json!({"aws_access_key": "a", "aws_secret_access_key": "*", "aws_region_name": "r", "api_key": "*"});
        let secrets = |secrets: Value| secrets.as_object().cloned().unwrap();
        for without in [json!({}), json!({"aws_secret_access_key": null}), json!({"api_key": "k"})] {
            let error = ModuleConfiguration::read(given(), secrets(without)).unwrap_err().to_string();
            assert!(error.contains("did not hand over the secret `aws_secret_access_key`"), "{error}");
        }
        let account =
            ModuleConfiguration::read(given(), secrets(json!({"aws_secret_access_key": "s"}))).unwrap();
        assert_eq!(account.aws_secret_access_key.as_ref().unwrap().expose_secret(), "s");
        assert!(account.api_key.is_none());
        let mut configuration = given();
        let without = ModuleConfiguration::put_secrets(&mut configuration, Map::new());
        assert_eq!(without, ModuleConfiguration::SECRETS);
        assert_eq!(configuration, json!({"aws_access_key": "a", "aws_region_name": "r"}));
    }
}
