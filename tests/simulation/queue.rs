//! A queue as the source: replicas that share it, notifications that come twice or late, visibility that passes, answers that
//! are lost, deaths at any step.
//!
//! One invariant: a message is deleted only when every record of every object that it announces was delivered, or the object
//! was named as rejected or is gone; and in the end no message is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_flowlogs::config::TriggerConfiguration;
use aws_flowlogs::config::connector::IntakeConfiguration;
use aws_flowlogs::config::queue::QueueConfiguration;
use aws_flowlogs::layout::lane::is_flow_log;
use aws_flowlogs::queued::deliver;
use aws_flowlogs::s3::Bucket;
use aws_flowlogs::shutdown::Shutdown;
use aws_flowlogs::sink::Sink;
use aws_flowlogs::sink::intake::Intake;
use aws_flowlogs::sink::playbook::Playbook;
use aws_flowlogs::source::queue::buckets::Buckets;
use aws_flowlogs::sqs::{Answer, Depth, Mailbox, Message, SqsError, SqsFailure};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::task::JoinHandle;
use tracing_subscriber::layer::SubscriberExt as _;

use super::bucket::SimulatedBucket;
use super::life::{INTAKE_KEY, Named, in_runtime, parts, pass};
use super::plan::{Plan, Planned};
use super::platform::SimulatedPlatform;
use super::world::{Death, Fault, State, World};

/// Replicas that share the queue.
const REPLICAS: usize = 2;
const BUCKET: &str = "logs";
const LINGER: Duration = Duration::from_secs(2);
/// How much sooner everything comes than where a bucket is listed.
const SOONER: i32 = 40;

/// The queue of a world.
#[derive(Debug, Default)]
struct Mail {
    messages: Vec<Posted>,
    /// How many messages were sent.
    sent: usize,
    /// How many of the plan's objects were announced.
    announced: usize,
    violation: Option<String>,
}

#[derive(Debug)]
struct Posted {
    id: usize,
    /// The objects that it announces, by their place in the plan.
    objects: Vec<usize>,
    receives: u32,
    visible: Timestamp,
}

impl Posted {
    /// Another one at each receipt.
    fn handle(&self) -> String {
        format!("{}-{}", self.id, self.receives)
    }

    fn message(&self, world: &World) -> Message {
        let record = |place: &usize| {
            let object = &world.plan.objects[*place];
            json!({
                "eventName": "ObjectCreated:Put", "eventTime": object.taken.to_string(),
                "s3": {"bucket": {"name": BUCKET}, "object": {
                    "key": object.key.replace('%', "%25").replace('+', "%2B").replace(' ', "+"),
                    "size": object.body.len(), "eTag": format!("{}-{}", object.body.len(), object.taken),
                }},
            })
        };
        let records: Vec<_> = self.objects.iter().map(record).collect();
        Message {
            id: self.id.to_string(),
            handle: self.handle(),
            body: json!({ "Records": records }).to_string(),
            receives: self.receives,
        }
    }
}

/// The queue as one replica sees it.
#[derive(Debug)]
struct SimulatedQueue {
    world: Arc<World>,
    instance: usize,
    mail: Arc<Mutex<Mail>>,
    prefix: String,
}

fn failed() -> SqsError {
    SqsError::new("ask", "the queue", "as drawn".to_owned(), SqsFailure::Passing)
}

impl SimulatedQueue {
    /// Whether nothing of an object need be delivered any more.
    fn is_settled(&self, object: &Planned, state: &State, now: Timestamp) -> bool {
        let delivered = state.deliveries.records();
        !object.key.starts_with(&self.prefix)
            || !is_flow_log(&object.key, &self.prefix)
            || object.body.is_empty()
            || object.vanishes.is_some_and(|vanishes| vanishes <= now)
            || state.rejected.contains(&object.key)
            || (!object.is_corrupt
                && object.records.iter().all(|record| delivered.contains_key(record.as_str())))
    }

    /// S3 announces what has come, in whatever order, and now and then twice.
    fn announce(&self, mail: &mut Mail, now: Timestamp) {
        while let Some(object) = self.world.plan.objects.get(mail.announced) {
            if object.appears > now {
                break;
            }
            let dice = self.world.plan.dice.about("announce", mail.announced as u64);
            let mut objects = vec![mail.announced];
            mail.announced += 1;
            let next = self.world.plan.objects.get(mail.announced);
            if dice.chance("together", 20) && next.is_some_and(|next| next.appears <= now) {
                objects.push(mail.announced);
                mail.announced += 1;
            }
            for _ in 0..if dice.chance("twice", 15) { 2 } else { 1 } {
                mail.sent += 1;
                let id = mail.sent;
                let late = SignedDuration::from_secs(i64::try_from(dice.below("late", 90)).unwrap());
                let (objects, visible) = (objects.clone(), now + late);
                mail.messages.push(Posted { id, objects, receives: 0, visible });
            }
        }
    }
}

impl Mailbox for SimulatedQueue {
    fn receive(&self, visibility: Duration) -> Answer<'_, Vec<Message>> {
        let received = async move {
            let step = self.world.step(self.instance, "receive", "", |_, now, fault, dice| {
                if fault == Fault::Failed {
                    return Err(failed());
                }
                let mut mail = self.mail.lock().unwrap();
                self.announce(&mut mail, now);
                let most = 1 + usize::try_from(dice.below("most", 10)).unwrap();
                let visible = mail.messages.iter_mut().filter(|posted| posted.visible <= now);
                let taken: Vec<Message> = visible
                    .take(most)
                    .map(|posted| {
                        posted.receives += 1;
                        posted.visible = now + SignedDuration::try_from(visibility).unwrap();
                        posted.message(&self.world)
                    })
                    .collect();
                if fault == Fault::Lost { Err(failed()) } else { Ok(taken) }
            });
            let received = step.await?;
            if received.is_empty() {
                pass(Duration::from_secs(20)).await;
            }
            Ok(received)
        };
        received.boxed()
    }

    fn keep<'a>(&'a self, handles: &'a [String], visibility: Duration) -> Answer<'a, Vec<String>> {
        let kept = async move {
            let about = handles.concat();
            let step = self.world.step(self.instance, "keep", &about, |_, now, fault, _| {
                if fault == Fault::Failed {
                    return Err(failed());
                }
                let mut mail = self.mail.lock().unwrap();
                let mut lost = Vec::new();
                for handle in handles {
                    let posted = mail.messages.iter_mut().find(|posted| posted.handle() == *handle);
                    match posted.filter(|posted| posted.visible > now) {
                        Some(posted) => posted.visible = now + SignedDuration::try_from(visibility).unwrap(),
                        None => lost.push(handle.clone()),
                    }
                }
                if fault == Fault::Lost { Err(failed()) } else { Ok(lost) }
            });
            step.await
        };
        kept.boxed()
    }

    fn delete<'a>(&'a self, handles: &'a [String]) -> Answer<'a, Vec<String>> {
        let deleted = async move {
            let about = handles.concat();
            let step = self.world.step(self.instance, "delete", &about, |state, now, fault, _| {
                if fault == Fault::Failed {
                    return Err(failed());
                }
                let mut mail = self.mail.lock().unwrap();
                let is_named = |posted: &Posted| handles.contains(&posted.handle());
                let early = mail.messages.iter().filter(|posted| is_named(posted)).find_map(|posted| {
                    let objects = posted.objects.iter().map(|place| &self.world.plan.objects[*place]);
                    objects.clone().find(|object| !self.is_settled(object, state, now)).cloned()
                });
                if let Some(object) = early {
                    let told = format!("a message was deleted before {} was delivered", object.key);
                    mail.violation.get_or_insert(told);
                }
                // With a handle that is not the last, SQS says yes and deletes nothing.
                mail.messages.retain(|posted| !is_named(posted));
                if fault == Fault::Lost { Err(failed()) } else { Ok(Vec::new()) }
            });
            step.await
        };
        deleted.boxed()
    }

    fn depth(&self) -> Answer<'_, Depth> {
        async { Ok(Depth::default()) }.boxed()
    }
}

/// A replica.
struct Replica {
    number: usize,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(world: &Arc<World>, mail: &Arc<Mutex<Mail>>, number: usize) -> Self {
        let listing = TriggerConfiguration::read(world.plan.arguments.clone()).unwrap();
        let (_, mut context) = parts(world, &listing, number);
        let shutdown = Shutdown::default();
        context.shutdown = shutdown.clone();
        let arguments =
            json!({"queue_name": "q", "prefix": listing.prefix, "chunk_size": listing.chunk_size.max(1)});
        let configuration = QueueConfiguration::read(arguments).unwrap();
        let platform = Arc::new(SimulatedPlatform { world: Arc::clone(world), instance: number });
        let sink: Arc<dyn Sink> = if world.plan.is_connector {
            let batch_url = "http://intake/batch".parse().unwrap();
            let intake = IntakeConfiguration { intake_key: INTAKE_KEY.into(), batch_url, compress: false };
            Arc::new(Intake::new(platform, &intake, configuration.chunk_size, &context))
        } else {
            Arc::new(Playbook::new(platform, configuration.chunk_size, "notes", &context))
        };
        let (at, metrics) = (Arc::clone(world), context.metrics.clone());
        let make = move |name: &str, _: &str| {
            let store = SimulatedBucket { world: Arc::clone(&at), instance: number };
            Bucket::over(name, store, metrics.clone())
        };
        let queue = SimulatedQueue {
            world: Arc::clone(world),
            instance: number,
            mail: Arc::clone(mail),
            prefix: listing.prefix,
        };
        let buckets = Buckets::over("eu-west-3", make);
        let work =
            async move { deliver(&configuration, Arc::new(queue), buckets, sink, LINGER, context).await };
        Self { number, shutdown, task: tokio::spawn(work.map(drop)) }
    }

    fn kill(self, world: &World) {
        self.task.abort();
        world.state().dead.insert(self.number);
    }

    async fn stop(self, world: &World) -> Result<(), String> {
        self.shutdown.stop();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.task).await;
        world.state().dead.insert(self.number);
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(panic)) => Err(format!("replica {}: {panic}", self.number)),
            Err(_) => Err(format!("replica {} does not stop", self.number)),
        }
    }
}

/// Runs a schedule; the error is the violation. With `is_told`, the log and all steps are printed.
fn run(seed: u64, is_told: bool) -> Result<(), String> {
    let mut plan = Plan::of(seed);
    plan.is_connector = seed.is_multiple_of(2);
    // What is replaced is announced again, and under the same key: the check knows one content of a key.
    plan.objects.retain(|object| object.replaces.is_none());
    plan.objects.sort_by_key(|object| object.appears);
    // Everything comes sooner: a queue is looked at all the time.
    let sooner = |time: Timestamp| plan.start + time.duration_since(plan.start) / SOONER;
    for object in &mut plan.objects {
        object.appears = sooner(object.appears);
        object.vanishes = object.vanishes.map(sooner);
    }
    plan.calm_from = sooner(plan.calm_from);
    let world = World::new(plan.clone());
    let mail = Arc::<Mutex<Mail>>::default();
    fastrand::seed(plan.dice.below("jitter", u64::MAX));
    let told = is_told.then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stdout).without_time());
    let subscriber = tracing_subscriber::registry().with(Named(Arc::clone(&world))).with(told);
    let _listening = tracing::subscriber::set_default(subscriber);
    let ended = super::life::caught(|| {
        for life in 0..plan.dice.below("lives", 4) {
            let dice = plan.dice.about("life", life);
            in_runtime(live(&world, &mail, usize::try_from(life).unwrap() * 10, dice))?;
        }
        in_runtime(settle(&world, &mail, 100))
    });
    if is_told {
        let state = world.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("{plan:#?}\n{}", state.history);
    }
    ended
}

/// A life of some replicas. One may die at a step; the others are killed or told to stop some time later.
async fn live(
    world: &Arc<World>,
    mail: &Arc<Mutex<Mail>>,
    number: usize,
    dice: super::dice::Dice,
) -> Result<(), String> {
    world.begin_life();
    let death = Death { is_before: dice.chance("before", 50) };
    world.state().appointment = dice.chance("dies", 60).then(|| (1 + dice.below("step", 150), Some(death)));
    let replicas: Vec<Replica> =
        (0..REPLICAS).map(|replica| Replica::start(world, mail, number + replica)).collect();
    pass(Duration::from_secs(dice.below("length", 900))).await;
    for replica in replicas {
        let nth = replica.number as u64;
        let is_dead = world.state().dead.contains(&replica.number);
        if is_dead || dice.about("kill", nth).chance("kill", 50) {
            replica.kill(world);
        } else {
            replica.stop(world).await?;
        }
    }
    world.end_life(Duration::from_secs(dice.below("pause", 600)));
    Ok(())
}

/// The last life: until every message is settled.
async fn settle(world: &Arc<World>, mail: &Arc<Mutex<Mail>>, number: usize) -> Result<(), String> {
    world.begin_life();
    world.state().appointment = None;
    let replicas: Vec<Replica> =
        (0..REPLICAS).map(|replica| Replica::start(world, mail, number + replica)).collect();
    let last = world.plan.last_change() + SignedDuration::from_hours(30);
    loop {
        pass(Duration::from_secs(60)).await;
        let mail = mail.lock().unwrap();
        if let Some(violation) = &mail.violation {
            return Err(violation.clone());
        }
        if mail.announced == world.plan.objects.len() && mail.messages.is_empty() {
            break;
        }
        if world.now() > last {
            let objects = mail.messages.iter().flat_map(|posted| &posted.objects);
            let keys: Vec<&str> = objects.map(|place| world.plan.objects[*place].key.as_str()).collect();
            return Err(format!("neither delivered nor named as rejected: {keys:#?}"));
        }
    }
    for replica in replicas {
        replica.stop(world).await?;
    }
    Ok(())
}

/// Guarantee 15: A message of a queue is deleted only when every record of every object that it names was accepted, or rejected
/// by name.
#[test]
fn whatever_goes_wrong_no_message_is_deleted_before_its_records_are_delivered() {
    if let Some(seed) = super::number("SEED") {
        run(seed, true).unwrap();
    }
    let schedules = super::number("SCHEDULES").unwrap_or(SCHEDULES);
    if let Err((seed, violation)) = super::each(0..schedules, |seed| run(seed, false)) {
        panic!("{violation}\nSEED={seed} cargo test --test simulation no_message -- --nocapture replays it");
    }
}

/// Schedules that every run of the tests goes through.
const SCHEDULES: u64 = 4_000;
