//! What a run is asked to send, and where to.

use reqwest::Url;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::connector::{batch_url, intake_key};
use crate::config::{self, ConfigError};

/// The name of the action's arguments in messages.
pub const ARGUMENTS: &str = "arguments";

/// The action's arguments, as the user gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Push events")]
pub struct PushArguments {
    /// The key of the intake that takes the events, as the intake's page shows it, e.g. Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u
    #[schemars(title = "Intake key", with = "String", length(min = 1))]
    pub intake_key: SecretString,
    /// Where your region takes events: https://intake.sekoia.io in FRA1, elsewhere with the region's name in it, e.g. https://intake.eu2.sekoia.io/api/v1/intake-http
    #[serde(default = "default_intake_server")]
    #[schemars(title = "Intake server", extend("format" = "uri"))]
    #[schemars(extend("examples" = ["https://intake.sekoia.io", "https://intake.eu2.sekoia.io/api/v1/intake-http"]))]
    pub intake_server: String,
    /// A file that holds a JSON array of events, relative to the storage of the playbook run: the trigger's file, e.g. {{ node.0['records_path'] }}
    #[schemars(title = "Events file", with = "String")]
    #[schemars(extend("examples" = ["{{ node.0['records_path'] }}"]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_path: Option<String>,
    /// Send the events to the intake compressed with gzip: about a third of the bytes, for more processor time
    #[serde(default)]
    #[schemars(title = "Compress")]
    pub compress: bool,
    /// Keep the file of the events after all of them were accepted; if one was not, the file is always kept
    #[serde(default)]
    #[schemars(title = "Keep the file")]
    pub keep_file_after_push: bool,
    /// A list of events in place of a file: texts are sent as they are, everything else as its JSON, e.g. ["one line", {"any": "object"}]
    #[schemars(title = "Events", with = "Vec<Value>")]
    // A form makes no field for a list of anything; what is neither text nor object is taken all the same.
    #[schemars(extend("items" = {"type": ["string", "object"]}, "examples" = [["one line", {"any": "object"}]]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Value>>,
    /// One event: a text is sent as it is, an object as its JSON, e.g. {"any": "object"}
    #[schemars(title = "Event", with = "Value", extend("type" = ["string", "object"]))]
    #[schemars(extend("examples" = [{"any": "object"}]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// A file that holds one event as JSON, relative to the storage of the playbook run, e.g. event.json
    #[schemars(title = "Event file", with = "String")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_path: Option<String>,
}

fn default_intake_server() -> String {
    "https://intake.sekoia.io".to_owned()
}

/// The action's arguments, as the action uses them.
#[derive(Debug)]
pub struct Arguments {
    /// The key of the intake.
    pub intake_key: SecretString,
    /// Where events are posted: `<intake server>/batch`.
    pub batch_url: Url,
    /// Where events come from, in the order in which they are sent.
    pub sources: Vec<Source>,
    /// Whether the files of the events stay after a success.
    pub keep_files: bool,
    /// Whether the bodies of the posts are compressed.
    pub compress: bool,
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The argument `event`.
    Event(Value),
    /// The file in the argument `event_path`.
    EventFile(String),
    /// The argument `events`.
    Events(Vec<Value>),
    /// The file in the argument `events_path`.
    EventsFile(String),
}

impl Source {
    /// The path of the file, relative to the storage, if it is a file.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::EventFile(path) | Self::EventsFile(path) => Some(path),
            Self::Event(_) | Self::Events(_) => None,
        }
    }
}

impl Arguments {
    /// Reads the arguments. Empty text counts as absent: that is what a template makes of a value that is not there.
    pub fn read(mut given: Value) -> Result<Self, ConfigError> {
        if let Value::Object(properties) = &mut given {
            from_templates(properties);
        }
        let given = config::read::<PushArguments>(ARGUMENTS, given)?.warn_unknown(ARGUMENTS);
        let batch_url = batch_url(ARGUMENTS, &given.intake_server)?;
        let sources =
            [one_event(given.event, given.event_path)?, many_events(given.events, given.events_path)];
        Ok(Self {
            intake_key: intake_key(ARGUMENTS, &given.intake_key)?,
            batch_url,
            sources: sources.into_iter().flatten().collect(),
            keep_files: given.keep_file_after_push,
            compress: given.compress,
        })
    }
}

/// Undoes what templates do to values: nothing becomes empty text, and true becomes the text `True`.
fn from_templates(properties: &mut Map<String, Value>) {
    properties.retain(|_, value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
    for name in ["keep_file_after_push", "compress"] {
        let Some(value) = properties.get_mut(name) else { continue };
        let truth = value.as_str().map(|text| text.trim().to_ascii_lowercase());
        match truth.as_deref() {
            Some("true") => *value = Value::Bool(true),
            Some("false") => *value = Value::Bool(false),
            _ => {}
        }
    }
}

fn one_event(event: Option<Value>, path: Option<String>) -> Result<Option<Source>, ConfigError> {
    match event {
        Some(Value::Object(properties)) if properties.is_empty() => Ok(path.map(Source::EventFile)),
        None => Ok(path.map(Source::EventFile)),
        Some(event @ (Value::Object(_) | Value::String(_))) => Ok(Some(Source::Event(event))),
        Some(Value::Array(_)) => Err(ConfigError::new(
            ARGUMENTS,
            "property `event` is a list; a list of events goes into `events`",
        )),
        Some(_) => Err(ConfigError::new(ARGUMENTS, "property `event` must be an object or text")),
    }
}

fn many_events(events: Option<Vec<Value>>, path: Option<String>) -> Option<Source> {
    events.map(Source::Events).or(path.map(Source::EventsFile))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn read(mut given: Value) -> Result<Arguments, ConfigError> {
        let properties = given.as_object_mut().unwrap();
        properties.entry("intake_key").or_insert_with(|| "hush-hush".into());
        Arguments::read(given)
    }

    #[test]
    fn the_intake_is_found_under_every_form_of_its_url() {
        let url = |server: &str| read(json!({"intake_server": server})).unwrap().batch_url.to_string();
        assert_eq!(url(""), "https://intake.sekoia.io/batch");
        assert_eq!(url("https://intake.sekoia.io/"), "https://intake.sekoia.io/batch");
        assert_eq!(url("https://intake.sekoia.io/batch"), "https://intake.sekoia.io/batch");
        assert_eq!(url("https://intake.sekoia.io//batch/"), "https://intake.sekoia.io/batch");
        assert_eq!(url("https://batch"), "https://batch/batch");
        let region = "https://intake.eu2.sekoia.io/api/v1/intake-http";
        assert_eq!(url(region), format!("{region}/batch"));
        assert_eq!(url(&format!(" {region}/ ")), format!("{region}/batch"));
    }

    #[test]
    fn white_space_around_the_key_is_no_part_of_it() {
        let arguments = read(json!({"intake_key": " hush-hush\n"})).unwrap();
        assert_eq!(arguments.intake_key.expose_secret(), "hush-hush");
    }

    #[test]
    fn what_a_template_leaves_empty_is_absent() {
        let arguments = read(json!({
            "event": "", "event_path": " ", "events": null, "events_path": "batch.json", "intake_server": null,
            "keep_file_after_push": "True", "compress": " TRUE ",
        }));
        let arguments = arguments.unwrap();
        assert_eq!(arguments.sources, [Source::EventsFile("batch.json".to_owned())]);
        assert!(arguments.keep_files && arguments.compress);
        let arguments =
            read(json!({"event": {}, "events": "", "keep_file_after_push": "", "compress": "False"}));
        let arguments = arguments.unwrap();
        assert!(arguments.sources.is_empty() && !arguments.keep_files && !arguments.compress);
    }

    #[test]
    fn a_value_wins_over_a_file_and_the_single_event_comes_first() {
        let arguments = read(json!({
            "events_path": "many.json", "events": [1], "event_path": "one.json", "event": {"a": 1},
        }));
        let expected = [Source::Event(json!({"a": 1})), Source::Events(vec![json!(1)])];
        assert_eq!(arguments.unwrap().sources, expected);
        let arguments = read(json!({"events_path": "many.json", "event_path": "one.json"})).unwrap();
        let expected = [Source::EventFile("one.json".to_owned()), Source::EventsFile("many.json".to_owned())];
        assert_eq!(arguments.sources, expected);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_secret_is_quoted() {
        for (given, name, reason) in [
            (json!({"intake_key": ""}), "`intake_key`", "missing"),
            (json!({"intake_key": ["hush-hush"]}), "`intake_key`", "must be text"),
            (json!({"intake_key": "hush-hush hush"}), "`intake_key`", "the key alone"),
            (json!({"intake_key": "'hush-hush'"}), "`intake_key`", "the key alone"),
            (json!({"intake_key": "{{ hush }}"}), "`intake_key`", "the key alone"),
            (json!({"intake_server": "intake.sekoia.io"}), "`intake_server`", "http or https"),
            (json!({"intake_server": "https://"}), "`intake_server`", "http or https"),
            (json!({"intake_server": "https://intake sekoia.io"}), "`intake_server`", "http or https"),
            (json!({"intake_server": "ftp://intake"}), "`intake_server`", "http or https"),
            (json!({"intake_server": "https://a:hush-hush@intake"}), "`intake_server`", "without user"),
            (json!({"intake_server": "https://intake?key=hush-hush"}), "`intake_server`", "without ?"),
            (json!({"event": [1]}), "`event`", "`events`"),
            (json!({"event": 7}), "`event`", "an object or text"),
            (json!({"events": "hush-hush"}), "`events`", "must be a list"),
            (json!({"events_path": 7}), "`events_path`", "must be text"),
            (json!({"keep_file_after_push": "maybe"}), "`keep_file_after_push`", "true or false"),
            (json!({"compress": "gzip"}), "`compress`", "true or false"),
        ] {
            let error = read(given.clone()).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(name) && message.contains(reason), "{given}: {message}");
            assert!(!format!("{error:?} {message}").contains("hush"), "{message}");
        }
        assert!(!format!("{:?}", read(json!({})).unwrap()).contains("hush"));
    }

    #[test]
    fn the_editor_gets_a_plain_form() {
        let schema = serde_json::to_value(config::schema_of::<PushArguments>()).unwrap();
        assert_eq!(schema["required"], json!(["intake_key"]));
        let of = |name: &str| schema["properties"][name].clone();
        assert_eq!(
            of("event")["type"],
            json!(["string", "object"]),
            "the first is what a form makes a field for"
        );
        assert_eq!(of("events")["type"], "array");
        assert_eq!(of("events_path")["type"], "string");
        assert_eq!(of("events_path").get("default"), None);
        assert_eq!(of("intake_server")["default"], "https://intake.sekoia.io");
        for name in ["keep_file_after_push", "compress"] {
            assert_eq!(of(name)["default"], false);
        }
    }
}
