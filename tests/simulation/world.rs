//! What outlives a life of the trigger: the storage's files, what the platform has, the clock; and the steps at which
//! lives end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::check::Deliveries;
use super::dice::Dice;
use super::plan::Plan;

/// More calls than any schedule needs: a trigger that makes so many does not wait where it should.
const STEPS: u64 = 200_000;

/// The world of one schedule.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) state: Mutex<State>,
    /// Rings when a step comes at which something is to happen.
    pub(crate) bell: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The files of the storage by path.
    pub(crate) files: BTreeMap<PathBuf, Bytes>,
    /// Files that an instance holds as long as it lives.
    pub(crate) held: HashMap<PathBuf, usize>,
    pub(crate) deliveries: Deliveries,
    /// Keys that the log names as rejected.
    pub(crate) rejected: BTreeSet<String>,
    /// When the state was in the storage for the first time.
    pub(crate) born: Option<Timestamp>,
    /// All that happened, to compare two runs of a seed.
    pub(crate) history: String,
    /// Calls so far, of all lives and of this one.
    pub(crate) steps: u64,
    pub(crate) steps_of_life: u64,
    /// The step of this life at which the bell rings; and the instance that dies at it, before or after its effect.
    pub(crate) appointment: Option<(u64, Option<Death>)>,
    /// Instances that are dead: nothing that they do has an effect any more.
    pub(crate) dead: BTreeSet<usize>,
    /// How often each decision was taken.
    taken: HashMap<String, u64>,
    /// When waits of this life end, counted from its start.
    ends: HashSet<Duration>,
    /// The time before this life, and its start by tokio's clock.
    elapsed: Duration,
    began: Option<Instant>,
}

/// When a process dies: before a step has its effect, or after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    pub(crate) is_before: bool,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It fails and has had no effect.
    Failed,
    /// It has had its effect, and fails.
    Lost,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { plan, state: Mutex::default(), bell: Notify::new() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The time by the clock of S3 and everybody else.
    pub(crate) fn now(&self) -> Timestamp {
        self.state().now(self.plan.start)
    }

    /// A life begins, on a runtime of its own.
    pub(crate) fn begin_life(&self) {
        let mut state = self.state();
        state.began = Some(Instant::now());
        state.ends.clear();
        state.steps_of_life = 0;
    }

    /// A life ends; some time passes until the next.
    pub(crate) fn end_life(&self, pause: Duration) {
        let mut state = self.state();
        let life = state.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        state.elapsed += life + pause;
        state.held.clear();
    }

    /// Lets `instance` take a step: waits as long as the call takes, lets it have its effect or not, and answers, unless
    /// the instance dies meanwhile.
    pub(crate) async fn step<T>(
        &self,
        instance: usize,
        what: &str,
        about: &str,
        effect: impl FnOnce(&mut State, Timestamp, Fault, Dice) -> T,
    ) -> T {
        let (dice, fault) = self.roll(instance, what, about);
        self.wait(dice, what, "way there").await;
        let took = self.take_effect(instance, |state, now| {
            let line = format!("{now} {instance} {what} {about} {fault:?}\n");
            state.history.push_str(&line);
            effect(state, now, fault, dice)
        });
        let Some(done) = took else { return std::future::pending().await };
        self.wait(dice, what, "way back").await;
        if self.state().dead.contains(&instance) {
            return std::future::pending().await;
        }
        done
    }

    /// Counts a step and lets it have its effect; `None` if the instance is dead then.
    fn take_effect<T>(&self, instance: usize, effect: impl FnOnce(&mut State, Timestamp) -> T) -> Option<T> {
        let mut state = self.state();
        if state.dead.contains(&instance) {
            return None;
        }
        state.steps += 1;
        state.steps_of_life += 1;
        assert!(state.steps < STEPS, "more than {STEPS} calls: something is repeated without a wait");
        let appointed = state.appointment.filter(|(step, _)| *step == state.steps_of_life);
        let death = appointed.and_then(|(_, death)| death);
        let now = state.now(self.plan.start);
        let done = match death {
            Some(Death { is_before: true }) => None,
            _ => Some(effect(&mut state, now)),
        };
        if appointed.is_some() {
            self.bell.notify_one();
        }
        if death.is_some() {
            state.dead.insert(instance);
            return None;
        }
        done
    }

    /// Mostly some milliseconds; what goes over the network takes many seconds now and then. No two waits end in the same
    /// millisecond: what they let go on would go on side by side, on threads that know nothing of the seed.
    async fn wait(&self, dice: Dice, what: &str, way: &str) {
        let is_slow = matches!(what, "list" | "get" | "send") && dice.below(way, 50) == 0;
        let ms = if is_slow { 1_000 + dice.below("slow", 20_000) } else { 1 + dice.below("fast", 40) };
        let wait = {
            let mut state = self.state();
            let now = state.began.map_or(Duration::ZERO, |began| began.elapsed());
            let mut end = now + Duration::from_millis(ms);
            while !state.ends.insert(end) {
                end += Duration::from_millis(1);
            }
            end - now
        };
        #[expect(clippy::disallowed_methods, reason = "the clock is paused: no time passes")]
        tokio::time::sleep(wait).await;
    }

    fn roll(&self, instance: usize, what: &str, about: &str) -> (Dice, Fault) {
        let mut state = self.state();
        let is_calm = state.now(self.plan.start) >= self.plan.calm_from;
        let decision = format!("{instance} {what} {about}");
        let nth = state.taken.entry(decision.clone()).or_default();
        *nth += 1;
        let dice = self.plan.dice.about(&decision, *nth);
        let fault = match dice.chance("fault", self.plan.trouble) && !is_calm {
            false => Fault::None,
            true => dice.one_of("kind of fault", &[Fault::Failed, Fault::Lost]),
        };
        (dice, fault)
    }
}

impl State {
    fn now(&self, start: Timestamp) -> Timestamp {
        let life = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        start + SignedDuration::try_from(self.elapsed + life).unwrap()
    }
}
