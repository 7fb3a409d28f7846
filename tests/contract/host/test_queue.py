"""The queue trigger against Azurite (azure-functions.md section 2)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from tests.contract.host.conftest import listening_on
from tests.contract.host.driver import Host, until


@pytest.fixture(scope="module")
def queue(azurite: Azurite) -> Iterator[QueueClient]:
    with QueueClient.from_connection_string(azurite.connection_string, "jobs") as client:
        client.create_queue()
        yield client


@pytest.fixture(scope="module")
def one_host(
    azurite: Azurite, queue: QueueClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    environment = listening_on(azurite, str(queue.queue_name))
    with Host(tmp_path_factory.mktemp("queue"), environment) as host:
        until(lambda: host.counts()["receive"] > 0)
        yield host


@pytest.fixture
def queue_host(one_host: Host) -> Host:
    """The module's host, with nothing noted yet."""
    one_host.notes_file.unlink(missing_ok=True)
    return one_host


def length(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def test_a_message_reaches_the_function_with_its_metadata_and_is_deleted(
    queue_host: Host, queue: QueueClient
) -> None:
    sent = queue.send_message('{"to": "Zoë"}')

    until(lambda: length(queue) == 0)
    seen = queue_host.notes("work")[0]
    assert seen["body"].encode("latin-1").decode() == '{"to": "Zoë"}'
    assert seen["id"] == sent.id
    assert seen["dequeue_count"] == 1
    assert seen["pop_receipt"]
    inserted = datetime.fromisoformat(seen["insertion_time"])
    assert datetime.fromisoformat(seen["expiration_time"]) - inserted == timedelta(days=7)
    # The lock is ten minutes, whatever host.json says.
    lock = datetime.fromisoformat(seen["time_next_visible"]) - datetime.now(UTC)
    assert timedelta(minutes=9, seconds=30) < lock <= timedelta(minutes=10)


def test_a_success_costs_one_receive_and_one_delete(queue_host: Host, queue: QueueClient) -> None:
    before = queue_host.counts()

    queue.send_message("one")
    until(lambda: length(queue) == 0)

    after = queue_host.counts()
    assert after["delete"] - before["delete"] == 1
    assert after["exists"] == 1
    assert after["update"] == before["update"]
    assert after["put-poison"] == before["put-poison"]


def test_a_message_that_keeps_failing_goes_to_the_poison_queue(
    queue_host: Host, queue: QueueClient, poison: QueueClient
) -> None:
    updates = queue_host.counts()["update"]
    sent = queue.send_message("fail always")

    until(lambda: len(queue_host.notes("work")) == 3 and length(queue) == 0)
    copy = poison.receive_message()
    assert copy is not None
    assert copy.content == "fail always"
    assert copy.id != sent.id
    assert copy.dequeue_count == 1
    assert [seen["dequeue_count"] for seen in queue_host.notes("work")] == [1, 2, 3]
    assert queue_host.counts()["update"] - updates == 2


def test_a_full_batch_is_worked_on_at_once_and_more_is_fetched_at_the_threshold(
    queue_host: Host, queue: QueueClient
) -> None:
    for number in range(8):
        queue.send_message(f"sleep 0.4 {number}")

    until(lambda: len(queue_host.notes("work-ended")) == 8)
    began = sorted(seen["at"] for seen in queue_host.notes("work"))
    ended = sorted(seen["at"] for seen in queue_host.notes("work-ended"))
    # batchSize 4 + newBatchThreshold 2: never more than six at a time, and not four by four.
    for moment in began:
        running = sum(at <= moment for at in began) - sum(at <= moment for at in ended)
        assert running <= 6
    assert ended[-1] - began[0] < 1.9


def test_an_output_binding_makes_the_listener_look_at_once(queue_host: Host) -> None:
    time.sleep(0.6)  # Long enough for the poll interval to have grown to its maximum.

    queue_host.post("/enqueue", data=b"from the binding")
    sent = time.time()

    until(lambda: bool(queue_host.notes("work")))
    assert queue_host.notes("work")[0]["at"] - sent < 0.3
    assert queue_host.counts()["put-output"] == 1


def test_a_queue_function_can_be_run_by_hand(queue_host: Host) -> None:
    response = queue_host.admin("POST", "functions/work", json={"input": "by hand"})

    assert response.status_code == 202
    until(lambda: bool(queue_host.notes("work")))
    seen = queue_host.notes("work")[0]
    assert (seen["body"], seen["id"], seen["dequeue_count"]) == ("by hand", None, 0)
