//! The action `push_events`: sends the events of a playbook run to the intake.
//!
//! arguments → events → chunk → post → results. Events are read, cut and posted at the same time, in buffers that go
//! round, so that neither the length of a file nor a slow intake costs memory.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use self::arguments::{ARGUMENTS, Arguments, Source};
use self::chunk::Envelope;
use self::events::EventsError;
use self::post::{Intake, Patience, PostError};
use self::results::{Outcome, SILENT};
use crate::config::{ConfigError, ModuleConfiguration};
use crate::platform::callback::{Callback, CallbackError};
use crate::platform::logs::LogQueue;
use crate::platform::storage::{Storage, StorageError};
use crate::platform::values::{ValueError, Values};
use crate::shutdown::{Shutdown, Stopped};

pub mod arguments;
pub mod chunk;
pub mod events;
pub mod post;
pub mod rejects;
pub mod results;

/// Runs the action from the first report to the last. What goes wrong in between is told to the platform; only what
/// cannot be told is an error here.
pub async fn run(values: &Values, logs: &LogQueue, shutdown: &Shutdown) -> Result<(), CallbackError> {
    let callback = Callback::from_values(values)?;
    let running = json!({"status": "running", "need_secrets": true});
    let secrets = match shutdown.race(callback.begin(&running, shutdown)).await {
        Ok(reported) => reported.map_err(PushError::from),
        Err(stopped) => Err(stopped.into()),
    };
    let outcome = match secrets {
        Ok(secrets) => push(&callback, values, secrets, shutdown).await,
        Err(error) => Err(error),
    };
    let outcome = outcome.unwrap_or_else(|error| Outcome::failed(&error));
    if let Some(error) = &outcome.error {
        tracing::error!("{error}");
    }
    callback.report_end(&outcome.into_report(logs.text()), shutdown).await
}

/// Why it did not come to sending.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error(transparent)]
    Running(CallbackError),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Arguments(#[from] ConfigError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Intake(#[from] PostError),
    #[error("{0}; nothing was sent, and no file is removed")]
    Events(#[from] EventsError),
    #[error("stopped by the platform before anything was sent; no file is removed")]
    Stopped(#[from] Stopped),
}

impl From<CallbackError> for PushError {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Stopped(stopped) => stopped.into(),
            error => Self::Running(error),
        }
    }
}

/// Reads, cuts and posts the events.
async fn push(
    callback: &Callback,
    values: &Values,
    secrets: Map<String, Value>,
    shutdown: &Shutdown,
) -> Result<Outcome, PushError> {
    let arguments = Arguments::read(values.required_json(ARGUMENTS)?)?;
    let api_key = api_key(values, secrets);
    let intake = Intake::new(callback.http().clone(), &arguments, api_key, Patience::default())?;
    let storage = Storage::from_values(values)?;
    let inputs = shutdown.race(events::open(&storage, &arguments.sources)).await??;

    let envelope = Envelope::new(&arguments.intake_key, arguments.compress);
    let (cutter, mut belt) = chunk::belt();
    tokio::task::spawn_blocking(move || chunk::cut(inputs, &envelope, cutter));
    let first = shutdown.race(belt.first()).await??;
    let posted = intake.post_all(first, &mut belt, shutdown).await;
    let conclusion = results::conclude(posted, belt.into_cut(), &storage, shutdown).await;

    if conclusion.error.is_none() && !arguments.keep_files {
        remove_files(&arguments.sources, &storage, shutdown).await;
    }
    Ok(conclusion)
}

/// The API key for the intake. Nothing else of the module configuration concerns a push, so that nothing else that
/// may be wrong with it stops one.
fn api_key(values: &Values, secrets: Map<String, Value>) -> Option<SecretString> {
    let mut module = match values.required_json("module_configuration") {
        Ok(module @ Value::Object(_)) => module,
        Ok(_) | Err(ValueError::Missing { .. }) => json!({}),
        Err(error) => {
            tracing::warn!("no API key is taken from the module configuration: {error}");
            json!({})
        }
    };
    if ModuleConfiguration::put_secrets(&mut module, secrets).contains(&"api_key") {
        tracing::warn!("the platform did not hand over the secret `api_key`: the intake is asked without it");
    }
    // What a copied header has around the key is no part of it.
    let key = module.get("api_key").and_then(Value::as_str)?;
    let key = key.trim().trim_matches(['"', '\'']).trim_start_matches("Bearer ").trim();
    (!key.is_empty()).then(|| key.into())
}

/// Removes what was sent. That it stays behind is no reason to call the push a failure.
async fn remove_files(sources: &[Source], storage: &Storage, shutdown: &Shutdown) {
    for path in sources.iter().filter_map(Source::path) {
        match shutdown.within(results::LAST_FILES, storage.remove_file(path)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the events were sent, but their file stays: {error}"),
            Err(Stopped) => tracing::warn!("the events were sent, but their file stays: {SILENT}"),
        }
    }
}
