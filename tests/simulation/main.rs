//! The trigger's real pipeline in a world that is made up: a bucket, a storage, a platform and a clock that fail, are
//! slow and lie, as a seed has it. Nothing in it is a copy of the trigger's own logic; it stands beneath the three
//! seams `Store`, `Backend` and `Sink`, and time is tokio's paused clock.
//!
//! One invariant (`check`): every record that was listed is delivered, or its object is named as rejected; and a record
//! comes again only where GUARANTEES.md allows it.
//!
//! `SEED=17 cargo test --test simulation a_seed` replays one schedule with all that happens in it; `SCHEDULES=100000`
//! runs more of them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "the code of a test outside its functions: what breaks ends the test"
)]

mod bucket;
mod check;
mod dice;
mod life;
mod plan;
mod platform;
mod queue;
mod storage;
mod walk;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use life::{Outcome, run};
use plan::{End, Plan};

/// Schedules that every run of the tests goes through.
const SCHEDULES: u64 = 10_000;

/// Runs the schedules of `seeds`, on as many threads as there are processors; gives the first failure by seed.
fn run_all(seeds: std::ops::Range<u64>, plan: impl Fn(u64) -> Plan + Sync) -> Result<u64, (u64, String)> {
    let steps = AtomicU64::new(0);
    each(seeds, |seed| {
        let Outcome { steps: taken, .. } = run(&plan(seed), false)?;
        steps.fetch_add(taken, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(steps.into_inner())
}

/// Does something with each of `seeds`, on as many threads as there are processors, until one fails.
fn each(
    seeds: std::ops::Range<u64>,
    act: impl Fn(u64) -> Result<(), String> + Sync,
) -> Result<(), (u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get) {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || !failures.lock().unwrap().is_empty() {
                        break;
                    }
                    if let Err(violation) = act(seed) {
                        failures.lock().unwrap().push((seed, violation));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap().into_iter().min().map_or(Ok(()), Err)
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "an option of this test, not a value of the platform")]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

/// Guarantee 1: Every record of an object that lies after the start is delivered once, whatever flow log, account,
/// region or day it belongs to, and however late it comes.
#[test]
fn whatever_goes_wrong_each_listed_record_is_delivered_or_named_as_rejected() {
    let schedules = number("SCHEDULES").unwrap_or(SCHEDULES);
    match run_all(0..schedules, Plan::of) {
        Ok(steps) => {
            println!("{schedules} schedules, {steps} calls to the bucket, the storage and the platform");
        }
        Err((seed, violation)) => {
            panic!("{violation}\nSEED={seed} cargo test --test simulation a_seed -- --nocapture replays it")
        }
    }
}

/// Guarantee 5: SIGKILL at any moment loses nothing and repeats at most the one batch that was in flight.
#[test]
fn a_crash_between_any_two_steps_loses_nothing() {
    for (seed, is_connector) in [(1, false), (2, false), (1, true)] {
        let plan = Plan::for_crashes(seed, is_connector);
        let steps = run(&plan, false).unwrap().steps;
        let crashed = run_all(0..2 * steps, |number| {
            let end = End::Crash { step: number / 2 + 1, is_before: number % 2 == 0 };
            Plan { lives: vec![end], ..plan.clone() }
        });
        if let Err((number, violation)) = crashed {
            panic!("plan {seed}, connector {is_connector}, crash {number} of {}: {violation}", 2 * steps);
        }
    }
}

#[test]
fn a_seed_replays_to_the_letter() {
    for seed in number("SEED").map_or(0..40, |seed| seed..seed + 1) {
        let is_told = number("SEED").is_some();
        let first = run(&Plan::of(seed), is_told);
        let again = run(&Plan::of(seed), false);
        let letters = |outcome: &Result<Outcome, String>| match outcome {
            Ok(outcome) => outcome.history.lines().map(str::to_owned).collect(),
            Err(violation) => vec![violation.clone()],
        };
        let (letters, again) = (letters(&first), letters(&again));
        if is_told && let Err(violation) = &first {
            panic!("{violation}");
        }
        let differs = letters.iter().zip(&again).find(|(first, again)| first != again);
        assert!(differs.is_none() && letters.len() == again.len(), "seed {seed} went otherwise: {differs:?}");
    }
}
