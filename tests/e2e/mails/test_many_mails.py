"""The list of mails in a real browser, over many of them: pages, filters, search, and how soon each comes.

`make test` seeds few and leaves the clock out of it but for a limit that only a loop would break.
`make many` seeds 100,000, prints the figures, and holds them to what a person waits for gladly.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from local import demo
from local.stack import Stack
from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.hour_rows import HourRows
from shared.adapters.storage.mail_rows import to_row
from shared.mail.mail import Mail
from shared.mail.status import ATTENTION, Status
from shared.services.mails.attention import case_of
from shared.services.mails.ports import Hour
from tests.e2e.browser import PATIENCE, Watch, give_session
from tests.e2e.control import Control
from tests.seeding import fill, keeping_still, mail_at

if TYPE_CHECKING:
    from shared.adapters.storage.table_service import Table

MEASURES = "POSTROOM_SEEDED" in os.environ
COUNT = int(os.environ.get("POSTROOM_SEEDED", "6000"))
MOST_MILLISECONDS = 300 if MEASURES else 10_000
LOADS = 7 if MEASURES else 1
MOST_BYTES = 50 * 1024
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
APART = timedelta(days=3) / COUNT
HOUR = timedelta(hours=1)
KEY = "order-4711"

pytestmark = pytest.mark.timeout(600)

TIMING = """() => {
  const entry = performance.getEntriesByType("navigation")[0];
  return [entry.responseEnd - entry.requestStart, entry.decodedBodySize];
}"""
IDS = (
    """() => [...document.querySelectorAll("table.mails tbody tr")].map((row) => row.dataset.id)"""
)
COLUMN = """(place) => [...document.querySelectorAll("table.mails tbody tr")]
  .map((row) => row.children[place].textContent.trim())"""
SUBJECT, ACCOUNT, STATUS = 0, 2, 3


class Rows:
    """Notes what an adapter would write."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def upsert(self, _: str, row: dict[str, Any]) -> None:
        self.rows.append(row)


def seeds() -> list[Mail]:
    """Two in a hundred are held or unknown; held ones are of an account that nobody signs in."""
    mails = [mail_at(at, NOW, APART) for at in range(COUNT)]
    for at in range(97, COUNT, 100):
        mails[at - 1] = replace(mails[at - 1], status=Status.HELD)
    return [
        replace(mail, account="news", reason="needs_sign_in")
        if mail.status is Status.HELD
        else mail
        for mail in mails
    ]


def waiting_rows(mails: list[Mail]) -> list[dict[str, Any]]:
    """The cases of the mails that need attention, and the hours as the timer counts them."""
    noted = Rows()
    table = cast("Table", noted)
    attention, hours = AttentionRows(lambda: table), HourRows(lambda: table)
    counts: dict[datetime, Counter[Status]] = {}
    for mail in reversed(mails):
        if mail.status in ATTENTION:
            attention.open(case_of(mail))
        begun = mail.accepted_at.replace(minute=0, second=0)
        counts.setdefault(begun, Counter())[mail.status] += 1
    for begins, count in counts.items():
        if begins > NOW - 24 * HOUR:
            hours.write(Hour(begins, dict(count)))
    return noted.rows


@pytest.fixture(scope="module")
def seeded_control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A stack of its own with `COUNT` mails of three days, an account that can send, and one mail of
    its own with a key."""
    begun = datetime.now(UTC)
    state, storage = tmp_path_factory.mktemp("stack"), tmp_path_factory.mktemp("azurite")
    mails = seeds()
    fill(
        storage,
        # As they come: the oldest first.
        {"mails": [to_row(mail) for mail in reversed(mails)], "waiting": waiting_rows(mails)},
    )
    running = Stack(state, 0, 0, storage_dir=storage, local_settings=False)
    try:
        with keeping_still(storage):
            running.start()
        control = Control(running)
        demo.sign_in(running.info, demo.MAILBOX, demo.ALIAS)
        control.send(
            to="ada@contoso.com", subject="Keyed", text="Hello.", idempotency_key=KEY, wait=20
        )
        tell(f"\nseeded {COUNT} mails in", (datetime.now(UTC) - begun).total_seconds(), "s")
        yield control
        control.close()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def mails(browser: Browser, seeded_control: Control) -> Iterator[Page]:
    """A window with a session, at /mails."""
    app = seeded_control.stack.app_url
    with browser.new_context(locale="en-GB", base_url=app) as profile:
        profile.set_default_timeout(PATIENCE)
        watch = Watch(profile)
        page = profile.new_page()
        give_session(page, app, seeded_control.stack.function_key)
        yield page
        assert watch.troubles() == []


def tell(what: str, figure: float, unit: str) -> None:
    sys.stdout.write(f"{what}: {figure:.0f} {unit}\n")


def hold_to_limits(page: Page, what: str) -> None:
    """Load the page that is shown some times more: the middle of its times is soon, and it is small."""
    times = []
    for _ in range(LOADS):
        page.goto(page.url)
        milliseconds, size = page.evaluate(TIMING)
        times.append(milliseconds)
        assert 0 < size <= MOST_BYTES, (what, size)
    tell(what, statistics.median(times), f"ms ({min(times):.0f} to {max(times):.0f})")
    assert statistics.median(times) <= MOST_MILLISECONDS, (what, times)


def search(page: Page, **fields: str) -> None:
    """Fill in the form and press its button."""
    page.goto("/mails")
    for name, value in fields.items():
        field = page.locator(f"form.filter #{name}")
        if name in ("status", "account"):
            field.select_option(value)
        else:
            field.fill(value)
    with page.expect_navigation():
        page.get_by_role("button", name="Show", exact=True).click()


def older(page: Page) -> None:
    """Follow the link to what comes next."""
    with page.expect_navigation():
        page.locator("#older").click()


def column(page: Page, place: int) -> list[str]:
    found: list[str] = page.evaluate(COLUMN, place)
    return found


def ids(page: Page) -> list[str]:
    found: list[str] = page.evaluate(IDS)
    return found


def test_pages_go_on_and_back_without_a_mail_missed_or_told_twice(mails: Page) -> None:
    mails.goto("/mails")
    seen = [ids(mails)]
    assert column(mails, SUBJECT) == ["Keyed", *(f"Number {at}" for at in range(49))]
    hold_to_limits(mails, "the first page with causes and chart")

    for number in range(2, 7):
        older(mails)
        first = (number - 1) * 50 - 1
        assert column(mails, SUBJECT) == [f"Number {at}" for at in range(first, first + 50)]
        seen.append(ids(mails))
    hold_to_limits(mails, "page 6")

    for before in reversed(seen[:-1]):
        mails.go_back()
        assert ids(mails) == before
    mails.goto(mails.url)
    assert column(mails, SUBJECT)[0] == "Keyed"


def test_what_needs_attention_stands_on_top_by_cause_and_not_one_by_one(mails: Page) -> None:
    mails.goto("/mails")

    causes = mails.locator(".causes li")
    # Held of one account, failed of three.
    expect(causes).to_have_count(4)
    told = [int(re.match(r"\d+", text.strip())[0]) for text in causes.all_inner_texts()]  # type: ignore[index]
    assert sum(told) == min(1000, 3 * COUNT // 100)
    expect(mails.locator("figure.day svg")).to_be_visible()
    assert len(ids(mails)) == 50

    with mails.expect_navigation():
        mails.locator(".causes a").first.click()
    assert set(column(mails, ACCOUNT)) == {"news"}
    hold_to_limits(mails, "the mails of a cause")


@pytest.mark.parametrize(
    ("status", "words"),
    [("failed", "Failed"), ("sent", "Sent"), ("attention", None), ("scheduled", "")],
)
def test_a_filter_by_status(mails: Page, status: str, words: str | None) -> None:
    search(mails, status=status)
    shown = {text.split()[0] for text in column(mails, STATUS)}
    assert shown == ({"Failed", "Held"} if words is None else {words} - {""})
    hold_to_limits(mails, f"by status {status}")
    if words:
        first = ids(mails)
        older(mails)
        hold_to_limits(mails, f"by status {status}, page 2")
        assert set(ids(mails)).isdisjoint(first)


def test_a_filter_by_account(mails: Page) -> None:
    search(mails, account="billing")
    assert set(column(mails, ACCOUNT)) == {"billing"}
    hold_to_limits(mails, "by account")
    older(mails)
    assert set(column(mails, ACCOUNT)) == {"billing"}


def test_a_filter_by_tag_and_one_by_a_whole_address_find_the_rare_at_once(mails: Page) -> None:
    rare = [f"Number {at}" for at in range(999, COUNT, 1000)]
    for what, fields in (
        ("by tag", {"tag": "gift"}),
        ("by a whole address", {"to": "Grace@example.com"}),
        ("by both", {"tag": "gift", "to": "grace@example.com"}),
    ):
        search(mails, **fields)
        assert column(mails, SUBJECT) == rare[:50]
        assert "grace" not in mails.url
        hold_to_limits(mails, what)
    search(mails, tag="none")
    expect(mails.get_by_text("No mail of this kind.")).to_be_visible()
    hold_to_limits(mails, "by a tag that is not there")


def test_a_part_of_an_address_is_looked_for_in_steps_that_say_how_far(mails: Page) -> None:
    search(mails, to="nobody@")
    hold_to_limits(mails, "by a part of an address that is not there")
    if COUNT > 10_000:
        expect(mails.locator("#reached time")).to_have_count(1)

    search(mails, to="grace@")
    hold_to_limits(mails, "by a part of an address")
    found = column(mails, SUBJECT)
    for _ in range(COUNT // 500):
        if len(found) >= 4 or mails.locator("#older").count() == 0:
            break
        older(mails)
        found += column(mails, SUBJECT)
    assert found[:4] == ["Number 999", "Number 1999", "Number 2999", "Number 3999"]

    search(mails, to="5@example")
    hold_to_limits(mails, "by a part that one in ten has")
    assert column(mails, SUBJECT)[:3] == ["Number 5", "Number 15", "Number 25"]


def test_a_filter_by_days(mails: Page) -> None:
    day = f"{NOW - timedelta(days=1):%Y-%m-%d}"
    search(mails, since=day, until=day)
    stamps = mails.locator("table.mails time").evaluate_all("times => times.map((t) => t.dateTime)")
    assert {stamp[:10] for stamp in stamps} == {day}
    assert len(stamps) == 50
    hold_to_limits(mails, "by day")
    search(mails, since=day, until=day, status="failed", account="billing")
    assert set(column(mails, ACCOUNT)) == {"billing"}
    hold_to_limits(mails, "by day, status and account")


def test_a_search_by_id_and_one_by_key(mails: Page) -> None:
    mails.goto("/mails")
    older(mails)
    wanted = ids(mails)[7]
    search(mails, find=wanted)
    expect(mails).to_have_url(re.compile(f"/mails/{wanted}$"))
    hold_to_limits(mails, "a mail by its id")

    search(mails, find=KEY)
    assert column(mails, SUBJECT) == ["Keyed"]
    assert KEY not in mails.url
    hold_to_limits(mails, "by key")
