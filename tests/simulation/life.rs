//! The lives of the trigger in a world, one after the other, until all is settled.

use std::sync::Arc;
use std::time::Duration;

use aws_flowlogs::config::TriggerConfiguration;
use aws_flowlogs::config::connector::{ConnectorConfiguration, IntakeConfiguration};
use aws_flowlogs::connector::collect;
use aws_flowlogs::context::Context;
use aws_flowlogs::platform::health::Health;
use aws_flowlogs::platform::metrics::Metrics;
use aws_flowlogs::platform::storage::Storage;
use aws_flowlogs::s3::Bucket;
use aws_flowlogs::shutdown::Shutdown;
use aws_flowlogs::source::listing::presence;
use aws_flowlogs::trigger::watch;
use futures_util::FutureExt as _;
use jiff::SignedDuration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt as _;

use super::bucket::SimulatedBucket;
use super::check;
use super::plan::{End, Plan};
use super::platform::SimulatedPlatform;
use super::storage::{SimulatedStorage, damage};
use super::world::{Death, World};

pub(crate) const INTAKE_KEY: &str = "of the simulated intake";
/// SIGTERM must have ended the process by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

/// How a schedule ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) history: String,
}

/// Runs a schedule; the error is the violation. With `is_told`, the log and all steps are printed.
pub(crate) fn run(plan: &Plan, is_told: bool) -> Result<Outcome, String> {
    let world = World::new(plan.clone());
    // The jitter of waits.
    fastrand::seed(plan.dice.below("jitter", u64::MAX));
    let configuration = TriggerConfiguration::read(plan.arguments.clone()).unwrap();
    let told = is_told.then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stdout).without_time());
    let subscriber = tracing_subscriber::registry().with(Named(Arc::clone(&world))).with(told);
    let _listening = tracing::subscriber::set_default(subscriber);
    let ended = caught(|| {
        for (number, end) in plan.lives.iter().enumerate() {
            in_runtime(live(&world, &configuration, 10 * number, *end))?;
            if let End::Damage { .. } = end {
                damage(&world);
            }
        }
        in_runtime(settle(&world, &configuration, 10 * plan.lives.len()))?;
        let left = |path: &&std::path::PathBuf| path.starts_with("AWS Flowlog_events");
        let state = world.state();
        match state.files.keys().find(left) {
            // Where a removal failed or the note of the batch was damaged, the folder stays.
            Some(path) if plan.trouble == 0 && !plan.is_damaging() => {
                Err(format!("left behind: {}", path.display()))
            }
            _ => Ok(()),
        }
    });
    if is_told {
        println!(
            "{plan:#?}\n{}",
            world.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).history
        );
    }
    ended?;
    check::violation(&world, &configuration).map_or(Ok(()), Err)?;
    let mut state = world.state();
    Ok(Outcome { steps: state.steps, history: std::mem::take(&mut state.history) })
}

/// What `act` comes to; a panic is a violation as well.
pub(crate) fn caught(act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

/// A process of the trigger.
struct Instance {
    number: usize,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Instance {
    fn start(world: &Arc<World>, configuration: &TriggerConfiguration, number: usize) -> Self {
        let shutdown = Shutdown::default();
        let (bucket, mut context) = parts(world, configuration, number);
        context.shutdown = shutdown.clone();
        let id = uuid::Uuid::from_u128(number as u128);
        let instance = presence::Instance { id, trigger: None, started: Instant::now() };
        let platform = Arc::new(SimulatedPlatform { world: Arc::clone(world), instance: number });
        let listing = configuration.clone();
        let task = if world.plan.is_connector {
            let batch_url = "http://intake/batch".parse().unwrap();
            let intake = IntakeConfiguration { intake_key: INTAKE_KEY.into(), batch_url, compress: false };
            let configuration = ConnectorConfiguration { listing, intake };
            tokio::spawn(collect(configuration, bucket, platform, context, instance).map(drop))
        } else {
            tokio::spawn(watch(listing, bucket, platform, context, instance).map(drop))
        };
        Self { number, shutdown, task }
    }

    /// The process is killed.
    fn kill(&self, world: &World) {
        self.task.abort();
        let mut state = world.state();
        state.dead.insert(self.number);
        state.held.retain(|_, holder| *holder != self.number);
        state.deliveries.forget(self.number);
    }

    /// The process is told to stop, and ends within its time.
    async fn stop(self, world: &World) -> Result<(), String> {
        self.shutdown.stop();
        let ended = tokio::time::timeout(STOPPED_WITHIN, self.task).await;
        let mut state = world.state();
        state.dead.insert(self.number);
        state.held.retain(|_, holder| *holder != self.number);
        // What it knew it has noted, unless the storage refused.
        if world.plan.trouble > 0 {
            state.deliveries.forget(self.number);
        }
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(panic)) => Err(format!("instance {}: {panic}", self.number)),
            Err(_) => Err(format!("instance {} does not stop", self.number)),
        }
    }
}

/// What an instance works with.
pub(crate) fn parts(
    world: &Arc<World>,
    configuration: &TriggerConfiguration,
    instance: usize,
) -> (Bucket, Context) {
    let (metrics, _) = Metrics::new();
    let at = || Arc::clone(world);
    let store = SimulatedBucket { world: at(), instance };
    let bucket = Bucket::over(&configuration.bucket, store, metrics.clone());
    let context = Context {
        storage: Storage::over(SimulatedStorage { world: at(), instance }),
        health: Health::new(),
        metrics,
        shutdown: Shutdown::default(),
    };
    (bucket, context)
}

pub(crate) fn in_runtime<T>(life: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    // One thread for what blocks, so that objects are decoded in the order in which they were opened.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(life)
}

/// A life that ends as the plan has it, or after some hours.
async fn live(
    world: &Arc<World>,
    configuration: &TriggerConfiguration,
    number: usize,
    end: End,
) -> Result<(), String> {
    world.begin_life();
    let (step, death) = match end {
        End::Crash { step, is_before } => (step, Some(Death { is_before })),
        End::Stop { step } | End::Overtaken { step, .. } => (step, None),
        End::Damage { step } => (step, Some(Death { is_before: false })),
    };
    world.state().appointment = Some((step, death));
    let mut instance = Instance::start(world, configuration, number);
    let rung = ring(world, &mut instance).await?;
    match end {
        End::Overtaken { later, is_killed, .. } if rung => {
            world.state().appointment = Some((step + later, None));
            let mut newer = Instance::start(world, configuration, number + 1);
            ring(world, &mut newer).await?;
            if is_killed {
                instance.kill(world);
            } else {
                instance.stop(world).await?;
            }
            newer.kill(world);
        }
        End::Stop { .. } => instance.stop(world).await?,
        _ => instance.kill(world),
    }
    world.end_life(Duration::from_secs(world.plan.dice.below("pause", 600)));
    Ok(())
}

/// Waits for the appointed step. False if it did not come within some hours.
async fn ring(world: &World, instance: &mut Instance) -> Result<bool, String> {
    tokio::select! {
        () = world.bell.notified() => Ok(true),
        ended = &mut instance.task => Err(format!("instance {} ended by itself: {ended:?}", instance.number)),
        () = pass(Duration::from_secs(6 * 3600)) => Ok(false),
    }
}

/// The last life: until all is delivered, and some polls more, in which nothing may come again.
async fn settle(
    world: &Arc<World>,
    configuration: &TriggerConfiguration,
    number: usize,
) -> Result<(), String> {
    world.begin_life();
    world.state().appointment = None;
    let instance = Instance::start(world, configuration, number);
    let patience = configuration.frequency * 400 + Duration::from_secs(12 * 3600);
    let last = world.plan.last_change() + SignedDuration::try_from(patience).unwrap();
    loop {
        pass(configuration.frequency * 2).await;
        let missing = check::missing(world, configuration);
        if world.now() > world.plan.last_change() && missing.is_empty() {
            break;
        }
        if world.now() > last {
            return Err(format!("neither delivered nor named as rejected: {missing:#?}"));
        }
    }
    pass(configuration.frequency * 12).await;
    instance.stop(world).await
}

pub(crate) async fn pass(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the clock is paused: no time passes")]
    tokio::time::sleep(time).await;
}

/// Listens for objects that are named as rejected.
pub(crate) struct Named(pub(crate) Arc<World>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Named {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        #[derive(Default)]
        struct Fields {
            key: String,
            message: String,
        }
        impl tracing::field::Visit for Fields {
            fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
                if field.name() == "key" {
                    value.clone_into(&mut self.key);
                }
            }
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.message = format!("{value:?}");
                }
            }
        }
        if *event.metadata().level() == tracing::Level::ERROR {
            let mut fields = Fields::default();
            event.record(&mut fields);
            if fields.message.starts_with("object rejected") {
                self.0.state().rejected.insert(fields.key);
            }
        }
    }
}
