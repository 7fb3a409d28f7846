"""The timer trigger: one instance, no overlap, missed runs (azure-functions.md 4.3)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from local.host import ncrontab
from local.host.functions import Binding, Function
from local.host.protocol import TimerTrigger
from local.host.timers import Timer
from tests.contract.host.conftest import without_storage
from tests.contract.host.driver import Host, until


class Calls:
    def __init__(self, seconds: float = 0.0) -> None:
        self.seen: list[dict[str, Any]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, trigger: TimerTrigger) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
            self.seen.append(json.loads(trigger.text))


class EveryTenthOfASecond(ncrontab.Schedule):
    def after(self, moment: datetime) -> datetime:
        return moment + timedelta(milliseconds=100)


@contextmanager
def timer(
    state: Path, schedule: str | ncrontab.Schedule, calls: Calls, **properties: object
) -> Iterator[Timer]:
    function = Function(
        "tick", Binding("timer", "timerTrigger", is_output=False, properties=properties)
    )
    if isinstance(schedule, str):
        schedule = ncrontab.parse(schedule)
    running = Timer(function, schedule, state, calls)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        assert running.finish(5.0)


def missed(state: Path) -> None:
    times = {"Last": "2026-01-01T00:00:00+00:00", "Next": "2026-01-01T01:00:00+00:00"}
    (state / "tick.json").write_text(json.dumps(times))


def test_a_run_that_takes_longer_than_its_interval_does_not_overlap(tmp_path: Path) -> None:
    calls = Calls(seconds=0.15)

    with timer(tmp_path, EveryTenthOfASecond(*[frozenset()] * 6), calls):
        until(lambda: len(calls.seen) == 3)

    assert calls.most_at_once == 1


def test_a_missed_run_is_made_up_for_and_says_that_it_is_late(tmp_path: Path) -> None:
    missed(tmp_path)
    calls = Calls()

    with timer(tmp_path, "0 0 * * * *", calls):
        until(lambda: len(calls.seen) == 1)

    assert calls.seen[0]["IsPastDue"]
    assert calls.seen[0]["ScheduleStatus"]["Next"] == "2026-01-01T01:00:00+00:00"


def test_without_monitor_a_missed_run_is_forgotten(tmp_path: Path) -> None:
    missed(tmp_path)
    calls = Calls()

    with timer(tmp_path, "0 0 0 1 1 *", calls, useMonitor=False):
        time.sleep(0.2)

    assert calls.seen == []


def test_run_on_startup_runs_at_once_and_is_not_late(tmp_path: Path) -> None:
    calls = Calls()

    with timer(tmp_path, "0 0 0 1 1 *", calls, runOnStartup=True):
        until(lambda: len(calls.seen) == 1)

    assert not calls.seen[0]["IsPastDue"]


def test_a_second_instance_waits_until_the_first_is_gone(tmp_path: Path) -> None:
    first, second = Calls(), Calls()

    with timer(tmp_path, "0 0 0 1 1 *", second, runOnStartup=True) as waiting:
        until(lambda: len(second.seen) == 1)
        with timer(tmp_path, "0 0 0 1 1 *", first, runOnStartup=True):
            time.sleep(0.2)
            assert first.seen == []
            waiting.stop()
            assert waiting.finish(5.0)
            until(lambda: len(first.seen) == 1)


def test_of_several_instances_one_runs_a_timer_and_any_can_run_it_by_hand(
    azurite: Azurite, tmp_path: Path
) -> None:
    environment = without_storage() | {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureWebJobs.tick.Disabled": "false",
    }

    with Host(tmp_path, environment, instances=2) as host:
        until(lambda: len(host.notes("tick")) >= 2)
        assert host.admin("POST", "functions/nightly", json={}).status_code == 202
        until(lambda: len(host.notes("nightly")) == 1)

    ticks = host.notes("tick")
    assert len({tick["pid"] for tick in ticks}) == 1
    assert len({int(tick["at"]) for tick in ticks}) == len(ticks)
