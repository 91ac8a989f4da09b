//! Replicas that share a queue, of which one hangs, dies, or loses what it works with.

use std::time::Duration;

use support::ahead::Ahead;
use support::link::Link;
use support::module::{Module, Process};
use support::script::Fault;
use support::{eventually, free_port};

use super::world::{QUEUE, Queued};
use crate::world::{PATIENCE, stop};

/// A little more than half the time for which a message is nobody else's: by then it is kept for longer.
const HALF: Duration = Duration::from_secs(61);
const TWICE: &str = "another replica may have got them: some records may be sent twice";

impl Queued {
    /// Waits until a replica works on this many messages, and has tried to deliver some.
    async fn until_held(&self, process: &Process, messages: usize) {
        let is_held = || self.in_flight() == messages && !self.intake.posts().is_empty();
        assert!(eventually(PATIENCE, is_held).await, "{}", process.stderr().text());
    }

    /// A replica of which `World::metric` tells.
    fn watched(&self) -> Module {
        self.module().value("metrics_port", self.world.metrics_port)
    }

    /// Waits until the watched replica has all messages. Then lets more than twice the visibility pass, in which it keeps each
    /// of them every time.
    async fn outlast(&self, ahead: &Ahead) {
        assert!(self.left() > 0);
        let has_all = async {
            while self.world.metric("aws_flowlogs_messages_in_flight").await != self.left() as f64 {}
        };
        tokio::time::timeout(PATIENCE, has_all).await.unwrap();
        for times in 1..=5 {
            self.pass(ahead, HALF);
            let kept = self.left() * times;
            self.world.until_counted(&format!("aws_flowlogs_messages_total{{fate=\"kept\"}} {kept}")).await;
        }
    }

    /// Starts a replica, and waits until it waits for messages.
    async fn start_waiting(&self, module: &Module) -> Process {
        let calls = self.calls("ReceiveMessage");
        let process = module.start();
        assert!(process.stderr().wait_for("taking the names of flow logs", PATIENCE).await);
        assert!(eventually(PATIENCE, || self.calls("ReceiveMessage") > calls).await);
        process
    }

    /// Waits until the queue is empty, and checks that every record has arrived: once, from two replicas, or again after a
    /// request whose answer was too late.
    async fn nothing_is_lost(&self) {
        self.until_left(0).await;
        let difference = self.difference();
        assert!(difference.values().all(|count| (1..=2).contains(count)), "{difference:?}");
    }
}

#[tokio::test]
async fn a_replica_that_hangs_past_its_time_loses_nothing_and_says_what_may_come_twice() {
    let (mut queued, ahead) = (Queued::new().await, Ahead::new());
    queued.intake.script().always(Fault::Hang);
    queued.announce(12, 20);
    let hanging = queued.watched().clock(&ahead).start();
    queued.until_held(&hanging, 12).await;
    hanging.hold_up();
    // What it has asked for comes to it still.
    queued.pass(&ahead, 2 * HALF);
    assert!(eventually(PATIENCE, || queued.in_flight() == 10).await);
    queued.pass(&ahead, 2 * HALF);
    queued.intake.script().clear();
    let other = queued.module().start();
    queued.all_arrive(&other, 0).await;
    hanging.go_on();
    assert!(hanging.stderr().wait_for(TWICE, PATIENCE).await, "{}", hanging.stderr().text());
    queued.world.until_counted("aws_flowlogs_messages_total{fate=\"lost\"} 12").await;
    queued.announce(30, 20);
    queued.nothing_is_lost().await;
    stop(hanging).await;
    stop(other).await;
}

#[tokio::test]
async fn messages_are_kept_for_as_long_as_the_intake_is_down() {
    let (mut queued, ahead) = (Queued::new().await, Ahead::new());
    queued.intake.script().always(Fault::status(503));
    queued.announce(12, 20);
    let first = queued.watched().clock(&ahead).start();
    queued.until_held(&first, 12).await;
    let second = queued.start_waiting(&queued.module().clock(&ahead)).await;
    queued.outlast(&ahead).await;
    queued.intake.script().clear();
    // The next attempt is not long in coming.
    ahead.pass(HALF);
    queued.all_arrive(&first, 0).await;
    stop(first).await;
    stop(second).await;
}

#[tokio::test]
async fn a_replica_that_loses_the_intake_keeps_what_it_has_and_holds_back_no_other() {
    let (mut queued, ahead) = (Queued::new().await, Ahead::new());
    let link = Link::to(&queued.intake.server()).await;
    link.cut();
    let server = std::mem::replace(&mut queued.arguments["intake_server"], link.url().into());
    queued.announce(12, 20);
    let cut_off = queued.watched().clock(&ahead).start();
    let is_told = "the intake did not take a batch, which is kept";
    assert!(cut_off.stderr().wait_for(is_told, PATIENCE).await, "{}", cut_off.stderr().text());
    queued.arguments["intake_server"] = server;
    let other = queued.start_waiting(&queued.module()).await;
    queued.announce(30, 20);
    assert!(eventually(PATIENCE, || queued.intake.count() > 0).await, "{}", other.stderr().text());
    queued.outlast(&ahead).await;
    assert!(queued.left() >= 12 && !queued.difference().is_empty());
    link.mend();
    ahead.pass(HALF);
    queued.all_arrive(&cut_off, 0).await;
    for is_not_so in ["could not keep", "could not delete", TWICE] {
        assert!(!cut_off.stderr().contain(is_not_so), "{}", cut_off.stderr().text());
    }
    stop(cut_off).await;
    stop(other).await;
}

#[tokio::test]
async fn a_replica_that_loses_sqs_delivers_what_it_has_and_loses_nothing() {
    let (mut queued, ahead) = (Queued::new().await, Ahead::new());
    let link = Link::to(&queued.world.server.endpoint_url()).await;
    queued.intake.script().always(Fault::status(503));
    queued.announce(12, 20);
    let cut_off = queued.module().env("AWS_ENDPOINT_URL_SQS", link.url()).clock(&ahead).start();
    queued.until_held(&cut_off, 12).await;
    link.cut();
    queued.pass(&ahead, HALF);
    for is_told in ["cannot take messages from the queue", "could not keep messages that are worked on"] {
        assert!(cut_off.stderr().wait_for(is_told, PATIENCE).await, "{}", cut_off.stderr().text());
    }
    queued.intake.script().clear();
    queued.pass(&ahead, HALF);
    let is_told = "could not delete messages whose records are delivered";
    assert!(cut_off.stderr().wait_for(is_told, PATIENCE).await, "{}", cut_off.stderr().text());
    let other = queued.module().start();
    queued.nothing_is_lost().await;
    link.mend();
    queued.announce(30, 20);
    queued.nothing_is_lost().await;
    stop(cut_off).await;
    stop(other).await;
}

#[tokio::test]
async fn eight_replicas_share_the_work() {
    let mut queued = Queued::new().await;
    let ports = [(); 8].map(|()| free_port());
    let mut processes = Vec::new();
    for port in ports {
        processes.push(queued.start_waiting(&queued.module().value("metrics_port", port)).await);
    }
    queued.announce(400, 20);
    queued.all_arrive(&processes[0], 0).await;
    for (port, process) in ports.into_iter().zip(processes) {
        queued.world.metrics_port = port;
        assert!(queued.world.metric("aws_flowlogs_messages_total{fate=\"deleted\"}").await > 0.0);
        stop(process).await;
    }
}

#[tokio::test]
async fn a_replica_that_dies_among_others_loses_nothing() {
    let mut queued = Queued::new().await;
    queued.intake.script().always(Fault::Hang);
    queued.announce(12, 20);
    let mut dies = queued.module().start();
    queued.until_held(&dies, 12).await;
    queued.intake.script().clear();
    let others = [queued.start_waiting(&queued.module()).await, queued.start_waiting(&queued.module()).await];
    queued.announce(100, 20);
    assert!(eventually(PATIENCE, || queued.intake.count() > 0).await);
    dies.kill();
    dies.exited(PATIENCE).await.unwrap();
    assert!(queued.in_flight() >= 12);
    queued.world.s3.queues().expire(QUEUE);
    queued.until_left(0).await;
    assert!(!queued.is_lost(), "{:?}", queued.difference());
    for process in others {
        stop(process).await;
    }
}
