//! A run of three replicas beside what the model of `docs/sizing.md` says of it.

use support::s3::Operation;
use support::sizing;
use support::usage::peak_kib;

use super::world::Queued;
use crate::world::stop;

const MESSAGES: usize = 1_000;
const RECORDS: usize = 40;

#[tokio::test]
#[expect(clippy::cast_precision_loss, reason = "they are small")]
async fn three_replicas_take_no_more_calls_and_memory_than_the_page_on_sizing_says() {
    let mut queued = Queued::new().await;
    queued.arguments["chunk_size"] = 10_000.into();
    queued.announce(MESSAGES, RECORDS);
    let processes = [(); 3].map(|()| queued.module().start());
    queued.all_arrive(&processes[0], 0).await;
    let calls = queued.calls("") as f64 / MESSAGES as f64;
    assert!(calls <= sizing::CALLS_A_MESSAGE, "{calls} calls of SQS a message");
    assert_eq!(queued.world.s3.count(Operation::Get), MESSAGES, "an object is one call");
    for process in processes {
        let peak_mib = peak_kib(&process).unwrap() as f64 / 1024.0;
        assert!(peak_mib <= sizing::REPLICA_MIB, "{peak_mib} MiB");
        stop(process).await;
    }
}
