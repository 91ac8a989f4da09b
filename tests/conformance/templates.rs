//! The templates for AWS: what AWS's own linter says of them, the rights that they give, and a role that is made by them, in
//! another implementation of AWS.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::eventually;
use support::flowlogs::Generator;
use support::module::Module;
use support::platform::{Endpoint, Platform, Setup};
use tempfile::TempDir;

use crate::sdk;
use crate::world::{PATIENCE, TOKEN};

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/aws")
}

fn python() -> Command {
    let mut command = Command::new(sdk::python());
    command.arg("-B");
    command
}

/// The policies that the templates make for the bucket and the prefix of the user guide.
fn policies() -> Value {
    let output = python().arg(sdk::folder().join("templates.py")).arg(templates()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_linter_of_aws_finds_nothing_in_the_template() {
    let home = tempfile::tempdir().unwrap();
    let file = templates().join("cloudformation.yaml");
    let linter =
        Command::new(sdk::python().with_file_name("cfn-lint")).arg(file).env("HOME", home.path()).output();
    let output = linter.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn both_templates_give_the_rights_of_the_user_guide_and_what_the_forms_ask_for() {
    let told = policies();
    let (ours, theirs) = (&told["cloudformation"], &told["terraform"]);
    assert_eq!(ours, theirs);
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/user.md")).unwrap();
    let policy = |name: &str| -> Value {
        let (_, rest) = guide.split_once(&format!("<!-- policy: {name} -->\n```json\n")).unwrap();
        serde_json::from_str(rest.split("```").next().unwrap()).unwrap()
    };
    let statements = ours["role"]["Statement"].as_array().unwrap();
    assert_eq!(statements[..2], *policy("user")["Statement"].as_array().unwrap());
    let kms = &policy("kms")["Statement"][0];
    for part in ["Action", "Resource"] {
        assert_eq!(statements[2][part], kms[part]);
    }
    // CloudFormation takes no underscores in the names of its outputs.
    let properties = ["aws_region_name", "aws_role_arn", "bucket_name", "queue_name"];
    assert_eq!(told["outputs"]["terraform"], json!(properties));
    assert_eq!(told["outputs"]["cloudformation"], json!(properties.map(|name| name.replace('_', ""))));
}

/// moto, with a bucket and a role in it.
struct Aws {
    url: String,
    role: String,
    process: Child,
    stdin: Option<ChildStdin>,
}

impl Aws {
    fn start(trust: &Value, rights: &Value, objects: &Path, way: &str) -> Self {
        let given = json!({
            "name": "SekoiaIOConnectorRole", "trust": trust, "rights": rights,
            "bucket": "acme-flow-logs", "queue": "sekoia-flow-logs", "way": way,
        });
        let mut process = python()
            .arg(sdk::folder().join("aws.py"))
            .arg(objects)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = process.stdin.take().unwrap();
        writeln!(stdin, "{given}").unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let [url, role] = ["url", "role"].map(|name| told[name].as_str().unwrap().to_owned());
        Self { url, role, process, stdin: Some(stdin) }
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// A folder with an object of a flow log in it, and its records.
fn objects() -> (TempDir, Vec<String>) {
    let objects = tempfile::tempdir().unwrap();
    let mut generator = Generator::new(11);
    let flow_log = generator.flow_log("111122223333", "eu-west-3");
    let object = generator.object(&flow_log, Timestamp::now() - SignedDuration::from_mins(5), 20);
    let file = objects.path().join(&object.key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, object.body()).unwrap();
    (objects, object.records)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_the_template_reads_the_bucket_and_needs_each_of_its_rights() {
    let (folder, records) = objects();
    let told = policies();
    let (all, trust) = (&told["cloudformation"]["role"], &told["cloudformation"]["trust"]);
    let objects = (folder.path(), records.as_slice());
    let (listing, queue) = (("fetch_flowlogs", "queue"), ("fetch_queued_flowlogs", "queue"));
    tokio::join!(
        reads(listing, all, None, trust, objects, ""),
        reads(listing, all, Some(0), trust, objects, "s3:ListBucket"),
        reads(listing, all, Some(1), trust, objects, "s3:GetObject"),
        reads(queue, all, None, trust, objects, ""),
        reads(queue, all, Some(1), trust, objects, "s3:GetObject"),
        // Of a refusal of SQS, it says that alone, in the form of another service.
        reads(queue, all, Some(3), trust, objects, "AccessDenied"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_through_a_topic_or_a_rule_is_read() {
    let (folder, records) = objects();
    let told = policies();
    let (all, trust) = (&told["cloudformation"]["role"], &told["cloudformation"]["trust"]);
    let reads_by = |way| {
        reads(("fetch_queued_flowlogs", way), all, None, trust, (folder.path(), records.as_slice()), "")
    };
    tokio::join!(reads_by("topic"), reads_by("raw topic"), reads_by("rule"));
}

/// A trigger with these rights but one delivers the records of objects that are announced in some way, or tells which right it
/// lacks.
async fn reads(
    (command, way): (&str, &str),
    rights: &Value,
    left_out: Option<usize>,
    trust: &Value,
    (objects, records): (&Path, &[String]),
    told: &str,
) {
    let mut rights = rights.clone();
    // moto judges calls of SQS as if they were for all queues.
    rights["Statement"][3]["Resource"] = "*".into();
    if let Some(left_out) = left_out {
        rights["Statement"].as_array_mut().unwrap().remove(left_out);
    }
    let aws = Aws::start(trust, &rights, objects, way);
    let storage = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(storage.path());
    setup.token = TOKEN.to_owned();
    let platform = Platform::start(setup).await;
    let prefix = "AWSLogs/111122223333/vpcflowlogs/";
    let arguments = match command {
        "fetch_flowlogs" => json!({
            "bucket_name": "acme-flow-logs", "prefix": prefix, "start_from": "beginning", "frequency": 1,
        }),
        _ => json!({"queue_name": "sekoia-flow-logs", "prefix": prefix, "chunk_size": 20}),
    };
    let mut process = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
        .value("module_configuration", json!({ "aws_role_arn": aws.role, "aws_region_name": "eu-west-3" }))
        .value("trigger_configuration", arguments)
        .value("trigger_configuration_uuid", "1d6f0e8a-2b3c-4d5e-9f60-718293a4b5c6")
        .value("token", TOKEN)
        .value("url_callback", platform.url_callback())
        .value("liveness_port", support::free_port())
        .value("metrics_port", support::free_port())
        .storage(storage.path())
        .aws_endpoint(&aws.url)
        .start();
    let came = || match left_out {
        None => platform.records() == records,
        Some(_) => process.stderr().text().contains(told),
    };
    assert!(eventually(PATIENCE, came).await, "{way}: {}", process.stderr().text());
    assert_eq!(platform.records().is_empty(), left_out.is_some());
    assert_eq!(platform.received_at(Endpoint::Identity).len(), 1);
    process.stop(PATIENCE).await;
}
