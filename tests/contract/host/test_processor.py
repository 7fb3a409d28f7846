"""One message's way through the host, step by step, against Azurite (azure-functions.md 2.3, 2.4
and 11.1)."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.storage.queue import QueueClient, QueueMessage

from local.azurite import Azurite
from local.host.configuration import QueueSettings
from local.host.dispatcher import InvocationFailed
from local.host.functions import Binding, Function
from local.host.queue_listener import Backoff
from local.host.queue_processor import Processor
from local.host.storage import Queues, poison_queue_name
from tests.contract.host.driver import until

SETTINGS = QueueSettings(max_dequeue_count=3, base64=False)


class Bench:
    """A processor with a function that the test chooses, and what the host asked of storage."""

    def __init__(self, azurite: Azurite, queue: QueueClient) -> None:
        self.queue = queue
        self.counts: Counter[str] = Counter()
        self.seen: list[Any] = []
        self._queues = Queues(
            {"Storage": azurite.connection_string}, lambda name: self.counts.update([name])
        )

    @contextmanager
    def processor(
        self,
        run: Callable[[Any], None] | None = None,
        *,
        settings: QueueSettings = SETTINGS,
        renew_every: float = 300,
    ) -> Iterator[Processor]:
        stored = self._queues.open("Storage", str(self.queue.queue_name), "test")
        poison_name = poison_queue_name(stored.name)
        poison = self._queues.open("Storage", poison_name, "test") if poison_name else None
        function = Function("work", Binding("msg", "queueTrigger", is_output=False, properties={}))
        processor = Processor(
            function, stored, poison, settings, run or self.seen.append, renew_every=renew_every
        )
        try:
            yield processor
        finally:
            processor.close()
            stored.close()

    def received(self, text: str, *, times: int = 1, visibility: int = 600) -> QueueMessage:
        """A message as somebody has it who received it for the n-th time."""
        self.queue.send_message(text)
        for _ in range(times - 1):
            earlier = self.queue.receive_message()
            assert earlier is not None
            self.queue.update_message(earlier, visibility_timeout=0)
        message = self.queue.receive_message(visibility_timeout=visibility)
        assert message is not None
        return message


@pytest.fixture
def bench(azurite: Azurite, queue: QueueClient) -> Bench:
    return Bench(azurite, queue)


def fail(_: Any) -> None:
    raise InvocationFailed


def texts(queue: QueueClient) -> list[str]:
    return [str(message.content) for message in queue.peek_messages(max_messages=32)]


def test_a_message_over_the_dequeue_limit_is_poisoned_without_a_call(
    bench: Bench, poison: QueueClient
) -> None:
    message = bench.received("old", times=4)

    with bench.processor() as processor:
        processor.process(message)

    assert bench.seen == []
    assert texts(poison) == ["old"]


def test_a_failure_shows_again_after_the_visibility_timeout_of_host_json(bench: Bench) -> None:
    with bench.processor(fail) as processor:
        processor.process(bench.received("again"))

    again = bench.queue.receive_message()
    assert again is not None
    assert again.dequeue_count == 2
    assert bench.counts == {"update": 1}


def test_the_last_allowed_failure_goes_to_the_poison_queue(
    bench: Bench, poison: QueueClient
) -> None:
    with bench.processor(fail) as processor:
        processor.process(bench.received("bad", times=3))

    assert texts(poison) == ["bad"]
    assert bench.queue.get_queue_properties().approximate_message_count == 0


def test_what_is_not_base64_is_poisoned_at_once_with_its_raw_text(
    bench: Bench, poison: QueueClient, caplog: pytest.LogCaptureFixture
) -> None:
    with bench.processor(settings=QueueSettings(base64=True)) as processor:
        processor.process(bench.received("{plain}"))

    assert bench.seen == []
    assert texts(poison) == ["{plain}"]
    assert "check MessageEncoding" in caplog.text


def test_white_space_in_base64_does_not_count(bench: Bench) -> None:
    text = base64.b64encode("Zoë writes a longer text".encode()).decode()
    broken_up = f" {text[:8]}\r\n{text[8:20]}\t{text[20:]}\n"

    with bench.processor(settings=QueueSettings(base64=True)) as processor:
        processor.process(bench.received(broken_up))

    assert bench.seen[0].body == "Zoë writes a longer text"


def test_base64_that_is_not_utf_8_fails_in_the_binding_without_a_call(
    bench: Bench, poison: QueueClient, caplog: pytest.LogCaptureFixture
) -> None:
    text = base64.b64encode("Zoë".encode("latin-1")).decode()
    settings = QueueSettings(base64=True, max_dequeue_count=2)

    with bench.processor(settings=settings) as processor:
        processor.process(bench.received(text))
        again = bench.queue.receive_message()
        assert again is not None
        processor.process(again)

    assert bench.seen == []
    assert "Exception binding parameter 'msg'" in caplog.text
    # It fails like any other message, and is poisoned with its text as it came.
    assert texts(poison) == [text]


def test_the_lock_is_renewed_while_the_function_runs_and_the_delete_still_fits(
    bench: Bench,
) -> None:
    """A renewal changes the pop receipt, so deleting with the first one would fail."""
    with bench.processor(
        lambda _: until(lambda: bench.counts["update"] >= 2), renew_every=0.05
    ) as processor:
        processor.process(bench.received("long", visibility=1))

    assert bench.queue.get_queue_properties().approximate_message_count == 0


def test_renewing_ends_when_the_message_is_lost_and_the_function_runs_on(bench: Bench) -> None:
    message = bench.received("taken")
    bench.queue.delete_message(message)
    done: list[Any] = []

    def run(argument: Any) -> None:
        until(lambda: bench.counts["update"] == 1)
        done.append(argument)

    with bench.processor(run, renew_every=0.05) as processor:
        processor.process(message)

    assert len(done) == 1
    assert bench.counts == {"update": 1, "delete": 1}


def test_a_failure_on_a_poison_queue_leaves_the_message_locked(
    azurite: Azurite, poison: QueueClient
) -> None:
    poison.create_queue()
    bench = Bench(azurite, poison)
    with bench.processor(fail) as processor:
        processor.process(bench.received("stuck"))

    assert bench.counts == {}
    assert poison.receive_message() is None
    assert poison.get_queue_properties().approximate_message_count == 1


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        pytest.param("outbox", "outbox-poison", id="usual"),
        pytest.param("outbox-poison", None, id="poison-already"),
        pytest.param("q" * 57, None, id="too-long"),
    ],
)
def test_the_poison_queue_s_name_follows_from_the_queue_s(queue: str, expected: str | None) -> None:
    assert poison_queue_name(queue) == expected


def test_waiting_grows_from_100_ms_to_the_maximum_and_starts_anew_after_a_hit() -> None:
    backoff = Backoff(2.0, lambda low, high: 1.0)

    waits = [round(backoff.next(), 3) for _ in range(7)]

    assert waits == [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 2.0]
    backoff.reset()
    assert backoff.next() == 0.1
