//! The step `trigger` or `connector`: the arguments of what is to run.

use uuid::Uuid;

use super::account::VALUES;
use super::report::{Step, Told};
use crate::config::connector::{ConnectorConfiguration, IntakeConfiguration};
use crate::config::queue::{QueueConfiguration, QueuedConnectorConfiguration};
use crate::config::{self, StartFrom, TriggerConfiguration};
use crate::connector;
use crate::platform::secrets::Secrets;
use crate::platform::values::{ValueError, Values};
use crate::start::Configuration;

/// The kinds of nodes, as steps.
pub(crate) const TRIGGER: &str = "trigger";
pub(crate) const CONNECTOR: &str = "connector";

/// A trigger or a connector.
pub(crate) struct Node {
    /// What it reads.
    pub(crate) reads: Reads,
    /// Names its state.
    pub(crate) uuid: Option<Uuid>,
    /// Where a connector sends to.
    pub(crate) intake: Option<IntakeConfiguration>,
}

/// Where the objects come from.
pub(crate) enum Reads {
    Listing(TriggerConfiguration),
    Queue(QueueConfiguration),
}

/// Whether the arguments are those of a node that reads a queue.
fn is_queued(is_connector: bool, values: &Values) -> bool {
    let name = if is_connector { connector::value(values) } else { Ok("trigger_configuration") };
    let given = name.and_then(|name| values.required_json(name));
    given.is_ok_and(|given| given.get("queue_name").is_some())
}

/// Whether the values are those of a connector. One that is used as a trigger has its arguments where a trigger has them,
/// with an intake key.
pub(crate) fn is_connector(values: &Values) -> bool {
    !matches!(values.text("connector_configuration"), Ok(None))
        || values.required_json("trigger_configuration").is_ok_and(|given| given.get("intake_key").is_some())
}

/// Reads the arguments of a trigger or, if `is_connector`, of a connector.
pub(crate) fn node(is_connector: bool, values: &Values, secrets: Option<&Secrets>) -> Step<Node> {
    let (told, node) = match (is_connector, is_queued(is_connector, values)) {
        (true, false) => {
            let (ConnectorConfiguration { listing, intake }, uuid) = read(values, secrets)?;
            let told = told(&listing, &format!(", records go to {}", intake.batch_url));
            (told, Node { reads: Reads::Listing(listing), uuid, intake: Some(intake) })
        }
        (false, false) => {
            let (listing, uuid) = read::<TriggerConfiguration>(values, secrets)?;
            (told(&listing, ""), Node { reads: Reads::Listing(listing), uuid, intake: None })
        }
        (true, true) => {
            let (QueuedConnectorConfiguration { queue, intake }, uuid) = read(values, secrets)?;
            let told = told_of_queue(&queue, &format!(", records go to {}", intake.batch_url));
            (told, Node { reads: Reads::Queue(queue), uuid, intake: Some(intake) })
        }
        (false, true) => {
            let (queue, uuid) = read::<QueueConfiguration>(values, secrets)?;
            (told_of_queue(&queue, ""), Node { reads: Reads::Queue(queue), uuid, intake: None })
        }
    };
    Ok((told, node))
}

impl Node {
    /// What is listed; `None` if the objects come from a queue.
    pub(crate) fn listing(&self) -> Option<&TriggerConfiguration> {
        match &self.reads {
            Reads::Listing(listing) => Some(listing),
            Reads::Queue(_) => None,
        }
    }
}

fn told_of_queue(configuration: &QueueConfiguration, destination: &str) -> Told {
    let QueueConfiguration { queue, prefix, .. } = configuration;
    let below = if prefix.is_empty() { "no prefix".to_owned() } else { format!("prefix {prefix}") };
    Told::ok(format!("queue {queue}, {below}{destination}")).with("prefix", prefix.as_str())
}

fn read<C: Configuration>(values: &Values, secrets: Option<&Secrets>) -> Result<(C, Option<Uuid>), Told> {
    let given =
        || -> Result<_, ValueError> { Ok((values.required_json(C::value(values)?)?, C::uuid(values)?)) };
    let (mut given, uuid) = given().map_err(|error| Told::failed(error.to_string(), VALUES))?;
    config::overlay(&mut given, secrets.map(|secrets| secrets.node.clone()).unwrap_or_default());
    let read = C::read(given, values);
    read.map(|read| (read, uuid))
        .map_err(|error| Told::failed(error.to_string(), format!("correct the {}", C::NAME)))
}

fn told(listing: &TriggerConfiguration, destination: &str) -> Told {
    let TriggerConfiguration { bucket, prefix, start_from, .. } = listing;
    let start = match start_from {
        StartFrom::Now => "now".to_owned(),
        StartFrom::Beginning => "the beginning".to_owned(),
        StartFrom::Time(time) => time.to_string(),
    };
    let below = if prefix.is_empty() { "no prefix".to_owned() } else { format!("prefix {prefix}") };
    let told = Told::ok(format!("bucket {bucket}, {below}, a first start begins from {start}{destination}"));
    told.with("bucket", bucket.as_str()).with("prefix", prefix.as_str())
}
