"""Prints which of six failures in a row the SDK finds critical, for each moment in the argument: seconds that a trigger
has been running, and seconds since its last event."""

import json
import sys
from datetime import UTC, datetime, timedelta

from sekoia_automation.trigger import Trigger


class Nothing(Trigger):
    def __init__(self, running, silent):
        now = datetime.now(UTC).replace(tzinfo=None)
        self._startup_time = now - timedelta(seconds=running)
        self._last_events_time = now - timedelta(seconds=silent)
        self._error_count = 0
        self._critical_log_sent = False

    def run(self):
        pass

    def failed(self):
        self._error_count += 1
        critical = self._is_error_critical()
        self._critical_log_sent |= critical
        return critical


decisions = []
for running, silent in json.loads(sys.argv[1]):
    trigger = Nothing(running, silent)
    decisions.append([trigger.failed() for _ in range(6)])
print(json.dumps(decisions))
