"""The module as it would be on the platform's own SDK: a trigger, an action, a validator and two connectors that ask the platform for
what this module's binary asks it for. What they do apart from that is the least that serves the comparison.

Variables stand for what the platform's container fixes: SYMPHONY_DIR and SYMPHONY_DATA_DIR for the folders,
REFERENCE_SECRET for the secret that AWS would know.
"""

import asyncio
import json
import os
import sys
import time
from uuid import uuid4

import requests
from pydantic import BaseModel
from sekoia_automation import constants
from sekoia_automation import module as sdk_module
from sekoia_automation.account_validator import AccountValidator
from sekoia_automation.action import Action
from sekoia_automation.aio.connector import AsyncConnector
from sekoia_automation.configuration import FileSystemConfiguration
from sekoia_automation.connector import Connector
from sekoia_automation.connector.metrics import MetricsMixin
from sekoia_automation.module import Module
from sekoia_automation.trigger import Trigger

FileSystemConfiguration.VOLUME_PATH = os.environ.get("SYMPHONY_DIR", "/nowhere")
constants.DATA_STORAGE = os.environ.get("SYMPHONY_DATA_DIR", "/nowhere")


class Hasty:
    """The module `time` without waits: the comparison is about requests, not about how long lies between them."""

    def __getattr__(self, name):
        return getattr(time, name)

    def sleep(self, seconds):
        time.sleep(min(seconds, 0.01))


sdk_module.time = Hasty()
for retried in (Trigger._get_secrets_from_server, Trigger._send_logs_to_api):
    retried.retry.sleep = lambda seconds: time.sleep(min(seconds, 0.01))


class Account(BaseModel):
    aws_access_key: str
    aws_secret_access_key: str
    aws_region_name: str
    api_key: str | None = None


class FlowlogsModule(Module):
    configuration: Account


class Bucket(BaseModel):
    bucket_name: str


class FetchFlowlogs(MetricsMixin, Trigger):
    """Sends one batch, then waits to be stopped."""

    configuration: Bucket

    def run(self):
        self.log(f"looking for flow logs in {self.configuration.bucket_name}", "info")
        directory = f"AWS Flowlog_events/{uuid4()}"
        folder = self.data_path / directory
        folder.mkdir(parents=True)
        (folder / "event.json").write_text(json.dumps(["a record"]))
        self.send_event(
            event_name=f"aws-flowlog_{time.time()}",
            event={"records_path": "event.json"},
            directory=directory,
            remove_directory=True,
        )
        self.heartbeat()
        self.put_forwarded_events(intake_key="", count=1)
        self.put_discarded_events(intake_key="", count=0)
        self.put_forward_events_duration(intake_key="", duration=0.01)
        self.put_events_lag(intake_key="", lag=1.0)
        self.log("poll ended", "info")
        # Not `_stop_event.wait()`: it holds a lock at moments, and the handler of a SIGTERM that comes in one of them waits
        # for that lock in this very thread, for ever.
        while self.running:
            time.sleep(0.05)


class LogLines(Trigger):
    """Logs what REFERENCE_LINES lists, and ends."""

    def run(self):
        for level, message in json.loads(os.environ["REFERENCE_LINES"]):
            self.log(message, level)
        self.stop()


class PushEvents(Action):
    def run(self, arguments: dict):
        self.log("pushing events", "info")
        body = {"intake_key": arguments["intake_key"], "jsons": self.json_argument("events", arguments)}
        answer = requests.post(arguments["intake_server"] + "/batch", json=body, timeout=30)
        answer.raise_for_status()
        return {"event_ids": answer.json()["event_ids"]}


class CollectFlowlogs(Connector):
    """Sends two records to the intake, then waits to be stopped."""

    def run(self):
        self.push_events_to_intakes(["one", "two"])
        print("poll ended", file=sys.stderr, flush=True)
        while self.running:
            time.sleep(0.05)


class CollectFlowlogsAsync(AsyncConnector):
    """The same, on the SDK's asynchronous connector."""

    async def async_run(self):
        await self.push_data_to_intakes(["one", "two"])
        print("poll ended", file=sys.stderr, flush=True)
        while self.running:
            await asyncio.sleep(0.05)
        await self._session.close()


class AccountCheck(AccountValidator):
    def validate(self):
        if self.module.configuration.aws_secret_access_key != os.environ.get("REFERENCE_SECRET"):
            self.error("the secret does not belong to the access key")
            return False
        return True


if __name__ == "__main__":
    module = FlowlogsModule()
    module.register(FetchFlowlogs, "fetch_flowlogs")
    module.register(LogLines, "log_lines")
    module.register(PushEvents, "push_events")
    module.register(CollectFlowlogs, "collect_flowlogs")
    module.register(CollectFlowlogsAsync, "collect_flowlogs_async")
    module.register_account_validator(AccountCheck)
    sys.exit(module.run())
