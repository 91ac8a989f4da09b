//! Warnings and errors to Sentry, where the platform wants them: with `sentry_dsn` unset, nothing is sent.
//!
//! A report is a log line of this crate with the lines before it, and tags that tell which playbook it comes from. Log
//! lines carry no secret, and nothing else is taken along: no configuration, no environment.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use sentry::integrations::tracing::{BreadcrumbLayer, ErrorLayer};
use sentry::transports::ReqwestHttpTransportOptions;
use sentry::types::Dsn;
use sentry::{ClientInitGuard, ClientOptions, Transport, TransportFactory, TransportOptions};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::values::{ValueError, Values};
use crate::http::{causes, client};

/// How long one report may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of the process waits for the last reports to be taken.
const LAST_REPORTS: Duration = Duration::from_millis(500);

/// The values that are tags, each with the tag that the platform's SDK gives it.
const TAGS: [(&str, &str); 6] = [
    ("community_uuid", "community"),
    ("playbook_uuid", "playbook_uuid"),
    ("playbook_run_uuid", "playbook_run_uuid"),
    ("node_run_uuid", "node_run_uuid"),
    ("trigger_configuration_uuid", "trigger_configuration_uuid"),
    ("connector_configuration_uuid", "connector_configuration_uuid"),
];

/// Why errors are not reported, though the platform wants it.
#[derive(Debug, thiserror::Error)]
pub enum ReportsError {
    /// A value cannot be read.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Not quoted: a DSN has a key in it.
    #[error(
        "value `sentry_dsn` is not the DSN of a Sentry project, such as https://key@sentry.example.org/1"
    )]
    NotDsn,
    /// No HTTP client can be made here.
    #[error("cannot make an HTTP client: {0}")]
    NoClient(String),
}

/// Starts to report what the command of a module logs, which the platform runs as a `kind` of node; `None` if nobody wants
/// it. It comes before other threads are made: they inherit the tags.
pub fn start(
    values: &Values,
    module: &str,
    command: &str,
    kind: Option<&str>,
) -> Result<Option<Reports>, ReportsError> {
    let Some(dsn) = values.text("sentry_dsn")? else { return Ok(None) };
    let http = client(TIMEOUT).map_err(|error| ReportsError::NoClient(causes(&error)))?;
    let mut options = ClientOptions::new()
        .release(concat!(env!("CARGO_PKG_NAME"), "@", env!("CARGO_PKG_VERSION")))
        .transport(Http(http));
    options.dsn = Some(dsn.trim().parse::<Dsn>().map_err(|_| ReportsError::NotDsn)?);
    options.environment = values.text("environment")?.map(Into::into);
    let mut tags = vec![("module", module.to_owned()), ("name", command.to_owned())];
    tags.extend(kind.map(|kind| ("item_type", kind.to_owned())));
    for (value, tag) in TAGS {
        tags.extend(values.text(value)?.map(|text| (tag, text)));
    }
    let reports = Reports(ManuallyDrop::new(sentry::init(options)));
    sentry::configure_scope(|scope| tags.iter().for_each(|(tag, text)| scope.set_tag(tag, text)));
    Ok(Some(reports))
}

/// The reports on their way. Dropped, it waits a little for the last ones to be taken, and no longer: the guard in it
/// would wait for a Sentry that does not answer.
pub struct Reports(ManuallyDrop<ClientInitGuard>);

impl Drop for Reports {
    fn drop(&mut self) {
        self.0.flush(Some(LAST_REPORTS));
    }
}

/// Hands log lines on: those from `warn` on are reports, the others tell what came before.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let of_this_crate = |metadata: &Metadata<'_>| metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
    let before = filter_fn(move |metadata| of_this_crate(metadata) && *metadata.level() == Level::INFO);
    let reports = filter_fn(move |metadata| of_this_crate(metadata) && *metadata.level() <= Level::WARN);
    BreadcrumbLayer::new().with_filter(before).and_then(ErrorLayer::new().with_filter(reports))
}

/// Reports go out through a client of the house, which follows no redirect.
struct Http(reqwest::Client);

impl TransportFactory for Http {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(ReqwestHttpTransportOptions::from(options).with_client(self.0.clone()).build())
    }
}
