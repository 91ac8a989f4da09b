//! The step `trigger` or `connector`: the arguments of what is to run.

use uuid::Uuid;

use super::account::VALUES;
use super::report::{Step, Told};
use crate::config::connector::{ConnectorConfiguration, IntakeConfiguration};
use crate::config::{self, StartFrom, TriggerConfiguration};
use crate::platform::secrets::Secrets;
use crate::platform::values::{ValueError, Values};
use crate::start::Configuration;

/// A trigger or a connector.
pub(super) struct Node {
    /// What it reads.
    pub(super) listing: TriggerConfiguration,
    /// Names its state.
    pub(super) uuid: Option<Uuid>,
    /// Where a connector sends to.
    pub(super) intake: Option<IntakeConfiguration>,
}

/// Whether the values are those of a connector. One that is used as a trigger has its arguments where a trigger has them,
/// with an intake key.
pub(super) fn is_connector(values: &Values) -> bool {
    !matches!(values.text("connector_configuration"), Ok(None))
        || values.required_json("trigger_configuration").is_ok_and(|given| given.get("intake_key").is_some())
}

/// Reads the arguments of a trigger or, if `is_connector`, of a connector.
pub(super) fn node(is_connector: bool, values: &Values, secrets: Option<&Secrets>) -> Step<Node> {
    let (told, node) = if is_connector {
        let (ConnectorConfiguration { listing, intake }, uuid) = read(values, secrets)?;
        let told = told(&listing, &format!(", records go to {}", intake.batch_url));
        (told, Node { listing, uuid, intake: Some(intake) })
    } else {
        let (listing, uuid) = read::<TriggerConfiguration>(values, secrets)?;
        (told(&listing, ""), Node { listing, uuid, intake: None })
    };
    Ok((told, node))
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
