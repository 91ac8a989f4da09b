//! What users configure: the types from which the manifests are generated, and the reading of values against them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub use self::account::{Login, ModuleConfiguration, is_region};
pub use self::records::Records;
pub use self::schema::{Given, check_required, overlay, read, schema_of};

mod account;
mod bucket;
pub mod connector;
mod prefix;
pub mod queue;
mod records;
mod schema;

/// The trigger's arguments, as the user gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Flow logs in a bucket")]
pub struct TriggerArguments {
    /// The name of the S3 bucket that the flow logs are delivered to, or its ARN, without a path, e.g. acme-flow-logs
    #[schemars(title = "Bucket", length(min = 1), extend("pattern" = bucket::PATTERN))]
    pub bucket_name: String,
    /// Read only the objects whose key begins with this text, e.g. AWSLogs/111122223333/vpcflowlogs/ for one account, without a / before it; leave it empty for all flow logs in the bucket
    #[serde(default)]
    #[schemars(title = "Prefix")]
    pub prefix: String,
    /// Where to begin at the very first start: now (what AWS writes from then on), beginning (everything that the bucket holds), or a time, e.g. 2026-11-01T00:00:00Z
    #[serde(default = "default_start_from")]
    #[schemars(title = "Start from")]
    #[schemars(extend("pattern" = START_FROM, "examples" = ["now", "beginning", "2026-11-01T00:00:00Z"]))]
    pub start_from: String,
    #[serde(flatten)]
    records: records::RecordArguments,
    /// How many seconds from one look for new objects to the next, e.g. 300: AWS writes every 5 to 10 minutes; each look costs a LIST call or two for each account and region
    #[serde(default = "default_frequency")]
    #[schemars(title = "Seconds between polls", range(min = 1, max = 86_400), extend("examples" = [300]))]
    pub frequency: u32,
    /// How many records a playbook run gets at most, e.g. 50000; fewer, fuller runs are better, and a run never gets more than 16 MiB
    #[serde(default = "default_chunk_size")]
    #[schemars(title = "Records per run", range(min = 1, max = 1_000_000), extend("examples" = [50_000]))]
    pub chunk_size: u32,
    /// How many hours late an object may come to be found by the next poll, e.g. 48; what comes later is found as well, but by a slow sweep. Each day more is listed at every poll
    #[serde(default = "default_late_window_hours")]
    #[schemars(title = "Hours that objects may be late", range(min = 1, max = 8_760), extend("examples" = [48]))]
    pub late_window_hours: u32,
    /// Where to end, for a run over what the bucket holds of some time: a time after the start, e.g. 2026-12-01T00:00:00Z; what AWS writes from then on is left out. Leave it empty to go on without end
    #[serde(default)]
    #[schemars(title = "End at")]
    #[schemars(extend("pattern" = END_AT, "examples" = ["2026-12-01T00:00:00Z"]))]
    pub end_at: String,
    /// Only if the bucket's owner has made it one of requester pays: your account then pays for the requests and the transfer
    #[serde(default)]
    #[schemars(title = "Requester pays")]
    pub requester_pays: bool,
}

/// What a form takes for `start_from`; [`StartFrom`] takes other ways to write a time as well.
const START_FROM: &str =
    r"^(now|beginning|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}))$";

/// What a form takes for `end_at`: nothing, or a time.
const END_AT: &str = r"^(|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2}))$";

fn default_start_from() -> String {
    "now".to_owned()
}

fn default_frequency() -> u32 {
    60
}

fn default_chunk_size() -> u32 {
    10_000
}

fn default_late_window_hours() -> u32 {
    // AWS delivers within 10 minutes as a rule and makes up for what it could not deliver within hours.
    24
}

/// The trigger's arguments, as the trigger uses them.
#[derive(Clone, Debug)]
pub struct TriggerConfiguration {
    /// The bucket's name.
    pub bucket: String,
    /// What keys begin with; empty for any.
    pub prefix: String,
    /// Whether who reads the bucket pays for it.
    pub requester_pays: bool,
    /// Where to begin without state.
    pub start_from: StartFrom,
    /// Where to end; `None` to go on.
    pub end: Option<End>,
    /// The time from the start of a poll to the next.
    pub frequency: Duration,
    /// Records in a batch at most.
    pub chunk_size: usize,
    /// How far back each poll looks for objects that come late.
    pub late_window: SignedDuration,
    /// Which records go out, and in which form.
    pub records: Records,
}

/// Where a trigger begins that has no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// With the objects written from the start of the process on.
    Now,
    /// With the oldest object.
    Beginning,
    /// With the objects written from this time on.
    Time(Timestamp),
}

/// Where a run over a range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Objects that S3 took from this time on do not belong to the range.
    pub time: Timestamp,
    /// How often what cannot be read is tried, until the run ends without it; `None` for as long as it takes.
    pub attempts: Option<u32>,
}

/// A configuration that cannot be used: which one, and everything that is wrong with it. Carries no value but of a
/// bucket, a prefix and a region.
#[derive(Debug, thiserror::Error)]
#[error("the {what} cannot be used: {}; correct it {}", problems.join("; "), place(what))]
pub struct ConfigError {
    what: &'static str,
    problems: Vec<String>,
}

impl ConfigError {
    /// A configuration with one problem.
    pub fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problems: vec![problem.into()] }
    }

    /// A problem of the trigger's arguments, said of those of the node `what`.
    pub fn of_node(self, what: &'static str) -> Self {
        if self.what == TRIGGER { Self { what, ..self } } else { self }
    }
}

/// Where a configuration is corrected.
fn place(what: &str) -> &'static str {
    if what == CONNECTOR { "on the intake's page" } else { "in the playbook editor" }
}

/// The name of the trigger's arguments in messages.
pub const TRIGGER: &str = "trigger configuration";
/// The name of the connector's arguments in messages.
pub const CONNECTOR: &str = "connector configuration";
/// The name of the module's account in messages.
pub const MODULE: &str = "module configuration";

/// The bounds of the form that playbooks made for the AWS module may be beyond: those must go on working.
const LARGEST: [(&str, u64); 2] = [("frequency", 86_400), ("chunk_size", 1_000_000)];

/// Takes other names and numbers beyond the form for what they mean, in the arguments of any node.
fn adapt(what: &str, given: &mut Value) {
    let Value::Object(properties) = given else { return };
    properties.retain(|_, value| !value.is_null());
    if let Some(prefix) = properties.remove("prefix_filter") {
        properties.entry("prefix").or_insert(prefix);
    }
    if let Some(ports) = properties.get_mut("exclude_ports").and_then(Value::as_array_mut) {
        ports.iter_mut().filter(|port| port.is_u64()).for_each(|port| *port = port.to_string().into());
    }
    for (name, largest) in LARGEST {
        if properties.get(name).and_then(Value::as_u64).is_some_and(|value| value > largest) {
            tracing::warn!(
                "property `{name}` of the {what} is larger than {largest}, which is taken in its place"
            );
            properties.insert(name.to_owned(), largest.into());
        }
    }
}

impl TriggerConfiguration {
    /// Reads the trigger's arguments; `bucket` is another name of `bucket_name`.
    pub fn read(mut given: Value) -> Result<Self, ConfigError> {
        Self::adapt(TRIGGER, &mut given);
        Self::resolve(read::<TriggerArguments>(TRIGGER, given)?.warn_unknown(TRIGGER))
    }

    /// Takes other names and numbers beyond the form for what they mean.
    fn adapt(what: &str, given: &mut Value) {
        adapt(what, given);
        if let Value::Object(properties) = given
            && let Some(bucket) = properties.remove("bucket")
        {
            properties.entry("bucket_name").or_insert(bucket);
        }
    }

    fn resolve(arguments: TriggerArguments) -> Result<Self, ConfigError> {
        prefix::check(&arguments.prefix)?;
        let start_from = StartFrom::read(&arguments.start_from)?;
        Ok(Self {
            bucket: bucket::read(&arguments.bucket_name)?,
            records: Records::resolve(&arguments.records)?,
            prefix: arguments.prefix,
            requester_pays: arguments.requester_pays,
            end: End::read(&arguments.end_at, start_from)?,
            start_from,
            frequency: Duration::from_secs(arguments.frequency.into()),
            chunk_size: usize::try_from(arguments.chunk_size).unwrap_or(usize::MAX),
            late_window: SignedDuration::from_hours(arguments.late_window_hours.into()),
        })
    }

    /// What is wrong in all likelihood if nothing lies below the prefix; `None` for a prefix as prefixes are.
    pub fn mistake(&self) -> Option<ConfigError> {
        prefix::mistake(&self.prefix, &self.bucket)
    }
}

impl StartFrom {
    fn read(text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "now" | "" => Ok(Self::Now),
            "beginning" => Ok(Self::Beginning),
            time => time.parse().map(Self::Time).map_err(|_| {
                let problem =
                    "property `start_from` must be `now`, `beginning` or a time such as 2026-11-01T00:00:00Z";
                ConfigError::new(TRIGGER, problem)
            }),
        }
    }
}

impl End {
    fn read(text: &str, start_from: StartFrom) -> Result<Option<Self>, ConfigError> {
        let problem = |problem| Err(ConfigError::new(TRIGGER, problem));
        if text.trim().is_empty() {
            return Ok(None);
        }
        match (text.trim().parse(), start_from) {
            (Err(_), _) => problem("property `end_at` must be empty or a time such as 2026-12-01T00:00:00Z"),
            (Ok(end), StartFrom::Time(start)) if end <= start => {
                problem("property `end_at` must be a time after `start_from`")
            }
            (Ok(time), _) => Ok(Some(Self { time, attempts: None })),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(given: Value) -> String {
        TriggerConfiguration::read(given).unwrap_err().to_string()
    }

    #[test]
    fn a_playbook_of_the_python_module_is_understood() {
        let configuration = TriggerConfiguration::read(
            json!({"bucket_name": "logs", "frequency": 86401, "chunk_size": u64::MAX}),
        )
        .unwrap();
        assert_eq!((configuration.frequency.as_secs(), configuration.chunk_size), (86_400, 1_000_000));
        let schema = schemars::schema_for!(TriggerArguments);
        for (name, largest) in LARGEST {
            assert_eq!(schema.get("properties").unwrap()[name]["maximum"], largest);
        }
        let given = json!({"bucket_name": "logs", "prefix": null, "frequency": 60, "chunk_size": 5000.0, "intake_key": "k"});
        let configuration = TriggerConfiguration::read(given).unwrap();
        assert_eq!(configuration.prefix, "");
        assert_eq!(configuration.chunk_size, 5000);
        assert_eq!(configuration.start_from, StartFrom::Now);
        assert_eq!(TriggerConfiguration::read(json!({"bucket": "logs"})).unwrap().bucket, "logs");
    }

    #[test]
    fn what_cannot_be_used_is_named_with_the_reason() {
        for (given, name, reason) in [
            (json!([]), "", "not a JSON object"),
            (json!({}), "`bucket_name`", "missing"),
            (json!({"bucket_name": 7}), "`bucket_name`", "must be text, but is a number"),
            (json!({"bucket_name": " "}), "`bucket_name`", "must not be empty"),
            (json!({"bucket_name": "s3://logs/x"}), "`bucket_name`", "without s3://"),
            (json!({"bucket_name": "logs", "prefix": "x".repeat(1025)}), "`prefix`", "1024 bytes"),
            (json!({"bucket_name": "logs", "frequency": 0}), "`frequency`", "at least 1"),
            (json!({"bucket_name": "logs", "chunk_size": 0}), "`chunk_size`", "at least 1"),
            (json!({"bucket_name": "logs", "chunk_size": -5}), "`chunk_size`", "at least 1"),
            (json!({"bucket_name": "logs", "chunk_size": 1e99}), "`chunk_size`", "whole number"),
            (json!({"bucket_name": "logs", "late_window_hours": 0}), "`late_window_hours`", "at least 1"),
            (
                json!({"bucket_name": "logs", "late_window_hours": 8761}),
                "`late_window_hours`",
                "at most 8760",
            ),
            (json!({"bucket_name": "logs", "frequency": "often"}), "`frequency`", "but is text"),
            (json!({"bucket_name": "logs", "start_from": "yesterday"}), "`start_from`", "`beginning`"),
            (json!({"bucket_name": "logs", "end_at": "now"}), "`end_at`", "a time such as"),
            (
                json!({"bucket_name": "logs", "start_from": "2026-11-01T00:00:00Z", "end_at": "2026-11-01T00:00Z"}),
                "`end_at`",
                "after `start_from`",
            ),
        ] {
            let message = problem(given.clone());
            assert!(message.contains(name) && message.contains(reason), "{given}: {message}");
        }
    }

    #[test]
    fn no_message_and_no_debug_print_carries_a_secret() {
        let secret = 424_242_424_242_u64;
        let given = |secret: Value| json!({"aws_access_key": "a", "aws_secret_access_key": secret, "aws_region_name": "eu-west-3"});
        let error = read::<ModuleConfiguration>(MODULE, given(secret.into())).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("4242"), "{error:?}");
        let configuration = read::<ModuleConfiguration>(MODULE, given("hush".into())).unwrap().value;
        assert!(!format!("{configuration:?}").contains("hush"));
    }
}
