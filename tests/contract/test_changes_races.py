"""Callers and workers at the same mail at the same moment: real threads, real tables."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.keys_table import KeysTable
from shared.adapters.storage.mails_table import MailsTable
from shared.adapters.storage.table_service import Step
from shared.errors import RequestRejected
from shared.mail import ids
from shared.mail.mail import Caller, Event, Mail, MailFilter, Payload
from shared.mail.outcome import GraphAnswer
from shared.mail.status import Status
from shared.services.intake.batch import Batch
from shared.settings import StorageSettings
from tests.fakes import FakeServices, Outside, account_of, document_of

ROUNDS = 12


class Now:
    """The real time, for the fakes."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture
def new_table(connection_string: str) -> Iterator[Callable[[], Any]]:
    """Makes tables of new names; gives their clients."""
    storage = Storage(StorageSettings(connection_string=connection_string), None)
    with TableServiceClient.from_connection_string(connection_string) as service:

        def make() -> Any:
            name = f"t{uuid4().hex}"
            service.create_table(name)
            return storage.table(name)

        yield make
    storage.close()


@pytest.fixture
def services(new_table: Callable[[], Any]) -> FakeServices:
    """The use cases over real tables and real time, with a Graph in memory."""
    mails, keys = new_table(), new_table()
    outside = Outside(account_of())
    outside.clock = Now()  # type: ignore[assignment]
    outside.ledger = MailsTable(lambda: mails)  # type: ignore[assignment]
    outside.keys = KeysTable(lambda: keys)  # type: ignore[assignment]
    return FakeServices(outside=outside)


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gave, or the refusal that it met."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        gate.wait()
        try:
            return work()
        except RequestRejected as refused:
            return refused

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def standing(services: FakeServices, mail_id: str) -> Mail:
    found = services.ledger.get(mail_id)
    assert found is not None
    return found.mail


def test_a_mail_is_withdrawn_or_sent_and_never_both(services: FakeServices) -> None:
    outcomes = set()
    for round_ in range(ROUNDS):
        mail_id = services.accepted()
        sent_before = len(services.graph.posts)

        def withdraw(mail_id: str = mail_id, pause: float = round_ % 4 * 0.002) -> Mail:
            time.sleep(pause)
            return services.person().cancel(mail_id)

        failed_unsent, _ = at_once(withdraw, lambda mail_id=mail_id: services.handle(mail_id))  # type: ignore[misc]

        mail = standing(services, mail_id)
        was_sent = len(services.graph.posts) > sent_before
        outcomes.add(mail.status)
        assert mail.status is (Status.SENT if was_sent else Status.CANCELLED)
        assert isinstance(failed_unsent, RequestRejected) is was_sent
    assert outcomes <= {Status.SENT, Status.CANCELLED}


def test_a_mail_that_many_retry_at_once_is_queued_once(services: FakeServices) -> None:
    for _ in range(ROUNDS // 3):
        mail_id = services.accepted()
        services.graph.answers = [GraphAnswer(403, "ErrorSendAsDenied")]
        services.handle(mail_id)

        results = at_once(*[lambda mail_id=mail_id: services.person().retry(mail_id)] * 4)

        refused = [result for result in results if isinstance(result, RequestRejected)]
        assert len(refused) == 3
        assert [event.reason for event in standing(services, mail_id).events].count("retried") == 1


def test_a_lost_outcome_that_is_settled_in_two_ways_at_once_is_settled_one_way(
    services: FakeServices,
) -> None:
    from shared.errors import AnswerLost
    from shared.services.mails.changes import Decision

    mail_id = services.accepted()
    services.graph.answers = [AnswerLost("graph", "no answer")]
    services.handle(mail_id)

    results = at_once(
        lambda: services.person().resolve(mail_id, Decision.SENT),
        lambda: services.person().resolve(mail_id, Decision.SEND_AGAIN),
    )

    assert sum(isinstance(result, RequestRejected) for result in results) == 1
    assert standing(services, mail_id).status in (Status.SENT, Status.QUEUED)


def test_a_hundred_mails_are_stored_well_within_the_front_ends_patience(
    services: FakeServices,
) -> None:
    body = json.dumps({"mails": [document_of(subject=str(n)) for n in range(100)]}).encode()
    began = time.monotonic()

    first = Batch(services.submission, services.clock).accept(body, "november")
    took = time.monotonic() - began
    second = Batch(services.submission, services.clock).accept(body, "november")

    assert first.accepted == second.accepted == 100
    assert all(item.receipt and item.receipt.replayed for item in second.items)
    assert [item.receipt and item.receipt.mail.mail_id for item in first.items] == [
        item.receipt and item.receipt.mail.mail_id for item in second.items
    ]
    print(f"100 mails in {took:.2f} s")  # noqa: T201 - shown with -s
    assert took < 30


def test_two_callers_who_send_one_batch_at_once_send_it_once(services: FakeServices) -> None:
    body = json.dumps({"mails": [document_of(subject=str(n)) for n in range(20)]}).encode()

    results = at_once(
        *[lambda: Batch(services.submission, services.clock).accept(body, "november")] * 3
    )

    assert [getattr(result, "accepted", None) for result in results] == [20] * 3
    assert len(services.ledger.page(MailFilter(), 100, None).mails) == 20


ROWS = int(os.environ.get("POSTROOM_LIST_ROWS", "2000"))


@pytest.mark.timeout(300)
def test_a_long_list_is_quick_on_every_page(new_table: Callable[[], Any]) -> None:
    """Mails of four days, of which five are held, at the far end. POSTROOM_LIST_ROWS=20000 for more."""
    table = new_table()
    ledger = MailsTable(lambda: table)
    written = _many(table, ROWS)

    begun = time.monotonic()
    first = ledger.page(MailFilter(), 50, None)
    first_took = time.monotonic() - begun
    begun = time.monotonic()
    second = ledger.page(MailFilter(), 50, first.cursor)
    second_took = time.monotonic() - begun
    begun = time.monotonic()
    calls, cursor, held = 0, None, []
    longest = 0.0
    while True:
        one = time.monotonic()
        page = ledger.page(MailFilter(statuses=(Status.HELD, Status.FAILED)), 50, cursor)
        longest = max(longest, time.monotonic() - one)
        held += [mail.mail_id for mail in page.mails]
        calls, cursor = calls + 1, page.cursor
        if cursor is None:
            break
    print(  # noqa: T201 - shown with -s
        f"first {first_took:.2f} s, by cursor {second_took:.2f} s, "
        f"few of many: {calls} calls, the longest {longest:.2f} s"
    )

    assert [mail.mail_id for mail in first.mails] == written[:50]
    assert [mail.mail_id for mail in second.mails] == written[50:100]
    assert held == written[-5:]
    assert max(first_took, second_took) < 3
    assert longest < 20


def _many(table: Any, count: int) -> list[str]:
    """Rows of that many mails; their ids, newest first."""
    import random

    from shared.adapters.storage.mail_rows import to_row

    source = random.Random(7)  # noqa: S311 - reproducible, not secret
    start = datetime(2026, 11, 18, tzinfo=UTC)
    rows, found = [], []
    for number in range(count):
        at = start + timedelta(seconds=number * 4 * 86400 / count)
        status = Status.HELD if number < 5 else Status.SENT
        mail = Mail(
            mail_id=ids.new_id(at, source.randbytes),
            status=status,
            accepted_at=at,
            updated_at=at,
            due_at=at,
            caller=Caller.HTTP,
            account="billing",
            subject="x",
            payload=Payload(),
            events=(Event(at, status),),
        )
        rows.append(to_row(mail))
        found.append(mail.mail_id)
    by_day: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_day.setdefault(row["PartitionKey"], []).append(row)
    chunks = [day[at : at + 100] for day in by_day.values() for at in range(0, len(day), 100)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda chunk: table.together("seeding", [Step("insert", r) for r in chunk]), chunks
            )
        )
    return sorted(found, reverse=True)
