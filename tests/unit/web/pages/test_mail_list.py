"""The list of mails: its filters, its search, and what its addresses say."""

from __future__ import annotations

from datetime import timedelta
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from shared.errors import NotSent
from shared.mail import ids, known_errors
from shared.mail.account import AccountKind, AccountState
from shared.mail.mail import MailPage
from shared.mail.status import Status
from shared.services.mails.hourly_stats import HourlyStats
from shared.services.mails.ports import AttentionItem
from shared.web.pages import mail_list, wording
from shared.web.pages.rendering import with_links
from tests.fakes import NOW, FakeServices, Faults, MemoryAttentionIndex, account_of, mail_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


class NoTally:
    """Counts that are out of reach."""

    def last_day(self) -> object:
        raise NotSent("storage", "The table service did not answer.")


class Desk:
    """The page over a room, with a session."""

    def __init__(self) -> None:
        self.app, self.browser = App(), Browser()
        self.browser.open_session(self.app)
        self.services = FakeServices(account_of(is_default=True))
        self.attention = MemoryAttentionIndex(Faults())

    def add(self, minutes_ago: int, **fields: object) -> str:
        at = NOW - timedelta(minutes=minutes_ago)
        mail_id = ids.new_id(at, lambda size: bytes(size))
        self.services.ledger.insert(
            mail_of(mail_id, **{"accepted_at": at, "updated_at": at, "lease_until": None, **fields})
        )
        return mail_id

    def get(self, path: str = "/mails") -> func.HttpResponse:
        query = dict(parse_qsl(urlsplit(path).query))
        return mail_list.show_mails(
            self.browser.request("GET", "/mails", params=query),
            self.app.site,
            self.app.sessions,
            self.app.keys,
            self.services.ledger,
            self.attention,
            cast(HourlyStats, NoTally()),
            self.services.accounts,
            self.services.idempotency,
            self.services.clock,
        )

    def post(self, sent: dict[str, str] | None = None, /, **form: str) -> func.HttpResponse:
        made = self.browser.request("POST", "/mails", form=form, headers=sent or SAME_ORIGIN)
        return mail_list.search_mails(made, self.app.site, self.app.sessions, self.app.keys)

    def search(self, **form: str) -> tuple[str, str]:
        """The address that the form leads to, and the page there."""
        answer = self.post(**form)
        assert answer.status_code == 303, text_of(answer)
        location = answer.headers["Location"]
        return location, text_of(self.get(location))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_typed_is_in_no_address_and_yet_looked_for(desk: Desk) -> None:
    desk.add(1, subject="For Grace", recipients=("grace@example.com",), tags=("order-4711",))
    desk.add(2, subject="For Ada", recipients=("ada@example.com",), tags=("order-4711",))

    location, page = desk.search(to="GRACE@", tag="order-4711", status="", account="Billing")

    assert "For Grace" in page
    assert "For Ada" not in page
    assert 'value="GRACE@"' in page
    assert 'value="order-4711"' in page
    assert "account=Billing" in location
    for secret in ("grace", "GRACE", "4711"):
        assert secret not in location


def test_late_is_what_is_on_the_way_since_a_quarter_of_an_hour_and_has_no_date(desk: Desk) -> None:
    desk.add(16, subject="Late", status=Status.QUEUED)
    desk.add(17, subject="Tried again", status=Status.SENDING)
    desk.add(14, subject="Just taken on", status=Status.QUEUED)
    desk.add(90, subject="For tomorrow", status=Status.SCHEDULED)
    desk.add(91, subject="Gone", status=Status.SENT)

    location, page = desk.search(status="late")

    assert location == "/mails?status=late"
    shown = [s for s in ("Late<", "Tried", "Just", "tomorrow", "Gone") if s in page]
    assert shown == ["Late<", "Tried"]
    assert '<option value="late" selected>' in page


def test_the_way_to_older_mails_keeps_the_search_and_tells_as_little(desk: Desk) -> None:
    for at in range(60):
        desk.add(at, recipients=("grace@example.com",))

    _, page = desk.search(to="grace@")
    older = page.partition('id="older"')[0].rpartition('href="')[2].partition('"')[0]

    assert "typed=" in older
    assert "cursor=" in older
    assert "grace" not in older


def test_a_whole_address_that_finds_nothing_tells_that_no_other_was_looked_for(desk: Desk) -> None:
    desk.add(1, subject="For Grace", recipients=("Grace <grace@example.com>",))

    _, page = desk.search(to="grace@example.co")
    assert "For Grace" not in page
    assert "exactly <code>grace@example.co</code>" in page
    assert "For Grace" in desk.search(to="Grace@example.com")[1]
    assert "exactly" not in desk.search(to="nobody@")[1]


def test_a_page_that_looked_through_a_part_tells_how_far_and_leads_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = MailPage((), "further", NOW)
    monkeypatch.setattr(desk.services.ledger, "page", lambda *_: part)

    _, page = desk.search(to="nobody@")

    assert "None of the mails searched so far" in page
    assert f'Searched back to <time datetime="{NOW:%Y-%m-%dT%H:%M:%S}+00:00">' in page
    assert "cursor=further" in page


def test_an_id_leads_to_its_mail_and_nothing_asked_for_to_the_plain_list(desk: Desk) -> None:
    mail_id = desk.add(1)

    assert desk.post(find=f" {mail_id.upper()} ").headers["Location"] == f"/mails/{mail_id}"
    assert desk.post(find="  ", to="").headers["Location"] == "/mails"


def test_a_key_finds_its_mail_and_what_is_no_key_is_told(desk: Desk) -> None:
    desk.services.accept(idempotency_key="order-7", subject="Keyed")
    desk.add(1, subject="Another")

    _, page = desk.search(find="order-7")
    assert "Keyed" in page
    assert "Another" not in page
    assert "Keyed" in desk.search(find="order-7", account="billing")[1]
    assert "Keyed" not in desk.search(find="order-7", account="hr")[1]
    assert "an id has 36 characters" in desk.search(find="01a01f0a")[1]
    assert "Search for a mail&#39;s id or for its idempotency key." in desk.search(find="a\x07b")[1]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/mails?status=nonsense", "There is no such status."),
        ("/mails?since=yesterday", "must be a day such as"),
        ("/mails?until=2026-13-01", "."),
        ("/mails?since=2026-02-30", "."),
        ("/mails?since=0001-01-01", "must be a day such as"),
        ("/mails?until=9999-12-31", "must be a day such as"),
        ("/mails?since=2026-02-02&until=2026-02-01", "'until' is a day before 'since'"),
        ("/mails?cursor=nonsense", "."),
        ("/mails?typed=nonsense", "fill in the form again"),
        ("/mails?typed=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "fill in the form again"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_told_and_the_page_stands(
    desk: Desk, path: str, words: str
) -> None:
    desk.add(1)

    answer = desk.get(path)

    assert answer.status_code == 200
    problem = text_of(answer).partition('id="problem">')[2].partition("</p>")[0]
    assert problem.endswith(".")
    assert words in problem.replace("&#39;", "'")


def test_typed_words_in_a_query_are_not_read(desk: Desk) -> None:
    desk.add(1, subject="Here")

    page = text_of(desk.get("/mails?to=nobody@example.com&find=x&tag=y"))

    assert "Here" in page
    assert "nobody@" not in page


def test_a_filter_by_status_reason_and_day(desk: Desk) -> None:
    desk.add(1, subject="Kept", status=Status.FAILED, reason="gone")
    desk.add(2, subject="Wrong reason", status=Status.FAILED, reason="other")
    desk.add(3, subject="Sent one", status=Status.SENT)
    desk.add(3 * 24 * 60, subject="Too old", status=Status.FAILED, reason="gone")
    day = f"{NOW:%Y-%m-%d}"

    page = text_of(desk.get(f"/mails?status=attention&reason=gone&since={day}&until={day}"))

    assert "Kept" in page
    for word in ("Wrong reason", "Sent one", "Too old"):
        assert word not in page


def test_causes_are_shown_on_the_first_page_alone_the_largest_first(desk: Desk) -> None:
    for at in range(3):
        mail_id = ids.new_id(NOW - timedelta(minutes=at), lambda size: bytes(size))
        desk.attention.open(AttentionItem(mail_id, Status.HELD, None, "billing"))
    unknown = ids.new_id(NOW - timedelta(hours=1), lambda size: bytes(size))
    desk.attention.open(AttentionItem(unknown, Status.UNKNOWN, None, None))

    page = text_of(desk.get())

    assert page.index("3 held") < page.index("1 unknown")
    assert "Release all 3" in page
    assert page.count("/changes") == 1
    assert "3 held" not in text_of(desk.get("/mails?status=held"))


def test_what_could_not_become_a_mail_is_not_offered_to_be_tried_again(desk: Desk) -> None:
    mail_id = ids.new_id(NOW, lambda size: bytes(size))
    desk.attention.open(AttentionItem(mail_id, Status.FAILED, "unreadable_message", None))

    page = text_of(desk.get())

    assert "1 failed" in page
    assert "/changes" not in page


def test_a_mail_that_waits_says_until_when_and_why(desk: Desk) -> None:
    later = NOW + timedelta(hours=3)
    desk.add(1, status=Status.QUEUED, reason="daily_cap", due_at=later)
    desk.add(2, status=Status.QUEUED, reason="ApplicationThrottled", due_at=later)
    desk.add(3, status=Status.QUEUED, reason=None, due_at=later)
    desk.add(4, status=Status.QUEUED, reason=None, due_at=NOW - timedelta(minutes=4))

    page = text_of(desk.get()).replace("&#39;", "'")

    until = f"until {wording.moment(later)}: "
    assert page.count(until) == 3
    assert f"{until}The daily cap of its account is used up." in page
    assert until + known_errors.find("ApplicationThrottled").meaning in page


def test_a_search_needs_a_session_our_own_page_and_a_form(desk: Desk) -> None:
    assert desk.post(CROSS_SITE, to="x").status_code == 403
    long = desk.browser.request("POST", "/mails", body=b"to=" + b"x" * 70_000, headers=SAME_ORIGIN)
    answer = mail_list.search_mails(long, desk.app.site, desk.app.sessions, desk.app.keys)
    assert answer.status_code == 400
    desk.browser.cookies.clear()
    assert desk.post(to="x").headers["Location"] == "/signin"
    assert desk.get().headers["Location"] == "/signin?to=%2Fmails"


def test_no_page_is_kept_by_a_browser_and_a_session_ends(desk: Desk) -> None:
    assert desk.get().headers["Cache-Control"] == "no-store"
    assert desk.post(to="x").headers["Cache-Control"] == "no-store"
    desk.app.clock.forward(hours=8)
    assert desk.get().headers["Location"] == "/signin?to=%2Fmails"


def held(alias: str = "billing", reason: str | None = None) -> AttentionItem:
    return AttentionItem(ids.new_id(NOW, lambda size: bytes(size)), Status.HELD, reason, alias)


def test_what_waits_for_a_sign_in_is_not_offered_to_be_released_and_leads_to_it() -> None:
    account = account_of(state=AccountState.NEEDS_SIGN_IN, reason="AADSTS50173")

    (group,) = mail_list.group([held(reason="AADSTS50173")], [account], more=False)

    assert group.action is None
    assert group.has_page
    assert "on /accounts" in str(group.step)


def test_a_shared_mailbox_names_whom_it_is_reached_by_and_the_right_that_it_lacks() -> None:
    holder = account_of("sales", state=AccountState.NEEDS_SIGN_IN)
    waiting = account_of(
        "info", kind=AccountKind.SHARED, through="id-sales", state=AccountState.NEEDS_SIGN_IN
    )
    denied = account_of(
        "post",
        kind=AccountKind.SHARED,
        through="id-sales",
        state=AccountState.HELD,
        reason="ErrorAccessDenied",
    )
    attention = [held("info", "AADSTS50173"), held("post", "ErrorAccessDenied")]

    first, second = mail_list.group(attention, [holder, waiting, denied], more=False)

    assert "Sign 'sales' in again" in str(first.step)
    assert "Full Access" in str(second.step)
    assert second.action == "release"


def test_mails_of_an_account_that_is_gone_say_so() -> None:
    (group,) = mail_list.group([held("gone")], [account_of()], more=False)

    assert "'gone' is not connected" in str(group.step)
    assert (group.action, group.has_page) == (None, False)


def test_pages_that_a_text_names_are_links_and_nothing_else_of_it_is_markup() -> None:
    told = with_links("<b>Open /accounts, then /setup.</b> Not /accounts/x nor https://x/setup")

    assert told == (
        '&lt;b&gt;Open <a href="/accounts">/accounts</a>, then <a href="/setup">/setup</a>.&lt;/b&gt; '
        "Not /accounts/x nor https://x/setup"
    )
