//! Where a bucket and its owner's STS are asked, in every partition of AWS. A proxy sees the hosts.

use serde_json::json;
use support::eventually;
use support::portal::Portal;

use crate::world::{ACCESS_KEY, BUCKET, PATIENCE, World, stop};

#[tokio::test]
async fn regions_of_all_partitions_and_access_points_find_their_hosts() {
    for (region, bucket, host) in [
        ("eu-west-3", BUCKET, "acme-flow-logs.s3.eu-west-3.amazonaws.com"),
        ("us-east-1", "arn:aws:s3:::acme-flow-logs", "acme-flow-logs.s3.us-east-1.amazonaws.com"),
        ("us-gov-west-1", BUCKET, "acme-flow-logs.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", BUCKET, "acme-flow-logs.s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", BUCKET, "acme-flow-logs.s3.eusc-de-east-1.amazonaws.eu"),
        ("eu-west-3", "acme.flow.logs", "s3.eu-west-3.amazonaws.com"),
        (
            "eu-west-3",
            "arn:aws:s3:eu-west-3:111122223333:accesspoint/flow-logs",
            "flow-logs-111122223333.s3-accesspoint.eu-west-3.amazonaws.com",
        ),
        (
            "cn-north-1",
            "arn:aws-cn:s3:cn-north-1:111122223333:accesspoint/flow-logs",
            "flow-logs-111122223333.s3-accesspoint.cn-north-1.amazonaws.com.cn",
        ),
        (
            "eu-west-3",
            "flow-logs-abcdefghijklmnopqrstuvwxyz1234-s3alias",
            "flow-logs-abcdefghijklmnopqrstuvwxyz1234-s3alias.s3.eu-west-3.amazonaws.com",
        ),
    ] {
        let mut world = World::new().await;
        world.argument("bucket_name", bucket);
        let account = json!({"aws_access_key": ACCESS_KEY, "aws_region_name": region});
        asks(&world, account, host).await;
    }
}

#[tokio::test]
async fn roles_are_assumed_in_the_region_of_the_account() {
    for (region, partition, host) in [
        ("eu-west-3", "aws", "sts.eu-west-3.amazonaws.com"),
        ("us-gov-west-1", "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"),
    ] {
        let role = format!("arn:{partition}:iam::111122223333:role/SekoiaIOConnectorRole");
        asks(&World::new().await, json!({ "aws_role_arn": role, "aws_region_name": region }), host).await;
    }
}

/// The trigger of this account asks this host before all others of AWS.
async fn asks(world: &World, account: serde_json::Value, host: &str) {
    let proxy = Portal::start("503 Service Unavailable", "", "no way out").await;
    let module = world.module().value("module_configuration", &account);
    let module =
        module.env("AWS_ENDPOINT_URL", "").env("AWS_ENDPOINT_URL_S3", "").env("AWS_ENDPOINT_URL_STS", "");
    let process = module.env("HTTPS_PROXY", proxy.url()).start();
    assert!(
        eventually(PATIENCE, || !proxy.asked().is_empty()).await,
        "{account} {}",
        process.stderr().text()
    );
    assert_eq!(proxy.asked()[0], format!("CONNECT {host}:443"), "{account}");
    stop(process).await;
}
