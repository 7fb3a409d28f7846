"""The index of waiting mails against Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient
from msgspec.structs import replace

from local.azurite import Azurite
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.waiting_table import WaitingTable
from shared.errors import LostRace
from shared.mail import ids
from shared.services.mails.ports import Span
from shared.services.upkeep.ports import Watermark
from shared.settings import StorageSettings
from tests.fakes import Clock

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def waiting(connection_string: str, clock: Clock) -> Iterator[WaitingTable]:
    name = f"t{uuid4().hex}"
    with TableServiceClient.from_connection_string(connection_string) as service:
        service.create_table(name)
    stored = Storage(StorageSettings(connection_string=connection_string), None)
    client = stored.table(name)
    yield WaitingTable(lambda: client, clock)
    stored.close()


def an_id(minutes_ago: float = 0) -> str:
    return ids.new_id(NOW - minutes_ago * MINUTE, lambda count: uuid4().bytes[:count])


def test_what_is_due_comes_the_longest_due_first(waiting: WaitingTable) -> None:
    first, second, third = an_id(1), an_id(2), an_id(3)
    waiting.note(second, NOW - MINUTE)
    waiting.note_all({third: NOW + MINUTE, first: NOW - 2 * MINUTE})

    due = waiting.snapshot(NOW, 10).due

    assert [(entry.mail_id, entry.due_at) for entry in due] == [
        (first, NOW - 2 * MINUTE),
        (second, NOW - MINUTE),
    ]
    assert [entry.mail_id for entry in waiting.snapshot(NOW, 1).due] == [first]


def test_what_is_due_at_this_very_moment_is_due(waiting: WaitingTable) -> None:
    mail_id = an_id()
    waiting.note(mail_id, NOW)

    assert [entry.mail_id for entry in waiting.snapshot(NOW, 10).due] == [mail_id]


def test_noting_twice_is_one_entry(waiting: WaitingTable, clock: Clock) -> None:
    mail_id = an_id()
    waiting.note(mail_id, NOW)
    clock.forward(minutes=1)
    waiting.note(mail_id, NOW)

    (entry,) = waiting.snapshot(clock(), 10).due
    assert entry.noted_at == NOW + MINUTE


def test_more_than_one_transaction_holds_are_noted_and_dropped(waiting: WaitingTable) -> None:
    mail_ids = [an_id() for _ in range(150)]
    waiting.note_all(dict.fromkeys(mail_ids, NOW))

    due = waiting.snapshot(NOW, 200).due
    assert {entry.mail_id for entry in due} == set(mail_ids)
    waiting.drop(due)

    assert waiting.snapshot(NOW, 200).due == []


def test_an_entry_that_was_noted_anew_stays(waiting: WaitingTable) -> None:
    kept, gone, absent = an_id(), an_id(), an_id()
    waiting.note_all(dict.fromkeys((kept, gone, absent), NOW))
    read = waiting.snapshot(NOW, 10).due
    waiting.note(kept, NOW)
    waiting.drop([entry for entry in read if entry.mail_id == absent])

    waiting.drop(read)

    assert [entry.mail_id for entry in waiting.snapshot(NOW, 10).due] == [kept]


def test_held_mails_of_an_account_come_oldest_first(waiting: WaitingTable) -> None:
    newest, oldest, middle = an_id(1), an_id(3), an_id(2)
    waiting.hold_all("billing", [newest, oldest, middle, oldest])
    waiting.hold_all("billing-2", [an_id(4)])

    held = waiting.of_account("billing", 10)

    assert [entry.mail_id for entry in held] == [oldest, middle, newest]
    assert {entry.held_for for entry in held} == {"billing"}
    assert len(waiting.of_account("billing", 2)) == 2
    snapshot = waiting.snapshot(NOW, 10)
    assert [mark.alias for mark in snapshot.held] == ["billing", "billing-2"]
    assert snapshot.due == []


def test_dropped_held_mails_are_gone(waiting: WaitingTable) -> None:
    waiting.hold_all("billing", [an_id(), an_id()])

    waiting.drop(waiting.of_account("billing", 10))

    assert waiting.of_account("billing", 10) == []


def test_a_mark_goes_unless_something_was_noted_since(waiting: WaitingTable) -> None:
    waiting.hold_all("billing", [an_id()])
    (before,) = waiting.snapshot(NOW, 10).held
    waiting.hold_all("billing", [an_id()])

    waiting.unmark(before)
    (mark,) = waiting.snapshot(NOW, 10).held
    waiting.unmark(mark)
    waiting.unmark(mark)

    assert waiting.snapshot(NOW, 10).held == []


def test_the_watermark_comes_back_as_it_was_written(waiting: WaitingTable) -> None:
    assert waiting.snapshot(NOW, 10).watermark is None
    span = Span(NOW - 4 * MINUTE, NOW - 3 * MINUTE, NOW - 2 * MINUTE, NOW - MINUTE)
    first = waiting.advance(Watermark(NOW, NOW + MINUTE, span, "cursor"))
    assert waiting.snapshot(NOW, 10).watermark == first

    second = waiting.advance(Watermark(NOW + MINUTE, NOW + MINUTE, etag=first.etag))

    assert waiting.snapshot(NOW, 10).watermark == second
    assert second.under_way is None


def test_of_two_sweeps_one_moves_the_watermark(waiting: WaitingTable) -> None:
    first = waiting.advance(Watermark(NOW, NOW))
    with pytest.raises(LostRace):
        waiting.advance(Watermark(NOW, NOW))
    waiting.advance(replace(first, noted_before=NOW + MINUTE))

    with pytest.raises(LostRace):
        waiting.advance(first)


def test_every_mail_of_the_index_is_listed(waiting: WaitingTable) -> None:
    waiting.advance(Watermark(NOW, NOW))
    late, later, held = an_id(), an_id(), an_id()
    waiting.note_all({late: NOW - MINUTE, later: NOW + 9000 * MINUTE})
    waiting.hold_all("billing", [held])

    assert set(waiting.mail_ids()) == {late, later, held}


def test_a_bookmark_is_found_again(waiting: WaitingTable) -> None:
    assert waiting.bookmark("payloads") is None
    waiting.set_bookmark("payloads", "page 7")
    assert waiting.bookmark("payloads") == "page 7"
    waiting.set_bookmark("payloads", None)

    assert waiting.bookmark("payloads") is None
    assert list(waiting.mail_ids()) == []


def test_a_probe_asks_the_table(waiting: WaitingTable) -> None:
    waiting.probe()
