"""Calls, their time, and the processes that run them.

The judge is section 11.1 of azure-functions.md, "Seen in the real host"; its times are shortened here.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.host.dispatcher import Dispatcher, HostExhausted, InvocationFailed, Timings
from local.host.functions import Function
from local.host.protocol import HttpTrigger, Outcome, QueueTrigger, Trigger
from local.host.worker_process import Launch
from tests.contract.host.driver import SAMPLE_APP, is_alive, until

TIMINGS = Timings(drain=1.0, after_timeout=0.5)
SHORT_WINDOW = Timings(window=0.3)
TIMEOUT = 2.0


@dataclass
class Bench:
    """A dispatcher, the workers that it had, and whether it gave up."""

    dispatcher: Dispatcher
    workers: list[int] = field(default_factory=list)
    exhausted: threading.Event = field(default_factory=threading.Event)

    def function(self, name: str) -> Function:
        return next(each for each in self.dispatcher.functions().functions if each.name == name)

    def queue(self, text: str) -> Outcome:
        return self.dispatcher.invoke(self.function("work"), QueueTrigger(text, {}))

    def http(self, seconds: float) -> Outcome:
        trigger = HttpTrigger("GET", "http://a/", {}, {"seconds": str(seconds)}, {}, b"")
        return self.dispatcher.invoke(self.function("slow"), trigger)

    def kill(self) -> None:
        os.kill(self.workers[-1], signal.SIGKILL)

    def replaced(self) -> None:
        """Kill the worker and wait for the next."""
        before = len(self.workers)
        self.kill()
        until(lambda: len(self.workers) > before)


def seconds_to_failure(bench: Bench, name: str, trigger: Trigger) -> float:
    began = time.monotonic()
    with pytest.raises(InvocationFailed):
        bench.dispatcher.invoke(bench.function(name), trigger)
    return time.monotonic() - began


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """With other timings as an indirect parameter."""
    monkeypatch.setenv("SAMPLE_NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("SAMPLE_QUEUE", "unused")
    platform, lifeline = os.pipe()
    workers: list[int] = []
    exhausted = threading.Event()
    dispatcher = Dispatcher(
        Launch(SAMPLE_APP, {}, platform),
        timeout=TIMEOUT,
        timings=getattr(request, "param", TIMINGS),
        on_worker=workers.append,
        on_exhausted=exhausted.set,
    )
    dispatcher.launch()
    dispatcher.functions()
    until(lambda: bool(workers))
    yield Bench(dispatcher, workers, exhausted)
    dispatcher.close(0.0)
    os.close(platform)
    os.close(lifeline)


def test_its_own_times_are_those_that_were_seen() -> None:
    assert Timings() == Timings(start=60, drain=10, after_timeout=2, deaths=3, window=1800)


def test_a_queue_call_out_of_time_fails_at_once_and_an_http_caller_waits_for_the_drain(
    bench: Bench,
) -> None:
    (worker,) = bench.workers
    with ThreadPoolExecutor(1) as calls:
        began = time.monotonic()
        http = calls.submit(bench.http, 30)

        until(lambda: len(bench.workers) == 2)
        assert isinstance(http.exception(10), InvocationFailed)
        assert time.monotonic() - began > 3.4
    assert not is_alive(worker)

    assert 1.9 < seconds_to_failure(bench, "work", QueueTrigger("sleep 30", {})) < 3.4


def test_neighbours_of_a_call_out_of_time_succeed_in_the_drain_or_hang_until_their_own_time(
    bench: Bench,
) -> None:
    with ThreadPoolExecutor(3) as calls:
        calls.submit(seconds_to_failure, bench, "work", QueueTrigger("sleep 30", {}))
        time.sleep(1.0)  # The neighbours begin when half of that call's time is over.
        quick = calls.submit(bench.queue, "sleep 1.2")
        slow = calls.submit(seconds_to_failure, bench, "work", QueueTrigger("sleep 30", {}))

        assert quick.result(10).failure is None
        # Its process was killed one second earlier.
        assert slow.result(10) > 2.4


def test_a_call_that_waits_for_a_worker_goes_to_the_next_one(bench: Bench) -> None:
    bench.kill()
    until(lambda: not is_alive(bench.workers[0]))

    try:
        answered = bench.http(0)
    except InvocationFailed:
        # It had gone to the dead process already, and has never reached the function.
        answered = bench.http(0)

    assert answered.response is not None
    assert int(answered.response.body) == bench.workers[1]


def test_the_third_death_ends_it(bench: Bench) -> None:
    for _ in range(2):
        bench.replaced()
    assert not bench.exhausted.is_set()
    bench.kill()

    assert bench.exhausted.wait(10)
    with pytest.raises(InvocationFailed):
        bench.http(0)


@pytest.mark.parametrize("bench", [SHORT_WINDOW], indirect=True)
def test_deaths_with_a_long_pause_between_them_do_not_add_up(bench: Bench) -> None:
    for _ in range(4):
        bench.replaced()
        time.sleep(SHORT_WINDOW.window)

    assert not bench.exhausted.is_set()
    assert bench.http(0).failure is None


def test_a_worker_that_dies_at_its_start_is_tried_three_times(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import os\nos._exit(7)\n")
    platform, lifeline = os.pipe()
    dispatcher = Dispatcher(Launch(tmp_path, {}, platform), timeout=None)
    dispatcher.launch()

    with pytest.raises(HostExhausted):
        dispatcher.functions()
    os.close(platform)
    os.close(lifeline)


def test_a_body_of_many_megabytes_goes_both_ways(bench: Bench) -> None:
    trigger = HttpTrigger("POST", "http://a/", {}, {}, {}, bytes(30_000_000))

    answered = bench.dispatcher.invoke(bench.function("size"), trigger)

    assert answered.response is not None
    assert answered.response.body == b"30000000"
