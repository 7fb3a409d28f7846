"""What checks found, in a real table: kept, replaced under a condition, and not read by senders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from azure.data.tables import TableClient
from msgspec.structs import replace

from local.azurite import Azurite
from shared.adapters.storage.accounts_table import AccountsTable
from shared.adapters.storage.check_rows import CheckRows
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.table_service import Table
from shared.adapters.storage.watch_rows import WatchRows
from shared.errors import LostRace
from shared.mail.expiry import Expiry
from shared.mail.findings import Check, Finding, Result, Topic
from shared.services.accounts.ports import CheckRecord
from shared.services.upkeep.ports import Remembered
from shared.settings import StorageSettings
from tests.fakes import account_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MISSING = Finding(
    Topic.SCOPE, Result.NOT_OK, "Missing.", "Mail.Send", "scope_missing", "somebody", "Do it."
)
CHECK = Check("id-billing", "billing", NOW, 12, (Finding(Topic.GRANT, Result.OK, "Fine."), MISSING))


@pytest.fixture(scope="module")
def connection_string(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Azurite(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as azurite:
        yield azurite.connection_string


@pytest.fixture
def table(connection_string: str) -> Iterator[Table]:
    stored = Storage(StorageSettings(connection_string=connection_string), None)
    with TableClient.from_connection_string(connection_string, "checked") as client:
        client.create_table()
        yield stored.table("checked")
        client.delete_table()
    stored.close()


@pytest.fixture
def rows(table: Table) -> CheckRows:
    return CheckRows(lambda: table)


def test_a_check_is_read_as_it_was_written(rows: CheckRows) -> None:
    written = rows.save(CheckRecord(CHECK, CHECK.troubles))

    assert rows.find("id-billing") == written
    assert rows.all() == [written]
    assert rows.find("id-hr") is None


def test_it_is_replaced_only_as_it_was_read(rows: CheckRows) -> None:
    first = rows.save(CheckRecord(CHECK))
    rows.save(replace(first, known=("grant:AADSTS50173",)))

    with pytest.raises(LostRace):
        rows.save(first)
    with pytest.raises(LostRace):
        rows.save(CheckRecord(CHECK))


def test_removing_it_twice_is_harmless(rows: CheckRows) -> None:
    rows.save(CheckRecord(CHECK))
    rows.remove("id-billing")
    rows.remove("id-billing")

    assert rows.all() == []


def test_of_more_findings_than_a_row_holds_the_first_are_kept(rows: CheckRows) -> None:
    many = tuple(replace(MISSING, subject=f"{n}@contoso.com") for n in range(1000))
    rows.save(CheckRecord(replace(CHECK, findings=many)))
    found = rows.find("id-billing")

    assert found is not None
    assert found.check.findings == many[: len(found.check.findings)]
    assert len(found.check.findings) > 200


def test_senders_do_not_read_what_checks_found(table: Table, rows: CheckRows) -> None:
    accounts = AccountsTable(lambda: table)
    account = accounts.register(account_of(), accounts.snapshot())
    rows.save(CheckRecord(CHECK))

    assert accounts.all(fresh=True) == (account,)


def test_what_the_watch_told_is_remembered_and_changed_only_as_it_was_read(
    table: Table,
) -> None:
    memory = WatchRows(lambda: table)
    empty = memory.recall()
    told = Expiry("secret", "0f3c9a1b", NOW, 30)
    first = memory.remember(replace(empty, credential=told))

    assert empty == Remembered()
    assert memory.recall() == first
    for stale in (empty, replace(first, etag='W/"0"')):
        with pytest.raises(LostRace):
            memory.remember(stale)
    memory.remember(replace(first, credential=None))
    assert memory.recall().credential is None
