"""Ceilings on counts, which no busy machine can change: calls per mail, modules per cold start.

How long things take is measured by `bench/` and not tested.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from bench import calls, imports, wire, world
from bench.calls import Bench, Calls
from bench.mails import samples
from shared.composition.services import Services

SMALL, _, LARGE = samples()
NOTHING_OF_MICROSOFT: dict[str, int] = {}
ONE_SEND = {"graph.send_mail": 1}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The local stack behind the counting proxy."""
    with calls.counted() as running:
        yield running


@pytest.fixture(scope="module")
def lives(bench: Bench) -> dict[str, Calls]:
    """Whole lives through the host, which runs until the services of this process take over."""
    return {case.name: case.calls for case in calls.whole_lives(bench, mails=1)}


@pytest.fixture(scope="module")
def services(bench: Bench, lives: dict[str, Calls]) -> Iterator[Services]:
    """Postroom's services, warm: everything that is fetched once has been fetched."""
    with world.services(bench.stack) as services:
        calls.deliver_one(services, calls.accept(services, SMALL.document))
        yield services


@pytest.fixture
def count(bench: Bench, services: Services) -> Callable[[Callable[[], object]], Calls]:
    """Counts what one piece of work calls, with the accounts at hand."""

    def counting(work: Callable[[], object]) -> Calls:
        services.adapters.accounts.all(fresh=True)
        return bench.count(work)

    return counting


Count = Callable[[Callable[[], object]], Calls]


@pytest.mark.parametrize(
    ("document", "key", "most"),
    [
        pytest.param(SMALL.document, False, 2, id="without a key"),
        pytest.param(SMALL.document, True, 3, id="with a key"),
        pytest.param(LARGE.document, False, 3, id="large"),
        pytest.param(LARGE.document, True, 4, id="large, with a key"),
    ],
)
def test_accepting_a_mail_costs_no_more_than_this(
    services: Services, count: Count, document: bytes, key: bool, most: int
) -> None:
    found = count(lambda: calls.accept(services, document, uuid.uuid4().hex if key else None))

    assert found.storage_total <= most, found.storage
    assert found.microsoft == NOTHING_OF_MICROSOFT


@pytest.mark.parametrize(("deliver_first", "most"), [(False, 4), (True, 3)])
def test_repeating_an_accepted_mail_costs_no_more_than_this(
    services: Services, count: Count, deliver_first: bool, most: int
) -> None:
    key = uuid.uuid4().hex
    mail_id = calls.accept(services, SMALL.document, key)
    if deliver_first:
        calls.deliver_one(services, mail_id)

    found = count(lambda: calls.accept(services, SMALL.document, key, replayed=True))

    assert found.storage_total <= most, found.storage
    assert found.microsoft == NOTHING_OF_MICROSOFT


@pytest.mark.parametrize(
    ("document", "most"),
    [
        pytest.param(SMALL.document, calls.DELIVER, id="in the ledger's row"),
        pytest.param(LARGE.document, 5, id="in a blob"),
    ],
)
def test_delivering_a_mail_costs_no_more_than_this(
    services: Services, count: Count, document: bytes, most: int
) -> None:
    mail_id = calls.accept(services, document)

    found = count(lambda: calls.deliver_one(services, mail_id))

    assert found.storage_total <= most, found.storage
    assert found.microsoft == ONE_SEND


AS_MIME = {"text": "plain", "html": "<p>rich</p>"}


@pytest.mark.parametrize("body", [{}, AS_MIME], ids=["json", "mime"])
def test_delivering_a_verified_mail_costs_no_more_than_this(
    services: Services, count: Count, body: dict[str, str]
) -> None:
    document = json.dumps({**json.loads(calls.verified_document(SMALL)), **body}).encode()
    calls.deliver_one(services, calls.accept(services, document))
    mail_id = calls.accept(services, document)

    found = count(lambda: calls.deliver_one(services, mail_id))

    assert found.storage_total <= calls.DELIVER_VERIFIED, found.storage
    assert found.microsoft == {"graph.create_message": 1, "graph.send_message": 1}
    mail = services.ledger.get(mail_id)
    assert mail is not None
    assert mail.mail.message_id is not None


def test_a_mail_from_the_queue_is_accepted_and_delivered_in_two_storage_calls(
    services: Services, count: Count
) -> None:
    found = count(lambda: calls.take_in_one(services, SMALL.document))

    assert found.storage_total <= 2, found.storage
    assert found.microsoft == ONE_SEND


@pytest.mark.parametrize(
    ("delivery_mode", "most"),
    [
        ("life_http", 7),
        ("life_http_key", calls.WHOLE_LIFE),
        ("life_queue", 5),
        ("life_http_large", 10),
    ],
)
def test_a_whole_life_costs_no_more_than_this_with_the_hosts_own_calls(
    lives: dict[str, Calls], delivery_mode: str, most: int
) -> None:
    assert lives[delivery_mode].storage_total <= most, lives[delivery_mode].storage
    assert lives[delivery_mode].microsoft == ONE_SEND


def test_a_run_of_the_timer_without_work_costs_no_more_than_this(
    services: Services, count: Count
) -> None:
    services.upkeep.requeue_overdue()

    found = count(services.upkeep.requeue_overdue)

    assert found.storage_total <= 3, found.storage
    assert found.microsoft == NOTHING_OF_MICROSOFT


def test_importing_and_indexing_the_app_loads_nothing_heavy() -> None:
    functions, heavy = imports.loaded()

    assert functions > 10
    assert heavy == ()


@pytest.mark.parametrize(
    ("service", "method", "target", "answer", "expected"),
    [
        ("table", "GET", "/a/mails(PartitionKey='1',RowKey='2')", b"", "table get mails"),
        ("table", "GET", "/a/accounts()?$filter=x", b"", "table query accounts"),
        ("table", "POST", "/a/mails", b"", "table insert mails"),
        ("table", "PUT", "/a/mails(PartitionKey='1',RowKey='2')", b"", "table replace mails"),
        ("table", "PATCH", "/a/mails(PartitionKey='1',RowKey='2')", b"", "table merge mails"),
        ("queue", "GET", "/a/outbox/messages?numofmessages=16", b"", "queue poll outbox"),
        ("queue", "GET", "/a/outbox/messages", b"<QueueMessage>", "queue receive outbox"),
        ("queue", "POST", "/a/outbox/messages", b"", "queue put outbox"),
        ("queue", "DELETE", "/a/outbox/messages/1?popreceipt=2", b"", "queue delete outbox"),
        ("blob", "GET", "/a/payloads/1/2", b"", "blob get payloads"),
    ],
)
def test_the_proxy_knows_what_a_request_does(
    service: str, method: str, target: str, answer: bytes, expected: str
) -> None:
    assert wire.operation(service, method, target, answer) == expected
