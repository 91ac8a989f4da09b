"""The policies that the templates for AWS make, as AWS would get them: `templates.py FOLDER`, on stdout as JSON.

CloudFormation's functions and Terraform's references are followed as far as the templates use them.
"""

import json
import re
import sys
from pathlib import Path

import hcl2
import yaml

ACCOUNT = "111122223333"
NAMES = {"partition": "aws", "account": ACCOUNT, "region": "eu-west-3"}
# What a user enters, by the name of CloudFormation's parameter.
ENTERED = {
    "BucketName": "acme-flow-logs",
    "Prefix": "AWSLogs/111122223333/vpcflowlogs/",
    "CommunityUUID": "6f9d4d3c-1b2a-4c5d-8e9f-0a1b2c3d4e5f",
    "ModuleConfigurationUUID": "0f1e2d3c-4b5a-4968-8776-655443322110",
    "KmsKeyArn": f"arn:aws:kms:eu-west-3:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
    "CreateBucket": "yes",
    "CreateQueue": "yes",
}
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/app.sekoia.io/api/v1/symphony/oidc"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SekoiaIOConnectorRole"
BUCKET = "arn:aws:s3:::acme-flow-logs"
QUEUE = f"arn:aws:sqs:eu-west-3:{ACCOUNT}:sekoia-flow-logs"


class Loader(yaml.SafeLoader):
    pass


def function(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    else:
        value = loader.construct_sequence(node, deep=True)
    name = name if name in ("Ref", "Condition") else f"Fn::{name}"
    return {name: value.split(".") if name == "Fn::GetAtt" else value}


Loader.add_multi_constructor("!", function)


class CloudFormation:
    def __init__(self, text):
        self.template = yaml.load(text, Loader)
        parameters = self.template["Parameters"]
        self.values = {name: str(given.get("Default", "")) for name, given in parameters.items()} | ENTERED
        self.values |= {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": "eu-west-3"}
        self.values |= {"Provider": PROVIDER, "Queue.Arn": QUEUE, "Bucket": "acme-flow-logs"}

    def of(self, value):
        if isinstance(value, list):
            return [item for item in map(self.of, value) if item is not None]
        if not isinstance(value, dict):
            return value
        match next(iter(value.items()), None):
            case ("Ref", "AWS::NoValue"):
                return None
            case ("Ref", name):
                return self.values[name]
            case ("Fn::GetAtt", path):
                return self.values[".".join(path)]
            case ("Fn::Sub", str(text)):
                return self.sub(text, {})
            case ("Fn::Sub", [text, more]):
                return self.sub(text, self.of(more))
            case ("Fn::If", [condition, yes, no]):
                return self.of(yes if self.holds(self.template["Conditions"][condition]) else no)
        return {key: self.of(item) for key, item in value.items()}

    def sub(self, text, more):
        return re.sub(r"\$\{([^}]+)\}", lambda name: (self.values | more)[name[1]], text)

    def holds(self, condition):
        match next(iter(condition.items())):
            case ("Fn::Not", [inner]):
                return not self.holds(inner)
            case ("Fn::Equals", [one, other]):
                return self.of(one) == self.of(other)

    def policies(self):
        resources = self.template["Resources"]
        role = resources["Role"]["Properties"]
        document = lambda name: self.of(resources[name]["Properties"]["PolicyDocument"])
        return {
            "trust": json.loads(self.of(role["AssumeRolePolicyDocument"])),
            "role": self.of(role["Policies"][0]["PolicyDocument"]),
            "bucket": document("BucketPolicy"),
            "queue": document("QueuePolicy"),
        }

    def outputs(self):
        return sorted(self.template["Outputs"])


class Terraform:
    def __init__(self, folder):
        self.documents, self.outputs, variables = {}, [], {}
        for file in sorted(folder.glob("*.tf")):
            parsed = hcl2.loads(file.read_text())
            for data in parsed.get("data", []):
                for name, document in self.named(data, "aws_iam_policy_document"):
                    self.documents[name] = document
            self.outputs += [plain(name) for output in parsed.get("output", []) for name in output]
            for variable in parsed.get("variable", []):
                for name, given in variable.items():
                    variables[plain(name)] = plain(given.get("default", ""))
        entered = {re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower(): value
                   for name, value in ENTERED.items()}
        unknown = set(entered) - set(variables)
        assert not unknown, f"no variable for {unknown}"
        self.values = {f"var.{name}": value for name, value in (variables | entered).items()}
        self.values |= {
            "data.aws_partition.current.partition": "aws",
            "data.aws_caller_identity.current.account_id": ACCOUNT,
            "local.bucket_arn": BUCKET,
            "local.provider_arn": PROVIDER,
            "aws_sqs_queue.flow_logs[0].arn": QUEUE,
        }
        self.each = {
            'var.kms_key_arn == "" ? [] : [var.kms_key_arn]': {"statement.value": ENTERED["KmsKeyArn"]},
            "aws_sqs_queue.flow_logs": {"statement.value.arn": QUEUE},
        }

    @staticmethod
    def named(blocks, kind):
        return [(plain(name), block) for key, inner in blocks.items() if plain(key) == kind
                for name, block in inner.items()]

    def of(self, text, more=None):
        values = self.values | (more or {})
        return re.sub(r"\$\{([^}]+)\}", lambda name: values[name[1]], plain(text))

    def statement(self, given, more=None):
        each = lambda texts: [self.of(text, more) for text in texts]
        statement = {"Effect": "Allow", "Action": one(each(given["actions"]))}
        if "sid" in given:
            statement["Sid"] = plain(given["sid"])
        if "resources" in given:
            statement["Resource"] = one(each(given["resources"]))
        for principal in given.get("principals", []):
            statement["Principal"] = {plain(principal["type"]): one(each(principal["identifiers"]))}
        for condition in given.get("condition", []):
            of_test = statement.setdefault("Condition", {}).setdefault(plain(condition["test"]), {})
            of_test[self.of(condition["variable"])] = one(each(condition["values"]))
        return statement

    def policies(self):
        policies = {}
        for ours, theirs in [("trust", "trust"), ("role", "read_flow_logs"), ("bucket", "delivery"), ("queue", "announce")]:
            document = self.documents[theirs]
            statements = [self.statement(statement) for statement in document["statement"]]
            for dynamic in document.get("dynamic", []):
                for block in dynamic.values():
                    more = self.each[block["for_each"].removeprefix("${").removesuffix("}")]
                    statements += [self.statement(content, more) for content in block["content"]]
            policies[ours] = {"Version": "2012-10-17", "Statement": statements}
        return policies


def plain(text):
    """Without the quotes that the parser leaves around a text."""
    return text[1:-1] if isinstance(text, str) and len(text) > 1 and text[0] == text[-1] == '"' else text


def one(texts):
    return texts[0] if len(texts) == 1 else texts


def main(folder):
    cloudformation = CloudFormation((folder / "cloudformation.yaml").read_text())
    terraform = Terraform(folder / "terraform")
    told = {
        "cloudformation": cloudformation.policies(),
        "terraform": terraform.policies(),
        "outputs": {"cloudformation": cloudformation.outputs(), "terraform": sorted(terraform.outputs)},
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
