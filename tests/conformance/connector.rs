//! The connector beside two on the SDK, its threaded one and its asynchronous one: what the intake is sent under the same
//! script of answers.

use support::intake::{Intake, Post};
use support::script::Fault;

use crate::differences::{Row, row};
use crate::world::{Case, INTAKE_KEY, PATIENCE, Side, World};

/// The SDK's connectors, and ours.
const THREADED: (Side, &str) = (Side::Reference, "collect_flowlogs");
const ASYNCHRONOUS: (Side, &str) = (Side::Reference, "collect_flowlogs_async");
const OURS: (Side, &str) = (Side::Ours, "collect_flowlogs");

/// What a connector sends of two records, when the first posts meet `faults`.
async fn posts((side, command): (Side, &'static str), faults: &[Fault]) -> Vec<Post> {
    let case = Case::new(command);
    let mut world = World::new(&case).await;
    for fault in faults {
        world.intake.script().then(fault.clone());
    }
    let process = world.module(&case, side).start();
    let stderr = process.stderr();
    assert!(stderr.wait_for("poll ended", PATIENCE).await, "{side:?}, {faults:?}: {}", stderr.text());
    process.terminate();
    world.ended(process).await;
    world.intake.posts()
}

/// What became of posts, for instance `not taken, taken 2`, and whether records are missing at the end.
fn summary(posts: &[Post]) -> String {
    let word = |post: &Post| match post.events {
        0 => "not taken".to_owned(),
        events => format!("taken {events}"),
    };
    let mut words: Vec<String> = posts.iter().map(word).collect();
    if posts.iter().all(|post| post.events == 0) {
        words.push("lost".to_owned());
    }
    words.join(", ")
}

/// Asserts that a connector of the SDK and ours send the same.
async fn same(reference: (Side, &'static str), faults: &[Fault]) {
    let (theirs, ours) = tokio::join!(posts(reference, faults), posts(OURS, faults));
    assert_eq!(summary(&ours), summary(&theirs), "{reference:?}, {faults:?}");
    let forms = |posts: &[Post]| {
        let headers = ["content-type", "content-encoding", "authorization"];
        let form = |post: &Post| headers.map(|name| post.header(name).map(str::to_owned));
        let mut forms: Vec<_> = posts.iter().map(form).collect();
        forms.dedup();
        forms
    };
    assert_eq!(forms(&ours), forms(&theirs), "{reference:?}, {faults:?}");
}

/// Asserts that they do what the row `name` of the table of differences says.
async fn differs(name: &str, reference: (Side, &'static str), faults: &[Fault]) {
    let (theirs, ours) = tokio::join!(posts(reference, faults), posts(OURS, faults));
    let found = Row { reference: summary(&theirs), ours: summary(&ours) };
    assert_eq!(found, row(name), "{reference:?}, {faults:?}");
}

#[tokio::test]
async fn a_batch_is_sent_until_the_intake_takes_it() {
    let (passing, refused) = ([Fault::status(503), Fault::Drop], [Fault::status(401), Fault::status(429)]);
    for reference in [THREADED, ASYNCHRONOUS] {
        tokio::join!(same(reference, &[]), same(reference, &passing), same(reference, &refused));
    }
}

#[tokio::test]
async fn what_is_no_answer_of_the_intake_is_no_acceptance() {
    tokio::join!(
        differs("page for the intake's answer", THREADED, &[Fault::Html]),
        same(ASYNCHRONOUS, &[Fault::Html]),
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_has_no_ids_is_an_acceptance() {
    let (half, empty) =
        (Fault::HalfBody.after_acceptance(), Fault::Status(200, String::new()).after_acceptance());
    tokio::join!(
        differs("half an answer of the intake", THREADED, std::slice::from_ref(&half)),
        differs("half an answer of the intake", ASYNCHRONOUS, std::slice::from_ref(&half)),
        same(THREADED, std::slice::from_ref(&empty)),
        differs("answer without IDs, asynchronous", ASYNCHRONOUS, std::slice::from_ref(&empty)),
    );
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    for reference in [THREADED, ASYNCHRONOUS] {
        differs("batch too large for the intake", reference, &[Fault::status(413)]).await;
    }
}

#[tokio::test]
async fn the_key_goes_nowhere_but_to_the_intake() {
    for reference in [THREADED, ASYNCHRONOUS] {
        let whither = async |side| {
            let elsewhere = Intake::start(INTAKE_KEY).await;
            let redirect = Fault::Redirect(format!("{}/batch", elsewhere.server()));
            let posts = posts(side, &[redirect]).await;
            let agents = posts.iter().filter_map(|post| post.header("user-agent"));
            let is_told = agents.map(|agent| agent.contains(INTAKE_KEY)).next_back().unwrap();
            let here = summary(&posts).replace(", lost", "");
            let there =
                if elsewhere.posts().is_empty() { "" } else { "; the records and the key go elsewhere" };
            (format!("{here}{there}"), if is_told { "the intake key" } else { "the module and its version" })
        };
        let (theirs, ours) = tokio::join!(whither(reference), whither(OURS));
        assert_eq!(Row { reference: theirs.0, ours: ours.0 }, row("batch redirected"));
        let agents = Row { reference: theirs.1.to_owned(), ours: ours.1.to_owned() };
        assert_eq!(agents, row("User-Agent for the intake"));
    }
}
