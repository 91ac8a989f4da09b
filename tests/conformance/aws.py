"""Another implementation of AWS, moto: `aws.py FOLDER`.

A bucket with the objects in FOLDER, a queue in which S3 announces them, in the way that comes on stdin as one line of JSON, and
a role with the trust and the rights that come with it. Its URL goes to stdout; from then on, moto judges who may do what. It ends
with stdin.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

# The account that the templates are rendered for.
os.environ["MOTO_ACCOUNT_ID"] = "111122223333"

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-3"
PROVIDER = "https://app.sekoia.io/api/v1/symphony/oidc"


def way(name, client, queue):
    """What is asked of the bucket so that its objects are announced in the queue."""
    events = {"Events": ["s3:ObjectCreated:*"]}
    match name:
        case "queue":
            return {"QueueConfigurations": [{"QueueArn": queue} | events]}
        case "topic" | "raw topic":
            sns = client("sns")
            topic = sns.create_topic(Name="flow-logs")["TopicArn"]
            attributes = {"RawMessageDelivery": "true"} if name == "raw topic" else {}
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=attributes)
            return {"TopicConfigurations": [{"TopicArn": topic} | events]}
        case "rule":
            bridge = client("events")
            pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
            bridge.put_rule(Name="flow-logs", EventPattern=json.dumps(pattern))
            bridge.put_targets(Rule="flow-logs", Targets=[{"Id": "queue", "Arn": queue}])
            return {"EventBridgeConfiguration": {}}


def main(folder):
    role = json.loads(sys.stdin.readline())
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(service):
        return boto3.client(service, REGION, endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="s")

    iam = client("iam")
    iam.create_open_id_connect_provider(Url=PROVIDER, ClientIDList=["sts.amazonaws.com"])
    name = role["name"]
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(role["trust"]))
    iam.put_role_policy(RoleName=name, PolicyName="ReadFlowLogs", PolicyDocument=json.dumps(role["rights"]))
    s3 = client("s3")
    s3.create_bucket(Bucket=role["bucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName=role["queue"])["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    announce = way(role["way"], client, arn)
    s3.put_bucket_notification_configuration(Bucket=role["bucket"], NotificationConfiguration=announce)
    for file in folder.rglob("*"):
        if file.is_file():
            s3.put_object(Bucket=role["bucket"], Key=str(file.relative_to(folder)), Body=file.read_bytes())
    judge = urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"1", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(judge).close()
    print(json.dumps({"url": url, "role": made["Role"]["Arn"]}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
