//! The account, and its secrets in the place of their placeholders.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ConfigError, MODULE, check_required, overlay, read, required, schema_of};

/// The account that reads the flow logs.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "AWS account")]
pub struct ModuleConfiguration {
    /// The ID of the access key of the IAM user that may list and read the bucket, e.g. AKIAIOSFODNN7EXAMPLE
    #[schemars(title = "Access key ID", length(min = 1))]
    pub aws_access_key: String,
    /// The secret that AWS showed once, when the access key was made, e.g. wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    #[schemars(title = "Secret access key", with = "String", length(min = 1))]
    pub aws_secret_access_key: SecretString,
    /// The region of the bucket, as the S3 console shows it beside the bucket's name, e.g. eu-west-3
    #[schemars(title = "Region", length(min = 1))]
    #[schemars(extend("pattern" = "^[a-z]+(-[a-z]+)+-[1-9]$", "examples" = ["eu-west-3", "us-east-1"]))]
    pub aws_region_name: String,
    /// Only if your intake asks for an API key beside the intake key: that key, e.g. eyJ0eXAiOiJKV1Qi, which Push events then sends; leave it empty otherwise
    #[serde(default)]
    #[schemars(title = "API key of the intake", with = "String")]
    pub api_key: Option<SecretString>,
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
        if let Some(name) =
            required(&schema_of::<Self>()).iter().find(|name| without.contains(&name.as_str()))
        {
            let problem = format!(
                "the platform did not hand over the secret `{name}`, and has only a placeholder in its place"
            );
            return Err(ConfigError::new(MODULE, problem));
        }
        Ok(read::<Self>(MODULE, given)?.warn_unknown(MODULE))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

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
        assert_eq!(account.aws_secret_access_key.expose_secret(), "s");
        assert!(account.api_key.is_none());
        let mut configuration = given();
        let without = ModuleConfiguration::put_secrets(&mut configuration, Map::new());
        assert_eq!(without, ModuleConfiguration::SECRETS);
        assert_eq!(configuration, json!({"aws_access_key": "a", "aws_region_name": "r"}));
    }
}
