//! Picks the command and the exit code; the library does the rest.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_flowlogs::manifest::MODULE_NAME;
use aws_flowlogs::platform::logs::LogQueue;
use aws_flowlogs::platform::values::Values;
use aws_flowlogs::platform::{error_reports, health};
use aws_flowlogs::shutdown::{self, Shutdown};
use aws_flowlogs::stdout::print;
use aws_flowlogs::{action, backfill, check, connector, manifest, queued, trigger, validate};
use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::runtime::Runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The C library's allocator does not give back what the buffers of many threads leave between the few things that stay:
/// with it, the process grew with every object that it read, though what it held did not (`tests/cost.rs` measures).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Carries VPC Flow Logs from S3 to a Sekoia.io intake, as a module of the platform's playbooks.
#[derive(Parser)]
#[command(name = "aws-flowlogs", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The trigger: watch a bucket and start a playbook run for each batch of records
    #[command(name = "fetch_flowlogs", visible_alias = "flowlog_records_trigger")]
    FetchFlowlogs,
    /// The connector: watch a bucket and send the records to an intake
    #[command(name = "collect_flowlogs", visible_alias = "aws_s3_no_sqs_trigger")]
    CollectFlowlogs,
    /// The trigger: take the names of objects from a queue and start a playbook run for each batch of records
    #[command(name = "fetch_queued_flowlogs")]
    FetchQueuedFlowlogs,
    /// The connector: take the names of objects from a queue and send the records to an intake
    #[command(
        name = "collect_queued_flowlogs",
        visible_aliases = ["aws_s3_flowlogs_trigger", "aws_s3_flowlogs_parquet_records_trigger"]
    )]
    CollectQueuedFlowlogs,
    /// The action: send the events of a run to the intake
    #[command(name = "push_events", visible_alias = "push-events-to-intake")]
    PushEvents,
    /// Prove that the account's keys and region work
    #[command(name = "validate_module_configuration")]
    ValidateModuleConfiguration,
    /// Check every step with the configuration of a trigger or connector, say what works and what to do; sends no event
    #[command(name = "check")]
    Check {
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
        /// Show this many records as they would be sent
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        show: usize,
    },
    /// Deliver what the bucket holds of a range of time, or what a dead-letter queue names, with the configuration of a trigger
    /// or connector; says how far it is, and ends
    #[command(name = "backfill")]
    Backfill(backfill::Request),
    /// Ask the trigger or connector of this container whether it is healthy
    #[command(name = "health")]
    Health,
    /// Print the manifests that the playbook editor reads, or write them into a folder
    #[command(name = "manifests")]
    Manifests {
        /// The folder to write the files into
        #[arg(long, value_name = "FOLDER")]
        write: Option<PathBuf>,
    },
}

impl Command {
    /// The name under which errors are reported, and the kind of node that it is.
    fn node(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::FetchFlowlogs => (manifest::TRIGGER_COMMAND, Some("trigger")),
            Self::CollectFlowlogs => (manifest::CONNECTOR_COMMAND, Some("connector")),
            Self::FetchQueuedFlowlogs => (manifest::QUEUED_TRIGGER_COMMAND, Some("trigger")),
            Self::CollectQueuedFlowlogs => (manifest::QUEUED_CONNECTOR_COMMAND, Some("connector")),
            Self::PushEvents => (manifest::ACTION_COMMAND, Some("action")),
            Self::ValidateModuleConfiguration => ("validate_module_configuration", None),
            Self::Check { .. } => ("check", None),
            Self::Backfill(_) => ("backfill", None),
            Self::Health => ("health", None),
            Self::Manifests { .. } => ("manifests", None),
        }
    }
}

fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) if error.use_stderr() => {
            // The platform shows what is printed here: an unknown command must come with the known ones.
            eprintln!("{error}\n{}", Arguments::command().render_help());
            return ExitCode::from(2);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match command {
        Command::Manifests { write } => finish(manifest::run(write.as_deref()).map(|text| print(&text))),
        Command::Health => finish(ask_health(&Values::from_env())),
        command => match shutdown::attended(move |shutdown| run_with_logs(&command, shutdown)) {
            Ok(Some(code)) => code,
            // Told to stop while something hangs. Nothing is said here: that may be stderr.
            Ok(None) => ExitCode::SUCCESS,
            Err(error) => finish(Err(error)),
        },
    }
}

/// Asks the trigger of this container, often: without a log.
fn ask_health(values: &Values) -> Result<(), Box<dyn std::error::Error>> {
    let port = values.port("liveness_port", health::LIVENESS_PORT)?;
    let told = runtime()?.block_on(health::ask(port))?;
    print(&format!("healthy: {told}\n"));
    Ok(())
}

/// Runs a command that logs what it does.
fn run_with_logs(command: &Command, shutdown: &Shutdown) -> ExitCode {
    let (values, logs) = (Values::from_env(), LogQueue::default());
    let (name, kind) = command.node();
    // What a person runs tells on its own stdout and nobody else.
    let is_by_hand = matches!(command, Command::Check { .. } | Command::Backfill(_));
    let reports = if is_by_hand { Ok(None) } else { error_reports::start(&values, MODULE_NAME, name, kind) };
    let level = if is_by_hand { LevelFilter::WARN } else { LevelFilter::INFO };
    tracing_subscriber::registry()
        .with(wanted_logs().unwrap_or_else(|| Targets::new().with_default(level)))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false))
        .with(logs.clone())
        .with(error_reports::layer())
        .init();
    if let Err(error) = &reports {
        tracing::warn!("errors are not reported to Sentry: {error}");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(error)),
    };
    let ended = runtime.block_on(run(command, &values, logs, shutdown));
    // Threads that decode what nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    finish(ended)
}

/// What `RUST_LOG` wants logged: a level, or levels by module (`warn,aws_flowlogs=debug`).
#[expect(
    clippy::disallowed_methods,
    reason = "it is for a person at a terminal, not a value of the platform"
)]
fn wanted_logs() -> Option<Targets> {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty())?;
    wanted.parse().ok()
}

async fn run(
    command: &Command,
    values: &Values,
    logs: LogQueue,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::FetchFlowlogs => trigger::run(values, logs, shutdown).await?,
        Command::CollectFlowlogs => connector::run(values, logs, shutdown).await?,
        Command::FetchQueuedFlowlogs => queued::run_trigger(values, logs, shutdown).await?,
        Command::CollectQueuedFlowlogs => queued::run_connector(values, logs, shutdown).await?,
        Command::PushEvents => action::run(values, &logs, shutdown).await?,
        Command::ValidateModuleConfiguration => validate::run(values, &logs, shutdown).await?,
        Command::Check { json, show } => check::run(values, *json, *show, shutdown).await?,
        Command::Backfill(request) => backfill::run(values, request, shutdown).await?,
        Command::Health | Command::Manifests { .. } => {}
    }
    Ok(())
}

/// One thread waits for the network; decoding and files are on threads of their own. A second one would only be woken
/// for each message that goes between the two.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn finish<E: std::fmt::Display>(ended: Result<(), E>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aws-flowlogs: {error}");
            ExitCode::FAILURE
        }
    }
}
