//! Runs of a playbook's action, each a process of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Error, Playbook, render};
use crate::module::Module;
use crate::platform::{Event, Outcome, Platform};

/// Runs the action that follows a playbook's trigger, for one event after the other or several at a time.
#[derive(Clone, Debug)]
pub struct Runner {
    platform: Arc<Platform>,
    playbook: Arc<Playbook>,
    module: Module,
    slots: Arc<Semaphore>,
    timeout: Duration,
}

/// A finished run of the action.
#[derive(Clone, Debug)]
pub struct Run {
    /// What started it.
    pub event: Event,
    /// What it came to; `None`: its process ended, or ran out of time, without a word.
    pub outcome: Option<Outcome>,
    /// The exit code of the process; `None`: it was still running, or ended by a signal.
    pub exit_code: Option<i32>,
    /// What it wrote to stderr, a line each.
    pub stderr: Vec<String>,
}

impl Run {
    /// Whether it ended without an error.
    pub fn is_success(&self) -> bool {
        self.exit_code == Some(0) && self.outcome.as_ref().is_some_and(|outcome| outcome.error.is_none())
    }
}

impl Runner {
    /// A runner that starts `module` for each event: the action's command, with everything it needs beyond what a
    /// run brings along (arguments, callback, token, storage).
    pub fn new(platform: Arc<Platform>, playbook: Playbook, module: Module) -> Self {
        const AT_ONCE: usize = 2;
        const TIMEOUT: Duration = Duration::from_secs(600);
        Self {
            platform,
            playbook: Arc::new(playbook),
            module,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            timeout: TIMEOUT,
        }
    }

    /// Allows this many runs side by side; 2 otherwise.
    #[must_use]
    pub fn at_once(mut self, count: usize) -> Self {
        self.slots = Arc::new(Semaphore::new(count));
        self
    }

    /// Gives a run this long; 10 minutes otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the action for `event`, when a slot is free, and waits for its end.
    ///
    /// # Errors
    /// The template has no action, or its arguments cannot be rendered.
    pub async fn run(&self, event: Event) -> Result<Run, Error> {
        let _slot = self.slots.acquire().await.expect("never closed");
        let (trigger, _) = self.playbook.trigger()?;
        let (_, action) = self.playbook.action()?;
        let outputs = BTreeMap::from([(trigger.to_owned(), event.event.clone())]);
        let arguments = render(&action.arguments, &outputs)?;
        let run = self.platform.action_run_in(&event.run_storage);
        let mut process = self
            .module
            .clone()
            .value("arguments", Value::Object(arguments))
            .value("token", self.platform.token())
            .value("url_callback", run.url_callback())
            .values_in(run.storage().with_extension("values"))
            .storage(run.storage())
            .start();
        let exit = process.exited(self.timeout).await;
        Ok(Run {
            event,
            outcome: run.outcome(),
            exit_code: exit.and_then(|status| status.code()),
            stderr: process.stderr().all(),
        })
    }
}
