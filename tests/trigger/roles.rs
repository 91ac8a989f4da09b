//! The account's role: in place of a key, renewed while it works, one after another, and what goes wrong with it.

use jiff::SignedDuration;
use serde_json::{Value, json};
use support::eventually;
use support::identity::{AUDIENCE, ISSUER};
use support::module::Module;
use support::platform::Endpoint;
use support::s3::{Operation, Role, Trust};
use support::script::Fault;

use crate::world::{ACCESS_KEY, PATIENCE, SECRET, World, stop};

const ROLE: &str = "arn:aws:iam::111111111111:role/SekoiaIOConnectorRole";
const SECOND: &str = "arn:aws:iam::222222222222:role/FlowLogs";
const UUID: &str = "1d6f0e8a-2b3c-4d5e-9f60-718293a4b5c6";

fn role(arn: &str, trust: Trust) -> Role {
    Role { arn: arn.to_owned(), trust, life: SignedDuration::from_hours(1) }
}

/// A world whose platform is trusted by a role.
async fn trusting() -> World {
    trusting_with(json!({})).await
}

/// The same; it keeps these secrets for the account.
async fn trusting_with(secrets: Value) -> World {
    let world = World::with_secrets(secrets, Value::Null).await;
    world.s3.sessions().add_provider(ISSUER, &[AUDIENCE]);
    world.s3.sessions().add(role(ROLE, Trust::in_platform()));
    world
}

/// The trigger, with this in its account.
fn module(world: &World, account: &Value) -> Module {
    let mut configuration = json!({ "aws_region_name": "eu-west-3" });
    configuration.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
    world.module().value("module_configuration", configuration).value("trigger_configuration_uuid", UUID)
}

/// From now on the platform answers with this in place of a token.
fn identity(world: &World, fault: Fault) {
    world.platform.script(Endpoint::Identity).always(fault);
}

/// What was asked of S3 with which session tokens; none is asked without.
fn tokens(world: &World) -> Vec<String> {
    let requests = world.s3.requests().into_iter();
    let of_s3 = requests.filter(|request| request.operation != Operation::CallerIdentity);
    // None is made with a lasting key.
    of_s3.map(|request| request.session_token.unwrap()).collect()
}

/// Guarantee 10: The customer's bucket is reached with the account's key or role and region, never with what the environment
/// holds.
#[tokio::test]
async fn a_role_reads_the_bucket_as_who_the_platform_says_the_trigger_is() {
    let key = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": "placeholder"});
    for (also, secrets) in [(json!({}), json!({})), (key, json!({ "aws_secret_access_key": SECRET }))] {
        let mut world = trusting_with(secrets).await;
        let mut account = json!({"aws_role_arn": format!(" {ROLE}\n")});
        account.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        let process = module(&world, &account).start();
        assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > 1).await);
        for _ in 0..3 {
            world.put(&flow_log, 5, 10);
        }
        world.all_arrive(&process).await;
        let told = process.stderr().text().contains("the role is used, not the key");
        assert_eq!(told, also != json!({}));
        let logs = format!("{:?}", world.platform.logs());
        for secret in tokens(&world).iter().map(String::as_str).chain(["secret-", "eyJ"]) {
            assert!(!process.stderr().text().contains(secret) && !logs.contains(secret));
        }
        stop(process).await;
        let asked = world.platform.received_at(Endpoint::Identity);
        assert_eq!(asked.len(), 1, "an hour needs one token");
        assert_eq!(asked[0].query, format!("node_type=trigger&node_uuid={UUID}&audience={AUDIENCE}"));
    }
}

/// Guarantee 10: The customer's bucket is reached with the account's key or role and region, never with what the environment
/// holds.
#[tokio::test]
async fn credentials_are_renewed_before_they_end_and_nothing_waits_for_it() {
    let mut world = trusting().await;
    world.s3.sessions().add(Role { life: SignedDuration::from_secs(4), ..role(ROLE, Trust::in_platform()) });
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let process = module(&world, &json!({ "aws_role_arn": ROLE })).start();
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > 1).await);
    let sessions = |world: &World| {
        let mut tokens = tokens(world);
        tokens.sort();
        tokens.dedup();
        tokens.len()
    };
    while sessions(&world) < 4 {
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
    }
    stop(process).await;
    assert!(
        world.s3.requests().iter().all(|request| request.status < 300),
        "none is made with what has ended"
    );
}

/// Guarantee 10: The customer's bucket is reached with the account's key or role and region, never with what the environment
/// holds.
#[tokio::test]
async fn credentials_that_end_in_the_middle_of_the_work_lose_nothing() {
    let mut world = trusting().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    (0..120).for_each(|_| drop(world.put(&flow_log, 5, 50)));
    let process = module(&world, &json!({ "aws_role_arn": ROLE })).start();
    for gets in [10, 40, 80] {
        assert!(eventually(PATIENCE, || world.s3.count(Operation::Get) > gets).await);
        world.s3.sessions().end_all();
    }
    world.all_arrive(&process).await;
    world.s3.sessions().end_all();
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    assert!(!process.stderr().text().contains("ERROR"), "{}", process.stderr().text());
    stop(process).await;
}

/// At each of its first calls: those that look for objects, and those for the parts of one.
#[tokio::test]
async fn credentials_that_end_at_any_call_are_replaced_before_the_call_is_made_again() {
    let worlds = (0..8).map(|calls| async move {
        let mut world = trusting().await;
        world.argument("start_from", "beginning").argument("chunk_size", 1_000_000);
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 70_000);
        world.s3.sessions().end_all_after(calls);
        let process = module(&world, &json!({ "aws_role_arn": ROLE })).start();
        world.all_arrive(&process).await;
        assert!(world.s3.count(Operation::Get) > 1, "the object is read in parts");
        let refused = world.s3.requests().iter().filter(|request| request.status >= 300).count();
        assert!((1..=8).contains(&refused), "{refused} calls of one moment were made with what had ended");
        assert_eq!(world.platform.received_at(Endpoint::Identity).len(), 2);
        assert!(!process.stderr().text().contains("ERROR"), "{}", process.stderr().text());
        stop(process).await;
    });
    futures_util::future::join_all(worlds).await;
}

/// Guarantee 10: The customer's bucket is reached with the account's key or role and region, never with what the environment
/// holds.
#[tokio::test]
async fn a_role_in_another_account_is_assumed_with_the_first_or_with_the_key() {
    let external_id = Some("7f2c:9d3e".to_owned());
    let key = json!({"aws_access_key": ACCESS_KEY, "aws_secret_access_key": SECRET});
    for (first, principal) in [(json!({ "aws_role_arn": ROLE }), ROLE), (key, ACCESS_KEY)] {
        let mut world = World::with_secrets(json!({ "aws_secret_access_key": SECRET }), Value::Null).await;
        world.s3.sessions().add_provider(ISSUER, &[AUDIENCE]);
        world.s3.sessions().add(role(ROLE, Trust::in_platform()));
        let trust = Trust::Caller { principal: principal.to_owned(), external_id: external_id.clone() };
        world.s3.sessions().add(role(SECOND, trust));
        let mut account = json!({"aws_assume_role_arn": SECOND, "aws_external_id": external_id});
        account.as_object_mut().unwrap().extend(first.as_object().unwrap().clone());
        if principal == ROLE {
            account["aws_access_key"] = "".into();
        }
        let flow_log = world.generator.flow_log("222222222222", "eu-west-3");
        let process = module(&world, &account).start();
        assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > 1).await);
        world.put(&flow_log, 5, 10);
        world.all_arrive(&process).await;
        stop(process).await;
        assert!(!tokens(&world).is_empty());
        account["aws_external_id"] = "wrong".into();
        let process = module(&world, &account).start();
        world.until_logged("error", "exactly as in `aws_external_id`").await;
        stop(process).await;
    }
}

/// What goes wrong, and a part of what is said of it.
type Broken<'a> = (&'a dyn Fn(&World), &'a str);

#[tokio::test]
async fn what_keeps_a_role_from_being_assumed_is_told_with_what_to_do_and_can_be_put_right() {
    let subject = Trust::Identity {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: "community:other:modconf:other".to_owned(),
    };
    let break_it: [Broken; 6] = [
        (&|world| world.s3.sessions().add_provider(ISSUER, &["sts.amazonaws.com.cn"]), "add the audience"),
        (&|world| world.s3.sessions().add(role(ROLE, subject.clone())), "correct the role's trust policy"),
        (&|world| identity(world, Fault::status(403)), "the platform gave no token"),
        (&|world| identity(world, Fault::status(503)), "503"),
        (&|world| identity(world, Fault::Html), "no token"),
        (
            &|world| {
                let trust = Trust::Caller { principal: "somebody".to_owned(), external_id: None };
                world.s3.sessions().add(role(ROLE, trust));
            },
            "sts:AssumeRoleWithWebIdentity",
        ),
    ];
    for (break_it, told) in break_it {
        let mut world = trusting().await;
        world.argument("start_from", "beginning");
        let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
        world.put(&flow_log, 5, 10);
        break_it(&world);
        let process = module(&world, &json!({ "aws_role_arn": ROLE })).start();
        world.until_logged("error", told).await;
        world.until_logged("error", ROLE).await;
        world.s3.sessions().add_provider(ISSUER, &[AUDIENCE]);
        world.s3.sessions().add(role(ROLE, Trust::in_platform()));
        world.platform.script(Endpoint::Identity).clear();
        world.all_arrive(&process).await;
        stop(process).await;
    }
    let world = World::with_secrets(json!({}), Value::Null).await;
    world.s3.sessions().add(role(ROLE, Trust::in_platform()));
    let process = module(&world, &json!({ "aws_role_arn": ROLE })).start();
    world.until_logged("error", "create the identity provider in IAM").await;
    stop(process).await;
}

#[tokio::test]
async fn an_account_that_cannot_log_in_is_told_at_the_start() {
    for (account, told) in [
        (json!({}), "enter either `aws_role_arn`, or both `aws_access_key` and `aws_secret_access_key`"),
        (json!({"aws_role_arn": " ", "aws_access_key": ""}), "enter either `aws_role_arn`"),
        (json!({"aws_access_key": ACCESS_KEY}), "enter either `aws_role_arn`"),
        (json!({"aws_role_arn": "SekoiaIOConnectorRole"}), "`aws_role_arn` is not the ARN of a role"),
        (
            json!({"aws_role_arn": ROLE, "aws_assume_role_arn": "arn:aws:iam::1:role/x"}),
            "`aws_assume_role_arn` is not the ARN of a role",
        ),
        (json!({"aws_role_arn": ROLE, "aws_external_id": "7f2c"}), "`aws_external_id` is of use with"),
        (
            json!({"aws_role_arn": ROLE, "aws_assume_role_arn": SECOND, "aws_external_id": "a b"}),
            "`aws_external_id` is no external ID",
        ),
    ] {
        let world = trusting().await;
        let process = module(&world, &account).start();
        world.until_logged("critical", told).await;
        assert_eq!(world.s3.count(Operation::List), 0, "{account}");
        stop(process).await;
    }
}
