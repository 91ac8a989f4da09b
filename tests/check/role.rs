//! The check of an account that logs in with a role.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use support::identity::{AUDIENCE, ISSUER};
use support::s3::{Role, Trust};

use crate::aws::READING;
use crate::world::World;

#[tokio::test]
async fn of_a_role_the_session_and_its_end_are_named() {
    const ROLE: &str = "arn:aws:iam::111111111111:role/SekoiaIOConnectorRole";
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.an_hour_of(&flow_log, 100);
    let account = json!({"aws_role_arn": ROLE, "aws_region_name": "eu-west-3"});
    let module = world.module().value("module_configuration", &account);
    let checked = world.check_as(module.clone()).await;
    checked.is("account", "ok", &[ROLE, "eu-west-3"]);
    checked.is("keys", "failed", &["create the identity provider in IAM", ISSUER]);
    checked.are_skipped(&READING, "keys");
    checked.is("callback", "ok", &[]);

    let sessions = world.s3.sessions();
    sessions.add_provider(ISSUER, &[AUDIENCE]);
    let (trust, life) = (Trust::in_platform(), SignedDuration::from_hours(1));
    sessions.add(Role { arn: ROLE.to_owned(), trust, life });
    let checked = world.check_as(module.clone()).await;
    assert_eq!(checked.code, 0, "{}", checked.text);
    checked.all_ok_but(&[]);
    let session = "arn:aws:sts::111111111111:assumed-role/SekoiaIOConnectorRole/sekoia-automation-session";
    checked.is("keys", "ok", &[session, "; then it is renewed"]);
    let end = checked.text.split(", until ").nth(1).and_then(|text| text.split(';').next()).unwrap();
    let left = end.parse::<Timestamp>().unwrap().duration_since(Timestamp::now());
    assert!(left <= life && left > life - SignedDuration::from_mins(5), "{left}");

    let alone = module.without_value("token").without_value("url_callback");
    let checked = world.check_as(alone).await;
    checked.is("keys", "failed", &["without the platform", "run it with the `token`"]);
}
