"""The timer trigger: one running instance in the whole app, no overlap, and missed runs are caught
up.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer;
azure-webjobs-sdk-extensions `TimerListener`. In the cloud one host holds a blob lease for each
timer; here the instances compete for a file lock, which the kernel releases when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.host import ncrontab
from local.host.configuration import Configuration
from local.host.dispatcher import InvocationFailed
from local.host.errors import HostError
from local.host.functions import Function
from local.host.protocol import TimerTrigger

_LOCK_RETRY = 0.5
# The extension does not monitor a schedule that is more frequent than this.
_MONITOR_FROM = timedelta(minutes=1)

Run = Callable[[TimerTrigger], None]


@dataclass(frozen=True)
class Status:
    """ScheduleStatus, as it is kept between runs."""

    last: datetime
    next: datetime

    def document(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last.isoformat(),
        }


def parse_schedule(function: Function, configuration: Configuration) -> ncrontab.Schedule:
    text = configuration.resolve(function.trigger.text("schedule"), f"function {function.name}")
    if ":" in text:
        raise HostError(
            f"function {function.name}: the schedule {text!r} is a time span, which only App "
            "Service plans run; write it as NCRONTAB, such as 0 */5 * * * *"
        )
    try:
        schedule = ncrontab.parse(text)
        schedule.after(datetime.now(UTC))
    except ValueError as error:
        raise HostError(f"function {function.name}: schedule {text!r}: {error}") from error
    return schedule


class Timer:
    def __init__(
        self, function: Function, schedule: ncrontab.Schedule, state: Path, run: Run
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._run = run
        state.mkdir(parents=True, exist_ok=True)
        self._lock_path = state / f"{function.name}.lock"
        self._status_path = state / f"{function.name}.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"timer-{function.name}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def finish(self, grace: float) -> bool:
        self._thread.join(grace)
        return not self._thread.is_alive()

    def _main(self) -> None:
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if self._acquire(descriptor):
                self._keep_schedule()
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> bool:
        while not self._stop.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._stop.wait(_LOCK_RETRY)
            else:
                return True
        return False

    def _keep_schedule(self) -> None:
        status = self._load()
        now = datetime.now(UTC)
        if status is not None and self._monitored() and status.next < now:
            self._fire(past_due=True)
        elif self._function.trigger.properties.get("runOnStartup"):
            self._fire(past_due=False)
        while not self._stop.is_set():
            due = self._schedule.after(datetime.now(UTC))
            if self._stop.wait(max(0.0, (due - datetime.now(UTC)).total_seconds())):
                return
            self._fire(past_due=False)

    def _fire(self, *, past_due: bool) -> None:
        status = self._load()
        # A timer that failed runs again only at its next time.
        with contextlib.suppress(InvocationFailed):
            self._run(argument(past_due=past_due, status=status))
        now = datetime.now(UTC)
        self._save(Status(now, self._schedule.after(now)))

    def _monitored(self) -> bool:
        if self._function.trigger.properties.get("useMonitor") is False:
            return False
        first = self._schedule.after(datetime.now(UTC))
        return self._schedule.after(first) - first >= _MONITOR_FROM

    def _load(self) -> Status | None:
        try:
            stored = json.loads(self._status_path.read_text(encoding="utf-8"))
            return Status(
                datetime.fromisoformat(stored["Last"]), datetime.fromisoformat(stored["Next"])
            )
        except (OSError, ValueError, KeyError):
            return None

    def _save(self, status: Status) -> None:
        temporary = self._status_path.with_suffix(".new")
        temporary.write_text(json.dumps(status.document()), encoding="utf-8")
        temporary.replace(self._status_path)


def argument(*, past_due: bool, status: Status | None = None) -> TimerTrigger:
    """What the function gets, in the form in which the host sends it to the worker."""
    info = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": status.document() if status else None,
        "IsPastDue": past_due,
    }
    return TimerTrigger(json.dumps(info))
