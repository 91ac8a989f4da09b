//! What the user of a queue configures: its name, and what becomes of what it announces.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::connector::{self, IntakeArguments, IntakeConfiguration};
use super::records::{RecordArguments, Records};
use super::{CONNECTOR, ConfigError, TRIGGER, default_chunk_size, is_region, prefix, read};

/// The arguments of a trigger that reads a queue, as the user gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Flow logs that a queue announces")]
pub struct QueueArguments {
    /// The name of the SQS queue that S3 announces new objects in, e.g. sekoia-flow-logs; of another account or region its URL or ARN
    #[schemars(title = "Queue", length(min = 1))]
    queue_name: String,
    /// Read only the objects whose key begins with this text, e.g. AWSLogs/111122223333/vpcflowlogs/ for one account; what else the queue announces is left out
    #[serde(default)]
    #[schemars(title = "Prefix")]
    prefix: String,
    #[serde(flatten)]
    records: RecordArguments,
    /// How many records a playbook run gets at most, e.g. 50000; fewer, fuller runs are better, and a run never gets more than 16 MiB
    #[serde(default = "default_chunk_size")]
    #[schemars(title = "Records per run", range(min = 1, max = 1_000_000), extend("examples" = [50_000]))]
    chunk_size: u32,
    /// Only if the owner of a bucket has made it one of requester pays: your account then pays for the requests and the transfer
    #[serde(default)]
    #[schemars(title = "Requester pays")]
    requester_pays: bool,
}

/// The arguments of a connector that reads a queue, as the user gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "Flow logs that a queue announces", transform = connector::for_an_intake)]
pub struct QueuedConnectorArguments {
    #[serde(flatten)]
    intake: IntakeArguments,
    #[serde(flatten)]
    queue: QueueArguments,
}

/// What is read from a queue, and how.
#[derive(Clone, Debug)]
pub struct QueueConfiguration {
    /// The queue.
    pub queue: QueueName,
    /// What keys begin with; empty for any.
    pub prefix: String,
    /// Records in a batch at most.
    pub chunk_size: usize,
    /// Which records go out, and in which form.
    pub records: Records,
    /// Whether who reads the buckets pays for it.
    pub requester_pays: bool,
}

/// A connector that reads a queue.
#[derive(Clone, Debug)]
pub struct QueuedConnectorConfiguration {
    /// What is read, and how.
    pub queue: QueueConfiguration,
    /// Where it goes.
    pub intake: IntakeConfiguration,
}

/// A queue, by whichever of its names the user gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueName {
    /// The name alone.
    pub name: String,
    /// The account that it belongs to, where that was said.
    pub account: Option<String>,
    /// The region that it is in, where that was said.
    pub region: Option<String>,
    /// Its URL, if that was given.
    pub url: Option<String>,
}

impl fmt::Display for QueueName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        for (what, said) in [("account", &self.account), ("region", &self.region)] {
            if let Some(said) = said {
                write!(formatter, ", {what} {said}")?;
            }
        }
        Ok(())
    }
}

impl QueueName {
    /// Reads a name, a URL or an ARN.
    pub fn read(given: &str) -> Result<Self, ConfigError> {
        let text = given.trim();
        let url = text.contains("://").then(|| text.to_owned());
        let whole = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (name, account, region) = if let Some((_, rest)) = text.split_once("://") {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            let mut parts = rest.trim_end_matches('/').split('/');
            let region = parts.next().and_then(|host| host.split('.').find(|label| is_region(label)));
            let (account, name) = (parts.next(), parts.next());
            (name.unwrap_or_default(), account.and_then(whole), region.map(str::to_owned))
        } else if text.starts_with("arn:") {
            let parts: Vec<&str> = text.split(':').collect();
            match parts.as_slice() {
                ["arn", _, "sqs", region, account, name] => (*name, whole(account), whole(region)),
                _ => ("", None, None),
            }
        } else {
            (text, None, None)
        };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let is_name = (1..=80).contains(&name.len()) && name.trim_end_matches(".fifo").chars().all(is_letter);
        let is_account = |account: &String| account.bytes().all(|digit| digit.is_ascii_digit());
        if !is_name || !account.iter().all(is_account) {
            let problem = "property `queue_name` must be the queue's name, e.g. sekoia-flow-logs, its URL or its ARN, as the queue's page in SQS shows them";
            return Err(ConfigError::new(TRIGGER, problem));
        }
        Ok(Self { name: name.to_owned(), account, region, url })
    }
}

impl QueueConfiguration {
    /// Reads the trigger's arguments.
    pub fn read(mut given: Value) -> Result<Self, ConfigError> {
        adapt(TRIGGER, &mut given);
        Self::resolve(&read::<QueueArguments>(TRIGGER, given)?.warn_unknown(TRIGGER))
    }

    fn resolve(arguments: &QueueArguments) -> Result<Self, ConfigError> {
        prefix::check(&arguments.prefix)?;
        Ok(Self {
            queue: QueueName::read(&arguments.queue_name)?,
            prefix: arguments.prefix.clone(),
            chunk_size: usize::try_from(arguments.chunk_size).unwrap_or(usize::MAX),
            records: Records::resolve(&arguments.records)?,
            requester_pays: arguments.requester_pays,
        })
    }
}

impl QueuedConnectorConfiguration {
    /// Reads the connector's arguments, also those of the platform's own connectors. `intake_url` is the platform's own value:
    /// it counts where the user names no intake server.
    pub fn read(mut given: Value, intake_url: Option<String>) -> Result<Self, ConfigError> {
        connector::adapt(&mut given);
        adapt(CONNECTOR, &mut given);
        let arguments = read::<QueuedConnectorArguments>(CONNECTOR, given)?.warn_unknown(CONNECTOR);
        let QueuedConnectorArguments { intake, queue } = arguments;
        Ok(Self {
            intake: IntakeConfiguration::resolve(intake, intake_url)?,
            queue: QueueConfiguration::resolve(&queue).map_err(|error| error.of_node(CONNECTOR))?,
        })
    }
}

/// What the platform's own connectors have, and a queue has no use for: it is not polled at intervals.
fn adapt(what: &str, given: &mut Value) {
    super::adapt(what, given);
    given.as_object_mut().map(|properties| properties.remove("frequency"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queue_is_known_by_its_name_its_url_and_its_arn() {
        let queue = |name: &str, account: Option<&str>, region: Option<&str>| QueueName {
            name: name.to_owned(),
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
            url: None,
        };
        let (account, region) = (Some("111122223333"), Some("eu-west-3"));
        for (given, expected) in [
            (" flow-logs\n", queue("flow-logs", None, None)),
            ("flow_logs.fifo", queue("flow_logs.fifo", None, None)),
            (
                "https://sqs.eu-west-3.amazonaws.com/111122223333/flow-logs",
                queue("flow-logs", account, region),
            ),
            (
                "https://eu-west-3.queue.amazonaws.com/111122223333/flow-logs/",
                queue("flow-logs", account, region),
            ),
            (
                "https://vpce-0a1b.sqs.eu-west-3.vpce.amazonaws.com/111122223333/flow-logs",
                queue("flow-logs", account, region),
            ),
            ("http://127.0.0.1:9324/000000000000/q", queue("q", Some("000000000000"), None)),
            ("arn:aws:sqs:eu-west-3:111122223333:flow-logs", queue("flow-logs", account, region)),
            ("arn:aws-cn:sqs:cn-north-1:111122223333:q", queue("q", account, Some("cn-north-1"))),
        ] {
            let url = given.contains("://").then(|| given.to_owned());
            assert_eq!(QueueName::read(given).unwrap(), QueueName { url, ..expected }, "{given}");
        }
        for given in [
            "",
            "a b",
            "arn:aws:s3:::acme-flow-logs",
            "arn:aws:sns:eu-west-3:111122223333:topic:uuid",
            "https://sqs.eu-west-3.amazonaws.com/",
            "https://sqs.eu-west-3.amazonaws.com/flow-logs",
        ] {
            let error = QueueName::read(given).unwrap_err().to_string();
            assert!(error.contains("`queue_name` must be"), "{given}: {error}");
        }
    }

    #[test]
    fn the_arguments_of_the_platforms_own_connectors_are_understood() {
        let given = json!({
            "frequency": 60, "queue_name": "q", "intake_key": "k", "chunk_size": 10_000, "separator": "\\n", "skip_first": 1,
            "ignore_comments": false, "intake_server": "https://intake.sekoia.io", "prefix_filter": "AWSLogs/1/",
        });
        let QueuedConnectorConfiguration { queue, intake } =
            QueuedConnectorConfiguration::read(given, None).unwrap();
        assert_eq!((queue.queue.name.as_str(), queue.prefix.as_str()), ("q", "AWSLogs/1/"));
        assert_eq!(queue.chunk_size, 10_000);
        assert_eq!(intake.batch_url.as_str(), "https://intake.sekoia.io/batch");
        let least = json!({"queue_name": "q", "intake_key": "k"});
        assert_eq!(QueuedConnectorConfiguration::read(least, None).unwrap().queue.chunk_size, 30_000);
        let trigger = QueueConfiguration::read(json!({"queue_name": "q", "frequency": 10})).unwrap();
        assert_eq!((trigger.chunk_size, trigger.prefix.as_str()), (10_000, ""));
        // Beyond the form, as that of the listing.
        let most = QueueConfiguration::read(json!({"queue_name": "q", "chunk_size": 2_000_000})).unwrap();
        assert_eq!(most.chunk_size, 1_000_000);
    }
}
