//! What the user of an intake's page configures: the connector's arguments.

use reqwest::Url;
use schemars::{JsonSchema, Schema};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{CONNECTOR, ConfigError, TriggerArguments, TriggerConfiguration, read};

/// The intake of the region FRA1.
const INTAKE_SERVER: &str = "https://intake.sekoia.io";
/// Records in a request, unless the user says otherwise: some 4 MB. What waits for five answers at a time delivers more with
/// larger requests.
const CHUNK_SIZE: u32 = 30_000;
/// What the platform's own connectors have, and this one does not need.
const IGNORED: [&str; 3] = ["separator", "skip_first", "ignore_comments"];

/// Where a connector's records go, as the user gives it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct IntakeArguments {
    /// The key of the intake that takes the records, as the intake's page shows it, e.g. Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u
    #[schemars(title = "Intake key", with = "String", length(min = 1))]
    intake_key: SecretString,
    /// Left empty, the records go to your region's intake, as the platform names it; else to this one: https://intake.sekoia.io in FRA1, elsewhere with the region's name in it, e.g. https://intake.eu2.sekoia.io/api/v1/intake-http
    // Without a default, which the platform's forms would fill in: it would be wrong in all regions but one.
    #[serde(default)]
    #[schemars(title = "Intake server", with = "String", extend("format" = "uri"))]
    #[schemars(extend("examples" = ["https://intake.sekoia.io", "https://intake.eu2.sekoia.io/api/v1/intake-http"]))]
    intake_server: Option<String>,
    /// Send the records to the intake compressed with gzip: about a third of the bytes, for more processor time
    #[serde(default)]
    #[schemars(title = "Compress")]
    compress: bool,
}

/// The connector's arguments, as the user gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Flow logs in a bucket", transform = for_an_intake)]
pub struct ConnectorArguments {
    #[serde(flatten)]
    intake: IntakeArguments,
    #[serde(flatten)]
    listing: TriggerArguments,
}

/// The texts of the trigger's arguments that speak of a playbook.
pub(super) fn for_an_intake(schema: &mut Schema) {
    if let Some(chunk_size) = schema.pointer_mut("/properties/chunk_size").and_then(Value::as_object_mut) {
        let description = "How many records a request to the intake carries at most, e.g. 30000; more than 50000 or 4 MiB it never carries";
        chunk_size.insert("title".to_owned(), "Records per request".into());
        chunk_size.insert("description".to_owned(), description.into());
        chunk_size.insert("examples".to_owned(), vec![CHUNK_SIZE].into());
        chunk_size.insert("default".to_owned(), CHUNK_SIZE.into());
    }
}

/// The connector's arguments, as the connector uses them.
#[derive(Clone, Debug)]
pub struct ConnectorConfiguration {
    /// What is read, and how.
    pub listing: TriggerConfiguration,
    /// Where it goes.
    pub intake: IntakeConfiguration,
}

/// An intake.
#[derive(Clone, Debug)]
pub struct IntakeConfiguration {
    /// Its key.
    pub intake_key: SecretString,
    /// Where events are posted: `<intake server>/batch`.
    pub batch_url: Url,
    /// Whether the bodies of requests are compressed.
    pub compress: bool,
}

impl ConnectorConfiguration {
    /// Reads the connector's arguments. `intake_url` is the platform's own value: it counts where the user names no
    /// intake server.
    pub fn read(mut given: Value, intake_url: Option<String>) -> Result<Self, ConfigError> {
        adapt(&mut given);
        TriggerConfiguration::adapt(CONNECTOR, &mut given);
        let arguments = read::<ConnectorArguments>(CONNECTOR, given)?.warn_unknown(CONNECTOR);
        let ConnectorArguments { intake, listing } = arguments;
        Ok(Self {
            intake: IntakeConfiguration::resolve(intake, intake_url)?,
            listing: TriggerConfiguration::resolve(listing).map_err(|error| error.of_node(CONNECTOR))?,
        })
    }
}

impl IntakeConfiguration {
    /// The intake that the user names, or else the platform's own, or that of the region FRA1.
    pub(super) fn resolve(
        arguments: IntakeArguments,
        intake_url: Option<String>,
    ) -> Result<Self, ConfigError> {
        let IntakeArguments { intake_key: key, intake_server, compress } = arguments;
        let is_given = |server: &String| !server.trim().is_empty();
        let server = intake_server.filter(is_given).or(intake_url.filter(is_given));
        let batch_url = batch_url(CONNECTOR, server.as_deref().unwrap_or(INTAKE_SERVER))?;
        Ok(Self { intake_key: intake_key(CONNECTOR, &key)?, batch_url, compress })
    }
}

/// Takes the names of the platform's own connectors, and this connector's own defaults.
pub(super) fn adapt(given: &mut Value) {
    let Value::Object(properties) = given else { return };
    properties.retain(|name, _| !IGNORED.contains(&name.as_str()));
    let chunk_size = properties.entry("chunk_size").or_insert(Value::Null);
    if chunk_size.is_null() {
        *chunk_size = CHUNK_SIZE.into();
    }
}

/// The key as it is meant: white space around it comes from copying it.
pub fn intake_key(what: &'static str, given: &SecretString) -> Result<SecretString, ConfigError> {
    let key = given.expose_secret().trim();
    let is_odd = |letter: char| {
        letter.is_whitespace() || letter.is_control() || matches!(letter, '"' | '\'' | '{' | '}')
    };
    if key.contains(is_odd) {
        let problem = "property `intake_key` must be the key alone, as the intake's page shows it, without spaces, quotes or braces";
        return Err(ConfigError::new(what, problem));
    }
    Ok(key.into())
}

/// `<server>/batch`, with which the server may already end. The URL is never quoted in an error: it might carry a
/// password.
pub fn batch_url(what: &'static str, server: &str) -> Result<Url, ConfigError> {
    let problem = |problem: &str| {
        let example = "such as https://intake.sekoia.io";
        ConfigError::new(what, format!("property `intake_server` {problem}, {example}"))
    };
    let url = Url::parse(server.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or_else(|| problem("must be an http or https URL"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("must be a URL without ? and #"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("must be a URL without user and password"));
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/batch", path.strip_suffix("/batch").unwrap_or(path).trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(mut given: Value, intake_url: Option<&str>) -> Result<ConnectorConfiguration, ConfigError> {
        let properties = given.as_object_mut().unwrap();
        for (name, value) in [("intake_key", "hush-hush"), ("bucket_name", "logs")] {
            properties.entry(name).or_insert_with(|| value.into());
        }
        ConnectorConfiguration::read(given, intake_url.map(str::to_owned))
    }

    #[test]
    fn the_intake_is_the_one_that_the_user_names_or_else_the_platforms_own() {
        let own = Some("https://intake.eu2.sekoia.io/api/v1/intake-http/");
        for (given, intake_url, expected) in [
            (json!({"intake_server": "https://intake"}), own, "https://intake/batch"),
            (json!({"intake_server": " "}), own, "https://intake.eu2.sekoia.io/api/v1/intake-http/batch"),
            (json!({}), own, "https://intake.eu2.sekoia.io/api/v1/intake-http/batch"),
            (json!({"intake_server": null}), None, "https://intake.sekoia.io/batch"),
        ] {
            let configuration = read(given.clone(), intake_url).unwrap();
            assert_eq!(configuration.intake.batch_url.as_str(), expected, "{given}");
        }
    }

    #[test]
    fn the_arguments_of_the_platforms_own_connector_are_understood() {
        let given = json!({
            "bucket": "acme", "bucket_name": null, "prefix_filter": "AWSLogs/1/", "separator": "\n", "skip_first": 1,
            "ignore_comments": false, "frequency": 10, "chunk_size": 10_000,
        });
        let ConnectorConfiguration { listing, intake } = read(given, None).unwrap();
        assert_eq!((listing.bucket.as_str(), listing.prefix.as_str()), ("acme", "AWSLogs/1/"));
        assert_eq!((listing.frequency.as_secs(), listing.chunk_size), (10, 10_000));
        assert!(!intake.compress);
        assert_eq!(read(json!({}), None).unwrap().listing.chunk_size, 30_000);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_secret_is_quoted() {
        for (given, name, reason) in [
            (json!({"intake_key": ""}), "`intake_key`", "must not be empty"),
            (json!({"intake_key": "hush hush"}), "`intake_key`", "the key alone"),
            (json!({"intake_server": "intake"}), "`intake_server`", "http or https"),
            (json!({"start_from": "soon"}), "`start_from`", "`beginning`"),
            (json!({"bucket_name": ""}), "`bucket_name`", "must not be empty"),
        ] {
            let error = read(given.clone(), None).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("the connector configuration cannot be used"), "{message}");
            assert!(message.contains(name) && message.contains(reason), "{given}: {message}");
            assert!(!format!("{error:?} {message}").contains("hush"), "{message}");
        }
        assert!(!format!("{:?}", read(json!({}), None).unwrap()).contains("hush"));
    }
}
