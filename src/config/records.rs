//! In which form records go out, and which do not.

use flow_log::decode::RecordFormat;
use flow_log::filter::{Filter, Internal};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, TRIGGER};

/// The values of `record_format`.
pub(super) const FORMATS: [&str; 3] = ["auto", "raw", "json"];
/// The values of `actions`.
pub(super) const ACTIONS: [&str; 2] = ["ACCEPT", "REJECT"];

/// What the user says of records.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RecordArguments {
    /// Leave out traffic between private addresses, e.g. from 10.0.0.5 to 10.0.1.7: it is never sent then; it is often most of the traffic
    #[serde(default)]
    #[schemars(title = "Leave out internal traffic")]
    exclude_internal_traffic: bool,
    /// Which traffic to send: ACCEPT (what was let through), REJECT (what was not), or both
    #[serde(default = "default_actions")]
    #[schemars(title = "Accepted and rejected traffic", extend("items" = {"type": "string", "enum": ACTIONS}))]
    #[schemars(extend("minItems" = 1, "uniqueItems" = true, "examples" = [["REJECT"]]))]
    actions: Vec<String>,
    /// Leave out records that only say that there was no traffic, i.e. those with the log status NODATA
    #[serde(default)]
    #[schemars(title = "Leave out empty intervals")]
    exclude_no_data: bool,
    /// How records are sent: auto (the line as AWS wrote it where the intake understands it, otherwise JSON), raw (always the line) or json (always JSON)
    #[serde(default = "default_record_format")]
    #[schemars(title = "Form of the records", extend("enum" = FORMATS))]
    record_format: String,
}

fn default_record_format() -> String {
    "auto".to_owned()
}

fn default_actions() -> Vec<String> {
    ACTIONS.map(str::to_owned).into()
}

/// The value of `record_format`.
pub(super) fn format(arguments: &RecordArguments) -> Result<RecordFormat, ConfigError> {
    match arguments.record_format.trim() {
        "auto" | "" => Ok(RecordFormat::Auto),
        "raw" => Ok(RecordFormat::Raw),
        "json" => Ok(RecordFormat::Json),
        _ => Err(ConfigError::new(TRIGGER, "property `record_format` must be `auto`, `raw` or `json`")),
    }
}

/// What to leave out.
pub(super) fn filter(arguments: &RecordArguments) -> Result<Filter, ConfigError> {
    let wants = |action| arguments.actions.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(action));
    let [accepted, rejected] = ACTIONS.map(wants);
    let known = |given: &String| ACTIONS.iter().any(|action| given.trim().eq_ignore_ascii_case(action));
    if !(accepted || rejected) || !arguments.actions.iter().all(known) {
        let problem = "property `actions` must be a list of `ACCEPT`, `REJECT` or both";
        return Err(ConfigError::new(TRIGGER, problem));
    }
    Ok(Filter {
        internal: if arguments.exclude_internal_traffic { Internal::All } else { Internal::No },
        accepted: !accepted,
        rejected: !rejected,
        no_data: arguments.exclude_no_data,
        ..Filter::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::TriggerConfiguration;
    use super::*;

    fn read(name: &str, value: &Value) -> Result<TriggerConfiguration, ConfigError> {
        TriggerConfiguration::read(json!({"bucket_name": "logs", name: value}))
    }

    #[test]
    fn records_go_out_as_they_stand_and_all_of_them_unless_the_user_says_otherwise() {
        let configuration = read("frequency", &json!(60)).unwrap();
        assert_eq!(configuration.record_format, RecordFormat::Auto);
        assert!(!configuration.filter.is_active());
        for (text, format) in
            [("raw", RecordFormat::Raw), ("json", RecordFormat::Json), ("auto", RecordFormat::Auto)]
        {
            assert_eq!(read("record_format", &json!(text)).unwrap().record_format, format);
        }
    }

    #[test]
    fn actions_are_those_to_send() {
        let filter = |actions: Value| read("actions", &actions).unwrap().filter;
        assert!(!filter(json!(["REJECT", "accept"])).is_active());
        assert_eq!(filter(json!(["REJECT"])), Filter { accepted: true, ..Filter::default() });
        assert_eq!(filter(json!(["ACCEPT"])), Filter { rejected: true, ..Filter::default() });
        assert_eq!(read("exclude_internal_traffic", &json!(true)).unwrap().filter.internal, Internal::All);
        assert!(read("exclude_no_data", &json!(true)).unwrap().filter.no_data);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (name, value) in [
            ("record_format", json!("xml")),
            ("record_format", json!(7)),
            ("actions", json!([])),
            ("actions", json!(["DROP"])),
            ("actions", json!("REJECT")),
            ("exclude_internal_traffic", json!("yes")),
            ("exclude_no_data", json!(1)),
        ] {
            let problem = read(name, &value).unwrap_err().to_string();
            assert!(problem.contains(&format!("`{name}`")), "{name} {value}: {problem}");
        }
    }
}
