//! The whole way of a flow log, on this machine: a bucket that flow logs keep arriving in, a platform that runs the
//! playbook template, an intake, and between them the real binary, a process for the trigger and one for each run of
//! the action, or one for the connector. Ends with a verdict: was anything lost?
//!
//! `make demo`, or with the connector, or with a bucket and an intake of your own:
//!
//! ```text
//! make demo ARGS="--connector"
//! export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
//! make demo ARGS="--bucket acme-flow-logs --region eu-west-3 --intake-key …"
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool for a person at a terminal, not part of the module"
)]

mod flow;
mod ledger;
mod metrics;
mod options;
mod runs;
mod screen;
mod verdict;
mod world;
mod writer;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use support::module::Process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use options::Options;
use screen::Screen;
use verdict::Verdict;
use world::{Problem, World};
use writer::Writer;

/// How often the progress is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long what was written may take to arrive once the writing is over. What a killed replica had taken from a queue comes
/// again after two minutes.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_OF_QUEUE: Duration = Duration::from_secs(180);
/// What the platform gives a trigger or connector to end.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match play(Options::parse()).await {
        Ok(verdict) => {
            println!("{verdict}");
            if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("playground: {problem}");
            ExitCode::from(2)
        }
    }
}

async fn play(options: Options) -> Result<Verdict, Problem> {
    let world = Arc::new(World::build(&options).await?);
    let mut screen = Screen::new();
    let mut writer = Writer::new(&world, &options);
    if let Some(writer) = &mut writer {
        writer.write_backlog();
    }
    let others: Vec<Process> = world.others.iter().map(support::module::Module::start).collect();
    let mut node = world.node.start();
    screen.banner(&world, &options, &node);
    let runs = tokio::spawn(Arc::clone(&world.runs).run_events());

    let writing = Duration::from_secs(options.seconds);
    let mut kill_at = options.kill.then_some(writing / 2);
    let mut kills = 0;
    let mut interrupts = Interrupts::new()?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = Instant::now();
    let mut writing_until = start + writing;
    let patience = if world.flow.is_queued { PATIENCE_OF_QUEUE } else { PATIENCE };
    let mut until = writing_until + patience;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = interrupts.next() => {
                // The first ends the writing, the second the waiting.
                let now = Instant::now();
                until = if now >= writing_until { now } else { now + patience };
                writing_until = writing_until.min(now);
            }
        }
        let is_writing = Instant::now() < writing_until;
        if let Some(said) = writer.as_mut().filter(|_| is_writing).and_then(Writer::write_due) {
            screen.say(&said);
        }
        if kill_at.is_some_and(|at| start.elapsed() >= at) {
            kill_at = None;
            kills += 1;
            node = kill_and_restart(&world, node, &mut screen).await;
        }
        world.take_in().await;
        world.metrics.read().await;
        screen.show(&world);
        let has_all_arrived = !is_writing && world.has_all_arrived();
        if has_all_arrived || Instant::now() >= until || !node.is_running() {
            break;
        }
    }

    let ended_early = !node.is_running();
    let asked = Instant::now();
    let exit = node.stop(GRACE).await;
    let took = asked.elapsed();
    for mut other in others {
        other.stop(GRACE).await;
    }
    // What the trigger handed over last still has to go through the playbook.
    tokio::select! {
        _ = support::eventually(PATIENCE, || world.runs.under_way() == 0) => {}
        () = interrupts.next() => {}
    }
    world.take_in().await;
    runs.abort();
    screen.end(&world);
    let log = node.stderr().all();
    Ok(Verdict::new(&world, verdict::Ending { exit, took, ended_early, kills, log }))
}

/// Ctrl-C and SIGTERM.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ends the trigger or connector as a crash does, and starts it again as the platform does.
async fn kill_and_restart(world: &World, mut node: Process, screen: &mut Screen) -> Process {
    node.kill();
    node.exited(GRACE).await;
    let (name, node) = (world.flow.node, world.node.start());
    screen.say(&format!("{name} killed (SIGKILL) and started again, process {}", node.id().unwrap_or(0)));
    node
}
