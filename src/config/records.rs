//! In which form records go out, and which do not.

use flow_log::aggregate::Aggregate;
use flow_log::decode::{Decoder, RecordFormat};
use flow_log::filter::{Filter, Internal, Networks, Ports};
use flow_log::record::selection::Selection;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::{ConfigError, TRIGGER};

/// The values of `record_format`.
pub(super) const FORMATS: [&str; 3] = ["auto", "raw", "json"];
/// The values of `actions`.
pub(super) const ACTIONS: [&str; 2] = ["ACCEPT", "REJECT"];

/// The values of `aggregate`.
pub(super) const AGGREGATES: [&str; 3] = ["off", "flows", "services"];

/// What is wrong with another value of `exclude_internal_traffic`.
const INTERNAL_PROBLEM: &str = "must be `false`, `accepted` or `true`";

/// What the user says of records.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RecordArguments {
    /// Leave out traffic between private addresses, often most of it: false (none), accepted (only what was let through; what was not may be an attacker's trace) or true (all)
    // Once only true or false, which a form shows as a box to tick: hence no type, and all that it takes.
    #[serde(default = "default_internal")]
    #[schemars(title = "Leave out internal traffic", schema_with = "internal_schema")]
    exclude_internal_traffic: Value,
    /// Which traffic to send: ACCEPT (what was let through), REJECT (what was not), or both
    #[serde(default = "default_actions")]
    #[schemars(title = "Accepted and rejected traffic", extend("items" = {"type": "string", "enum": ACTIONS}))]
    #[schemars(extend("minItems" = 1, "uniqueItems" = true, "examples" = [["REJECT"]]))]
    actions: Vec<String>,
    /// Leave out records that only say that there was no traffic, i.e. those with the log status NODATA
    #[serde(default)]
    #[schemars(title = "Leave out empty intervals")]
    exclude_no_data: bool,
    /// Leave out traffic from or to these networks, e.g. 10.20.0.0/16 or 192.0.2.7; with > between two of them, what goes from the one to the other, e.g. 10.0.0.0/8>192.0.2.0/24
    #[serde(default)]
    #[schemars(title = "Leave out networks", extend("examples" = [["10.20.0.0/16", "10.0.0.0/8>192.0.2.0/24"]]))]
    exclude_networks: Vec<String>,
    /// Leave out traffic from or to these ports: numbers or ranges, with the protocol if it matters, e.g. 53 or tcp/8000-8080
    #[serde(default)]
    #[schemars(title = "Leave out ports", extend("examples" = [["53", "tcp/8000-8080"]]))]
    exclude_ports: Vec<String>,
    /// Merge records of an object, so that fewer are sent: off (none), flows (those of one connection, minute by minute) or services (in addition those that differ only in the client's port)
    #[serde(default = "default_aggregate")]
    #[schemars(title = "Merge records", extend("enum" = AGGREGATES))]
    aggregate: String,
    /// How records are sent: auto (the line as AWS wrote it where the intake understands it, otherwise JSON), raw (always the line) or json (always JSON)
    #[serde(default = "default_record_format")]
    #[schemars(title = "Form of the records", extend("enum" = FORMATS))]
    record_format: String,
    /// Which fields of a record to send, e.g. srcaddr and dstaddr, for flow logs with more of them than you look at; records are sent as JSON then. Leave it empty to send all
    #[serde(default)]
    #[schemars(title = "Fields", extend("examples" = [["srcaddr", "dstaddr", "dstport", "action", "start", "end"]]))]
    fields: Vec<String>,
}

/// The values of `exclude_internal_traffic`.
fn internal_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": [false, "accepted", true] })
}

fn default_internal() -> Value {
    Value::Bool(false)
}

fn default_aggregate() -> String {
    "off".to_owned()
}

fn default_record_format() -> String {
    "auto".to_owned()
}

fn default_actions() -> Vec<String> {
    ACTIONS.map(str::to_owned).into()
}

/// Which records go out, and in which form.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// In which form they go out.
    pub format: RecordFormat,
    /// Which do not.
    pub filter: Filter,
    /// Which of their fields do, as JSON.
    pub fields: Selection,
    /// Which are merged.
    pub aggregate: Aggregate,
}

impl Records {
    /// What the user's arguments mean.
    pub(super) fn resolve(arguments: &RecordArguments) -> Result<Self, ConfigError> {
        let problem = |name: &str, problem: &str| {
            Err(ConfigError::new(TRIGGER, format!("property `{name}` {problem}")))
        };
        let format = match arguments.record_format.trim() {
            "auto" | "" => RecordFormat::Auto,
            "raw" => RecordFormat::Raw,
            "json" => RecordFormat::Json,
            _ => return problem("record_format", "must be `auto`, `raw` or `json`"),
        };
        let fields = match Selection::parse(&arguments.fields) {
            Ok(fields) => fields,
            Err(error) => return problem("fields", &format!("cannot be used: {error}")),
        };
        let format = match format {
            // A line has all of them.
            RecordFormat::Auto if fields != Selection::default() => RecordFormat::Json,
            RecordFormat::Raw if fields != Selection::default() => {
                return problem(
                    "fields",
                    "is for records as JSON: set `record_format` to `json` or `auto`, or leave it out",
                );
            }
            format => format,
        };
        let aggregate = match arguments.aggregate.trim() {
            "off" | "" => Aggregate::Off,
            "flows" => Aggregate::Flows,
            "services" => Aggregate::Services,
            _ => return problem("aggregate", "must be `off`, `flows` or `services`"),
        };
        Ok(Self { format, filter: filter(arguments)?, fields, aggregate })
    }

    /// What makes such records of objects.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.format, self.filter.clone())
            .with_fields(self.fields.clone())
            .with_aggregate(self.aggregate)
    }
}

/// What to leave out.
fn filter(arguments: &RecordArguments) -> Result<Filter, ConfigError> {
    let problem =
        |name: &str, problem: &str| Err(ConfigError::new(TRIGGER, format!("property `{name}` {problem}")));
    let wants = |action| arguments.actions.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(action));
    let [accepted, rejected] = ACTIONS.map(wants);
    let known = |given: &String| ACTIONS.iter().any(|action| given.trim().eq_ignore_ascii_case(action));
    if !(accepted || rejected) || !arguments.actions.iter().all(known) {
        return problem("actions", "must be a list of `ACCEPT`, `REJECT` or both");
    }
    let internal = match &arguments.exclude_internal_traffic {
        Value::Bool(false) => Internal::No,
        Value::Bool(true) => Internal::All,
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "" | "false" => Internal::No,
            "accepted" => Internal::Accepted,
            "true" => Internal::All,
            _ => return problem("exclude_internal_traffic", INTERNAL_PROBLEM),
        },
        _ => return problem("exclude_internal_traffic", INTERNAL_PROBLEM),
    };
    let networks = match Networks::parse(&arguments.exclude_networks) {
        Ok(networks) => networks,
        Err(error) => return problem("exclude_networks", &format!("cannot be used: {error}")),
    };
    let ports = match Ports::parse(&arguments.exclude_ports) {
        Ok(ports) => ports,
        Err(error) => return problem("exclude_ports", &format!("cannot be used: {error}")),
    };
    let no_data = arguments.exclude_no_data;
    Ok(Filter { internal, accepted: !accepted, rejected: !rejected, no_data, networks, ports })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::TriggerConfiguration;
    use super::*;

    fn read(name: &str, value: &Value) -> Result<TriggerConfiguration, ConfigError> {
        TriggerConfiguration::read(json!({"bucket_name": "logs", name: value}))
    }

    fn records(name: &str, value: &Value) -> Records {
        read(name, value).unwrap().records
    }

    #[test]
    fn records_go_out_as_they_stand_and_all_of_them_unless_the_user_says_otherwise() {
        let all = records("frequency", &json!(60));
        assert_eq!(all.format, RecordFormat::Auto);
        assert!(!all.filter.is_active() && all.fields == Selection::default());
        assert_eq!(all.aggregate, Aggregate::Off);
        for (text, format) in
            [("raw", RecordFormat::Raw), ("json", RecordFormat::Json), ("auto", RecordFormat::Auto)]
        {
            assert_eq!(records("record_format", &json!(text)).format, format);
        }
    }

    #[test]
    fn actions_are_those_to_send() {
        let filter = |actions: Value| records("actions", &actions).filter;
        assert!(!filter(json!(["REJECT", "accept"])).is_active());
        assert_eq!(filter(json!(["REJECT"])), Filter { accepted: true, ..Filter::default() });
        assert_eq!(filter(json!(["ACCEPT"])), Filter { rejected: true, ..Filter::default() });
        assert!(records("exclude_no_data", &json!(true)).filter.no_data);
    }

    #[test]
    fn internal_traffic_is_left_out_as_before_or_where_it_was_accepted_alone() {
        for (given, internal) in [
            (json!(false), Internal::No),
            (json!(true), Internal::All),
            (json!("accepted"), Internal::Accepted),
            (json!(" Accepted "), Internal::Accepted),
            (json!("true"), Internal::All),
            (json!("false"), Internal::No),
            (json!(null), Internal::No),
        ] {
            assert_eq!(records("exclude_internal_traffic", &given).filter.internal, internal, "{given}");
        }
    }

    #[test]
    fn networks_and_ports_are_lists() {
        let networks = json!([" 10.0.0.0/8", "10.0.0.0/8>192.0.2.0/24", "2001:db8::/32", "192.0.2.7"]);
        assert!(!records("exclude_networks", &networks).filter.networks.is_empty());
        // A number is meant as one.
        assert!(
            !records("exclude_ports", &json!([53, "tcp/8000-8080", "1024 - 2048"])).filter.ports.is_empty()
        );
        for name in ["exclude_networks", "exclude_ports"] {
            assert!(!records(name, &json!([])).filter.is_active());
        }
    }

    #[test]
    fn records_are_merged_as_the_user_says() {
        let aggregate = |text: &str| records("aggregate", &json!(text)).aggregate;
        assert_eq!(
            ["off", "flows", " services", ""].map(aggregate),
            [Aggregate::Off, Aggregate::Flows, Aggregate::Services, Aggregate::Off]
        );
    }

    #[test]
    fn fields_are_for_records_as_json() {
        let chosen = records("fields", &json!(["srcaddr", "dst_addr"]));
        assert_eq!((chosen.format, chosen.fields.wants("action")), (RecordFormat::Json, false));
        assert_eq!(records("fields", &json!([])).format, RecordFormat::Auto);
        let raw = json!({"bucket_name": "logs", "record_format": "raw", "fields": ["srcaddr"]});
        let problem = TriggerConfiguration::read(raw).unwrap_err().to_string();
        assert!(problem.contains("set `record_format` to `json` or `auto`"), "{problem}");
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (name, value, said) in [
            ("record_format", json!("xml"), "`raw`"),
            ("record_format", json!(7), "text"),
            ("actions", json!([]), "ACCEPT"),
            ("actions", json!(["DROP"]), "ACCEPT"),
            ("actions", json!("REJECT"), "a list"),
            ("actions", json!([1]), "a list of text"),
            ("exclude_internal_traffic", json!("yes"), "`accepted`"),
            ("exclude_internal_traffic", json!(1), "`accepted`"),
            ("exclude_no_data", json!(1), "true or false"),
            ("exclude_networks", json!("10.0.0.0/8"), "a list"),
            ("exclude_networks", json!([10]), "a list of text"),
            ("exclude_networks", json!(["10.0.0.0/8", "10.0.0.1/8"]), "`10.0.0.1/8` has bits that are set"),
            ("exclude_networks", json!(["a.example>10.0.0.0/8"]), "`a.example>10.0.0.0/8` is no address"),
            ("exclude_ports", json!(["53", "http"]), "`http` is no port"),
            ("exclude_ports", json!([70_000]), "`70000` is no port"),
            ("exclude_ports", json!(["gre/1"]), "`gre/1` has a protocol"),
            ("aggregate", json!("connections"), "`services`"),
            ("fields", json!(["srcaddr", "colour"]), "`colour` is no field"),
        ] {
            let problem = read(name, &value).unwrap_err().to_string();
            assert!(
                problem.contains(&format!("`{name}`")) && problem.contains(said),
                "{name} {value}: {problem}"
            );
        }
    }
}
