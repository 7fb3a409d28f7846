"""The mails that need attention, against Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.waiting_table import WaitingTable
from shared.mail import ids
from shared.mail.status import Status
from shared.services.mails.ports import AttentionItem
from shared.settings import StorageSettings
from tests.fakes import Clock

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture
def storage(connection_string: str) -> Iterator[Storage]:
    stored = Storage(StorageSettings(connection_string=connection_string), None)
    yield stored
    stored.close()


@pytest.fixture
def table(connection_string: str) -> str:
    name = f"t{uuid4().hex}"
    with TableServiceClient.from_connection_string(connection_string) as service:
        service.create_table(name)
    return name


@pytest.fixture
def attention(storage: Storage, table: str) -> AttentionRows:
    client = storage.table(table)
    return AttentionRows(lambda: client)


def case(
    minutes_ago: int, status: Status = Status.FAILED, reason: str | None = "gone"
) -> AttentionItem:
    mail_id = ids.new_id(NOW - timedelta(minutes=minutes_ago), lambda n: uuid4().bytes[:n])
    return AttentionItem(mail_id, status, reason, "billing")


def test_the_newest_mail_comes_first_whenever_its_case_was_opened(attention: AttentionRows) -> None:
    oldest, middle, newest = case(9), case(5), case(1)
    for one in (middle, newest, oldest):
        attention.open(one)

    assert attention.newest(10) == [newest, middle, oldest]
    assert attention.newest(2) == [newest, middle]


def test_opening_a_case_again_takes_the_later_reason(attention: AttentionRows) -> None:
    first = case(1)
    attention.open(first)
    attention.open(AttentionItem(first.mail_id, first.status, "other", "billing"))

    assert [found.reason for found in attention.newest(10)] == ["other"]


def test_closing_a_hold_leaves_the_failure_that_followed_it(attention: AttentionRows) -> None:
    held = case(1, Status.HELD)
    failed = AttentionItem(held.mail_id, Status.FAILED, None, None)
    attention.open(held)
    attention.open(failed)

    attention.close(held.mail_id, Status.HELD)
    attention.close(held.mail_id, Status.HELD)

    assert attention.newest(10) == [failed]


def test_a_case_is_not_taken_for_a_waiting_mail(
    storage: Storage, table: str, attention: AttentionRows
) -> None:
    client = storage.table(table)
    waiting = WaitingTable(lambda: client, Clock(NOW))
    attention.open(case(1))

    assert list(waiting.mail_ids()) == []
    assert waiting.snapshot(NOW, 10).due == []
