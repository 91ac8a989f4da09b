//! The connector `collect_flowlogs`: what a listing of the bucket finds, to an intake.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::aws::Aws;
use crate::config::connector::ConnectorConfiguration;
use crate::config::{CONNECTOR, ConfigError, ModuleConfiguration};
use crate::context::Context;
use crate::intake::client::Client;
use crate::platform::logs::LogQueue;
use crate::platform::values::{ValueError, Values};
use crate::s3::Bucket;
use crate::shutdown::{Shutdown, Stopped};
use crate::sink::intake::{Intake, Requests};
use crate::source::listing::presence::Instance;
use crate::source::listing::{owner, preflight};
use crate::start::{self, Configuration, StartError, Started};

/// Names a connector to which the platform gives no UUID: it is not the trigger to which it gives none.
const UNNAMED: Uuid = Uuid::from_u128(0x5d0a_94f1_8c3e_4b57_a1d2_6e8f_03b7_c9d4);

/// Runs the connector until the shutdown signal comes.
pub async fn run(values: &Values, logs: LogQueue, shutdown: &Shutdown) -> Result<(), StartError> {
    let work = |started: Started<ConnectorConfiguration>| {
        let Started { configuration, place: bucket, callback, context, instance } = started;
        let intake = &configuration.intake;
        let client = Client::new(callback.http().clone(), intake.batch_url.clone(), &intake.intake_key);
        collect(configuration, bucket, Arc::new(client), context, instance)
    };
    start::run(values, logs, shutdown, work).await
}

/// Sends what is new in `bucket` until the shutdown signal comes.
pub async fn collect(
    configuration: ConnectorConfiguration,
    bucket: Bucket,
    requests: Arc<dyn Requests>,
    context: Context,
    instance: Instance,
) -> Result<(), Stopped> {
    let ConnectorConfiguration { listing, intake } = configuration;
    tracing::info!(server = intake.batch_url.as_str(), "records go to the intake");
    let sink = Arc::new(Intake::new(requests, &intake, listing.chunk_size, &context));
    start::deliver_listed(listing, bucket, context, instance, |_| sink).await
}

impl Configuration for ConnectorConfiguration {
    type Place = Bucket;

    const NAME: &'static str = CONNECTOR;

    fn value(values: &Values) -> Result<&'static str, ValueError> {
        value(values)
    }

    fn uuid(values: &Values) -> Result<Option<Uuid>, ValueError> {
        let own = values.text("connector_configuration_uuid")?.and_then(|text| owner::uuid(&text));
        Ok(Some(own.unwrap_or(UNNAMED)))
    }

    fn read(given: Value, values: &Values) -> Result<Self, ConfigError> {
        Self::read(given, intake_url(values)?)
    }

    async fn open(
        &self,
        account: &ModuleConfiguration,
        aws: Aws,
        context: &Context,
    ) -> Result<Result<Bucket, ConfigError>, Stopped> {
        preflight::open(account, &self.listing, &aws, context).await
    }
}

/// The platform's value that has a connector's arguments. One that is used as a trigger has them there.
pub fn value(values: &Values) -> Result<&'static str, ValueError> {
    let own = values.text("connector_configuration")?;
    Ok(own.map_or("trigger_configuration", |_| "connector_configuration"))
}

/// The intake of the platform's region, as the platform names it.
pub fn intake_url(values: &Values) -> Result<Option<String>, ConfigError> {
    values.text("intake_url").map_err(|error| ConfigError::new(CONNECTOR, error.to_string()))
}
