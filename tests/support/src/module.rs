//! The real binary as a process, started as the platform starts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::ahead::Ahead;
use crate::eventually;

/// How to start the module: which command, with which values, on which storage.
///
/// The process sees no environment but what is named here.
#[derive(Clone, Debug)]
pub struct Module {
    binary: PathBuf,
    script: Option<PathBuf>,
    command: String,
    arguments: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    values: BTreeMap<String, String>,
    values_folder: Option<PathBuf>,
    working_folder: Option<PathBuf>,
    is_echoed: bool,
    limit: Option<String>,
}

impl Module {
    /// The `command` of the module in `binary`.
    pub fn new(binary: impl Into<PathBuf>, command: &str) -> Self {
        Self {
            binary: binary.into(),
            script: None,
            command: command.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            values: BTreeMap::new(),
            values_folder: None,
            working_folder: None,
            is_echoed: false,
            limit: None,
        }
    }

    /// Runs the script `path` with the binary, which is an interpreter.
    #[must_use]
    pub fn script(mut self, path: impl Into<PathBuf>) -> Self {
        self.script = Some(path.into());
        self
    }

    /// An argument after the command.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A configuration value of the platform, e.g. `token`; JSON as its text. Passed as a variable, unless
    /// [`Module::values_in`] says otherwise.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers pass text, numbers and JSON as they come")]
    pub fn value(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Takes back a value.
    #[must_use]
    pub fn without_value(mut self, name: &str) -> Self {
        self.values.remove(name);
        self
    }

    /// Passes values as files in this folder (`SYMPHONY_DIR`), written at the start, in place of variables.
    #[must_use]
    pub fn values_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.values_folder = Some(folder.into());
        self
    }

    /// The storage (`SYMPHONY_DATA_DIR`).
    #[must_use]
    pub fn storage(self, folder: impl AsRef<Path>) -> Self {
        self.env("SYMPHONY_DATA_DIR", folder.as_ref())
    }

    /// The endpoint of both S3 and STS.
    #[must_use]
    pub fn aws_endpoint(self, url: &str) -> Self {
        let services = ["S3", "SQS", "STS"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
        services.iter().fold(self, |module, name| module.env(name, url))
    }

    /// Any other variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Runs the process by this clock.
    #[must_use]
    pub fn clock(self, ahead: &Ahead) -> Self {
        ahead.environment().into_iter().fold(self, |module, (name, value)| module.env(name, value))
    }

    /// The working directory; otherwise that of the caller.
    #[must_use]
    pub fn working_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.working_folder = Some(folder.into());
        self
    }

    /// Runs the module under what a line of the shell sets, e.g. `ulimit -f 100`.
    #[must_use]
    pub fn limited(mut self, line: &str) -> Self {
        self.limit = Some(line.to_owned());
        self
    }

    /// Repeats what the module writes on the caller's stderr.
    #[must_use]
    pub fn echo(mut self) -> Self {
        self.is_echoed = true;
        self
    }

    /// Starts the process.
    ///
    /// # Panics
    /// When there is no such binary, or a value's file cannot be written.
    pub fn start(&self) -> Process {
        let mut command = match &self.limit {
            None => Command::new(&self.binary),
            Some(limit) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!(r#"{limit}; exec "$0" "$@""#)]).arg(&self.binary);
                shell
            }
        };
        command
            .args(&self.script)
            .arg(&self.command)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment);
        match &self.values_folder {
            None => {
                command.envs(self.values.iter().map(|(name, value)| (name.to_uppercase(), value)));
            }
            Some(folder) => {
                std::fs::create_dir_all(folder).expect("a folder for values");
                for (name, value) in &self.values {
                    std::fs::write(folder.join(name), value).expect("a value's file");
                }
                command.env("SYMPHONY_DIR", folder);
            }
        }
        if let Some(folder) = &self.working_folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C at the terminal of the caller is not for the module.
        command.process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let stdout = Lines::default();
        let stderr = Lines::default();
        let readers = vec![
            stdout.follow(child.stdout.take().expect("a pipe"), self.is_echoed),
            stderr.follow(child.stderr.take().expect("a pipe"), self.is_echoed),
        ];
        Process { child, stdout, stderr, readers }
    }
}

/// A running module. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// The process id; `None` once its exit was seen.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it wrote to stderr so far, a line each. Clones go on growing.
    pub fn stderr(&self) -> Lines {
        self.stderr.clone()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> Lines {
        self.stdout.clone()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Holds it up, as a process that hangs (SIGSTOP).
    pub fn hold_up(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// From here on, it may have this many open files.
    ///
    /// # Panics
    /// When it has ended, or the system refuses.
    pub fn limit_files(&self, files: u64) {
        let limit = Rlimit { current: Some(files), maximum: Some(files) };
        prlimit(self.pid(), Resource::Nofile, limit).expect("a limit");
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.pid() {
            // An error says that it has just ended.
            let _ = kill_process(id, signal);
        }
    }

    /// Waits for its end, with all its output read, for at most `timeout`; `None`: it still runs.
    pub async fn exited(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let status = tokio::time::timeout(timeout, self.child.wait()).await.ok()?.ok()?;
        for reader in self.readers.drain(..) {
            let _ = reader.await;
        }
        Some(status)
    }

    /// Asks it to end and waits; `None`: it still runs after `timeout`.
    pub async fn stop(&mut self, timeout: Duration) -> Option<ExitStatus> {
        self.terminate();
        self.exited(timeout).await
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// The lines of an output, growing while the process runs. Clones are the same lines.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// All lines so far as one text.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    /// Whether a line so far contains `part`.
    pub fn contain(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|line| line.contains(part))
    }

    /// Waits for a line that contains `part`; says whether it came within `timeout`.
    pub async fn wait_for(&self, part: &str, timeout: Duration) -> bool {
        eventually(timeout, || self.contain(part)).await
    }

    fn follow(&self, output: impl AsyncRead + Unpin + Send + 'static, is_echoed: bool) -> JoinHandle<()> {
        let lines = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut reader = BufReader::new(output).split(b'\n');
            while let Ok(Some(line)) = reader.next_segment().await {
                let line = String::from_utf8_lossy(&line).into_owned();
                if is_echoed {
                    eprintln!("{line}");
                }
                lines.lock().unwrap().push(line);
            }
        })
    }
}
