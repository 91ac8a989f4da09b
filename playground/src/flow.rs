//! The ways of records to the intake, and all in which they differ here.

/// Records in a batch at most.
pub(crate) const CHUNK: usize = 2500;

/// A way to the intake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// What the platform starts.
    pub(crate) node: &'static str,
    /// The module's command for it.
    pub(crate) command: &'static str,
    /// The value that has its arguments.
    pub(crate) configuration: &'static str,
    /// Whether it sends to the intake itself.
    pub(crate) is_connector: bool,
    /// Whether it takes the names of objects from a queue.
    pub(crate) is_queued: bool,
    /// Who takes its batches, and what they are there.
    pub(crate) taker: &'static str,
    pub(crate) batch: &'static str,
    /// Who fails on purpose.
    pub(crate) failing: &'static str,
    /// Where its user reads what it logs.
    pub(crate) log: &'static str,
    /// Records that may come twice after a kill: those in flight, where nobody can tell a repeat.
    pub(crate) repeats: usize,
}

impl Flow {
    /// The one that was chosen.
    pub(crate) fn of(is_connector: bool, is_queued: bool) -> &'static Self {
        match (is_connector, is_queued) {
            (false, false) => &PLAYBOOK,
            (true, false) => &CONNECTOR,
            (false, true) => &QUEUED_PLAYBOOK,
            (true, true) => &QUEUED_CONNECTOR,
        }
    }
}

/// A trigger that starts a run of the playbook for each batch.
const PLAYBOOK: Flow = Flow {
    node: "trigger",
    command: "fetch_flowlogs",
    configuration: "trigger_configuration",
    is_connector: false,
    is_queued: false,
    taker: "platform",
    batch: "an event",
    failing: "S3, the platform and the intake",
    log: "the playbook's log",
    repeats: 0,
};

/// A connector that sends batches to the intake itself.
const CONNECTOR: Flow = Flow {
    node: "connector",
    command: "collect_flowlogs",
    configuration: "connector_configuration",
    is_connector: true,
    is_queued: false,
    taker: "intake",
    batch: "a request",
    failing: "S3 and the intake",
    log: "the connector log",
    repeats: 5 * CHUNK,
};

/// The same, fed by a queue: what was in flight at a kill comes again.
const QUEUED_PLAYBOOK: Flow =
    Flow { command: "fetch_queued_flowlogs", is_queued: true, repeats: 5 * CHUNK, ..PLAYBOOK };
const QUEUED_CONNECTOR: Flow =
    Flow { command: "collect_queued_flowlogs", is_queued: true, repeats: 10 * CHUNK, ..CONNECTOR };
