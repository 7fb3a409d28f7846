"""The list of mails over many of them, against Azurite: each page comes soon, however deep and however
rare what is looked for.

`make test` seeds few and leaves the clock out of it, since much else runs beside it.
`POSTROOM_SEEDED=100000 .venv/bin/pytest -s tests/contract/test_many_mails.py` seeds so many, which takes
half a minute, prints the figures, and holds them to what a person waits for gladly.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from azure.data.tables import TableServiceClient
from msgspec.structs import replace

from local.azurite import Azurite
from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.hour_rows import HourRows
from shared.adapters.storage.mail_rows import keys_of, to_row
from shared.adapters.storage.mails_table import SIFTED, MailsTable
from shared.mail import ids
from shared.mail.mail import Mail, MailFilter
from shared.mail.status import Status
from shared.services.intake.idempotency import Idempotency
from shared.services.mails.hourly_stats import HourlyStats
from shared.services.mails.ports import Hour
from shared.settings import StorageSettings
from shared.web.pages import mail_list
from tests.fakes import Clock
from tests.seeding import STATUSES, fill, keeping_still, mail_at
from tests.unit.web.browser import App, Browser, text_of

MEASURES = "POSTROOM_SEEDED" in os.environ
COUNT = int(os.environ.get("POSTROOM_SEEDED", "2000"))
MOST_MILLISECONDS = 300
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
APART = timedelta(days=3) / COUNT

pytestmark = pytest.mark.timeout(1500)


def seeded(at: int) -> Mail:
    """The mail of this place, newest first."""
    return mail_at(at, NOW, APART)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """With `COUNT` mails of three days."""
    begun = time.monotonic()
    directory = tmp_path_factory.mktemp("azurite")
    # As they come: the oldest first.
    fill(directory, {"mails": [to_row(seeded(at)) for at in reversed(range(COUNT))]})
    with keeping_still(directory):
        azurite = Azurite(directory / "azurite.log", directory=directory).start()
    try:
        with TableServiceClient.from_connection_string(azurite.connection_string) as service:
            service.create_table("waiting")
        sys.stdout.write(f"\nseeded {COUNT} mails in {time.monotonic() - begun:.0f} s\n")
        settings = StorageSettings(connection_string=azurite.connection_string)
        stored = Storage(settings, None)
        yield stored
        stored.close()
    finally:
        azurite.stop()


@pytest.fixture(scope="module")
def ledger(storage: Storage) -> MailsTable:
    return MailsTable(lambda: storage.table("mails"))


def quickest(what: str, ask: Callable[[], Any]) -> Any:
    """The answer, and how long it took at the best of three tries."""
    times, answer = [], None
    for _ in range(3):
        begun = time.perf_counter()
        answer = ask()
        times.append(1000 * (time.perf_counter() - begun))
    sys.stdout.write(f"{what}: {min(times):.0f} ms\n")
    assert not MEASURES or min(times) <= MOST_MILLISECONDS, (what, times)
    return answer


def all_of(ledger: MailsTable, wanted: MailFilter, size: int = 50) -> list[Mail]:
    """Every page, one after the other."""
    found, cursor = list[Mail](), None
    while True:
        page = ledger.page(wanted, size, cursor)
        assert len(page.mails) <= size
        found += page.mails
        cursor = page.cursor
        if cursor is None:
            return found


def test_each_page_of_the_list_comes_soon_at_the_top_and_deep_down(ledger: MailsTable) -> None:
    page = quickest("the first page", lambda: ledger.page(MailFilter(), 50, None))
    assert [mail.subject for mail in page.mails] == [f"Number {at}" for at in range(50)]
    for _ in range(20):
        page = ledger.page(MailFilter(), 50, page.cursor)
    cursor = page.cursor
    deep = quickest("page 22", lambda: ledger.page(MailFilter(), 50, cursor))
    assert [mail.subject for mail in deep.mails[:1]] == ["Number 1050"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a status", MailFilter(statuses=(Status.FAILED,))),
        ("an account", MailFilter(account="news")),
        ("an account that is not there", MailFilter(account="nobody")),
        ("a reason", MailFilter(reason="ErrorInvalidRecipients")),
        ("a day", MailFilter(since=NOW - timedelta(days=2), until=NOW - timedelta(days=1))),
        ("a tag", MailFilter(tag="gift")),
        ("a tag that is not there", MailFilter(tag="none")),
        ("a recipient", MailFilter(recipient="grace@example.com")),
        ("a recipient that is not there", MailFilter(recipient="nobody@example.com")),
        ("a part of an address that one in a thousand has", MailFilter(recipient="grace@")),
        ("a part of an address that one in ten has", MailFilter(recipient="5@example")),
        ("a part of an address that one in 80 has", MailFilter(recipient="55@", account="news")),
        ("a part of an address that all have", MailFilter(recipient="example")),
        ("a part of an address that is not there", MailFilter(recipient="nobody@")),
        ("a tag of an account and a status", MailFilter(account="news", tag="gift")),
    ],
)
def test_each_filter_answers_soon_however_rare_its_mails_are(
    ledger: MailsTable, name: str, wanted: MailFilter
) -> None:
    quickest(name, lambda: ledger.page(wanted, 50, None))


@pytest.mark.skipif(COUNT > 10_000, reason="reads every row, many times")
@pytest.mark.parametrize("size", [3, 50])
def test_no_mail_is_missed_or_told_twice_where_a_page_ends_inside_a_storage_page(
    ledger: MailsTable, size: int
) -> None:
    # Rare ones are further apart than a storage page; those of a part may be many or few in one.
    assert SIFTED < 1000
    rare = [f"Number {at}" for at in range(COUNT) if at % 1000 == 999]
    for wanted in (
        MailFilter(tag="gift"),
        MailFilter(recipient="grace@example.com"),
        MailFilter(recipient="grace@"),
        MailFilter(recipient="grace@", tag="gift"),
    ):
        assert [mail.subject for mail in all_of(ledger, wanted, size)] == rare
    assert all_of(ledger, MailFilter(recipient="grace@example.co")) == []
    for part in ("reader12", "55@"):
        found = all_of(ledger, MailFilter(recipient=part, statuses=(Status.SENT,)), size)
        assert [mail.subject for mail in found] == [
            f"Number {at}"
            for at in range(COUNT)
            if part in f"reader{at}@" and at % 100 < 97 and at % 1000 != 999
        ]


def test_a_page_that_looked_through_a_part_of_the_ledger_says_how_far(ledger: MailsTable) -> None:
    nobody, cursor, reached = MailFilter(recipient="nobody@"), None, NOW + timedelta(seconds=1)
    for _ in range(2):
        page = ledger.page(nobody, 50, cursor)
        if page.cursor is None:
            break
        assert list(page.mails) == []
        assert page.reached is not None
        assert page.reached < reached
        cursor, reached = page.cursor, page.reached
    last = NOW - (COUNT - 1) * APART
    mails = all_of(ledger, MailFilter(recipient=f"reader{COUNT - 2}@example.com"))
    assert [mail.accepted_at for mail in mails] == [last + APART]


def test_a_mail_that_comes_while_pages_are_turned_makes_none_be_missed_or_told_twice(
    storage: Storage, ledger: MailsTable
) -> None:
    early = replace(seeded(3), mail_id=ids.new_id(NOW - 3.5 * APART, os.urandom), subject="Early")
    first = ledger.page(MailFilter(recipient="reader"), 10, None)
    late = replace(seeded(1), mail_id=ids.new_id(NOW + APART, os.urandom), subject="Late")
    client = storage.table("mails")
    for mail in (early, late):
        client.insert("seeding", to_row(mail))
    try:
        second = ledger.page(MailFilter(recipient="reader"), 10, first.cursor)
        anew = ledger.page(MailFilter(recipient="reader"), 10, None)
    finally:
        for mail in (early, late):
            client.remove("cleaning up", *keys_of(mail.mail_id))

    assert [mail.subject for mail in first.mails] == [f"Number {at}" for at in range(10)]
    assert [mail.subject for mail in second.mails] == [f"Number {at}" for at in range(10, 20)]
    assert [mail.subject for mail in anew.mails][:2] == ["Late", "Number 0"]


def test_a_mail_to_more_than_can_be_indexed_is_found_by_each_of_its_addresses(
    storage: Storage,
) -> None:
    service = storage.table("mails")
    when = NOW + timedelta(days=200)
    many = replace(
        seeded(0),
        mail_id=ids.new_id(when, os.urandom),
        accepted_at=when,
        recipients=("Grace <Grace@Many.example>", *(f"r{at}@many.example" for at in range(150))),
        tags=("it's new", "ß"),
    )
    service.insert("seeding", to_row(many))
    since = when - timedelta(days=1)
    ledger = MailsTable(lambda: service)
    try:
        for address in ("grace@many.example", "r0@many.example", "r149@many.example"):
            assert len(all_of(ledger, MailFilter(recipient=address, since=since))) == 1
        for tag in many.tags:
            assert len(all_of(ledger, MailFilter(tag=tag, since=since))) == 1
        assert all_of(ledger, MailFilter(recipient="r150@many.example", since=since)) == []
        assert all_of(ledger, MailFilter(tag="it", since=since)) == []
    finally:
        service.remove("cleaning up", *keys_of(many.mail_id))


def test_an_hour_is_counted_whole_and_by_status(ledger: MailsTable) -> None:
    begins = NOW.replace(hour=7, minute=0)
    concurrency = [
        at for at in range(COUNT) if begins <= NOW - at * APART < begins + timedelta(hours=1)
    ]

    hour = ledger.count(begins, begins + timedelta(hours=1))

    assert (hour.total, hour.whole) == (len(concurrency), True)
    for status in (Status.SENT, Status.FAILED, Status.HELD):
        mine = sum(STATUSES[at % 100] is status for at in concurrency)
        assert hour.counts.get(status, 0) == mine


def test_the_last_hour_of_a_day_ends_with_the_day(ledger: MailsTable) -> None:
    begins = NOW.replace(hour=23, minute=0) - timedelta(days=1)
    concurrency = [
        at for at in range(COUNT) if begins <= NOW - at * APART < begins + timedelta(hours=1)
    ]

    assert ledger.count(begins, begins + timedelta(hours=1)).total == len(concurrency)


def test_a_count_with_an_end_says_that_it_is_not_whole(ledger: MailsTable) -> None:
    # A storage page is 1,000 rows: with fewer in the span it is whole all the same.
    day = NOW.replace(hour=0, minute=0)
    whole = ledger.count(day - timedelta(days=1), day)
    part = ledger.count(day - timedelta(days=1), day, 1)

    assert part.total == min(whole.total, 1000)
    assert part.whole == (whole.total <= 1000)


def test_hours_come_back_as_they_were_written_and_go_when_they_are_old(storage: Storage) -> None:
    hours = HourRows(lambda: storage.table("waiting"))
    begun = NOW.replace(minute=0)
    for back in (3, 2, 1):
        hours.write(Hour(begun - timedelta(hours=back), {Status.SENT: back, Status.HELD: 1}))
    hours.write(Hour(begun - timedelta(hours=1), {Status.SENT: 9}))

    assert [hour.counts for hour in hours.read(begun - timedelta(hours=2))] == [
        {Status.SENT: 2, Status.HELD: 1},
        {Status.SENT: 9},
    ]
    hours.forget(begun - timedelta(hours=1))
    assert [hour.total for hour in hours.read(begun - timedelta(days=2))] == [9]
    hours.forget(begun)
    hours.forget(begun)
    assert list(hours.read(begun - timedelta(days=2))) == []


def test_the_page_is_made_soon_with_its_chart_its_filters_and_its_search(
    storage: Storage, ledger: MailsTable
) -> None:
    app, browser, clock = App(), Browser(), Clock(NOW)
    browser.open_session(app)
    waiting = storage.table("waiting")
    hourly_stats = HourlyStats(ledger, HourRows(lambda: waiting), clock)
    hourly_stats.count()

    def get(query: dict[str, str]) -> str:
        answer = mail_list.show_mails(
            browser.request("GET", "/mails", params=query),
            app.site,
            app.sessions,
            app.keys,
            ledger,
            AttentionRows(lambda: waiting),
            hourly_stats,
            app.accounts,
            cast(Idempotency, None),
            clock,
        )
        assert answer.status_code == 200
        assert len(answer.get_body()) <= 50 * 1024
        return text_of(answer)

    typed = mail_list.Asked.of_form({"to": "grace@example.com"}, app.keys).typed
    assert "Number 49<" in quickest("the page", lambda: get({}))
    assert "Number 999<" in quickest("the page for a recipient", lambda: get({"typed": typed}))
    typed = mail_list.Asked.of_form({"to": "nobody@"}, app.keys).typed
    seen = quickest("the page for nobody", lambda: get({"typed": typed}))
    assert COUNT <= 2000 or "Searched back to <time" in seen
    assert "Number 97<" in quickest("the page of failures", lambda: get({"status": "failed"}))
