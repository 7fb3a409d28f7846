"""The page of one account: what it shows, what it saves, and what it says where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from html import unescape

import azure.functions as func
import pytest
from msgspec.structs import replace

from shared.errors import NotSent
from shared.mail import ids
from shared.mail.account import AccountKind
from shared.mail.address import Address
from shared.mail.defaults import Defaults, Overridable
from shared.mail.expiry import Expiry
from shared.mail.pace import Timetable
from shared.mail.status import Status
from shared.services.accounts.changes import AccountChanges, version_of
from shared.services.mails.ports import AttentionItem
from shared.services.upkeep.ports import Remembered
from shared.web.pages import account_page
from tests.unit.sign_in_fakes import NOW, account_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of

HOSTILE = "</textarea><script>alert(1)</script>"
FULL = Defaults(
    display_name="Contoso Billing",
    reply_to=(Address("desk@contoso.com", "Desk"),),
    signature_text="Contoso",
    signature_html="<b>Contoso</b>",
    save_to_sent_items=False,
    daily_cap=100,
    overridable=frozenset({Overridable.SIGNATURE}),
)
FORM = {
    "display_name": "Contoso Billing",
    "reply_to": "Desk <desk@contoso.com>\r\n",
    "signature_text": "Contoso",
    "signature_html": "<b>Contoso</b>",
    "daily_cap": "100",
    "override_signature": "yes",
    "allowed_from": "Sales@contoso.com\r\n\r\ninfo@contoso.com",
}


@pytest.fixture
def app() -> App:
    app = App()
    app.accounts.rows["billing"] = account_of("billing", is_default=True)
    app.accounts.rows["sales"] = account_of("sales", object_id="other", address="s@contoso.com")
    return app


@pytest.fixture
def browser(app: App) -> Browser:
    browser = Browser()
    browser.open_session(app)
    return browser


def routed(req: func.HttpRequest, alias: str) -> func.HttpRequest:
    return func.HttpRequest(
        req.method,
        req.url,
        headers=dict(req.headers),
        params=dict(req.params),
        route_params={"alias": alias},
        body=req.get_body(),
    )


def show(app: App, browser: Browser, alias: str = "billing", **params: str) -> func.HttpResponse:
    req = browser.request("GET", f"/accounts/{alias}", params=params)
    changes = AccountChanges(app.accounts)
    return account_page.show(
        routed(req, alias), app.site, app.sessions, changes, app.checks, app.overviews
    )


def post(
    app: App,
    browser: Browser,
    form: Mapping[str, str],
    alias: str = "billing",
    headers: Mapping[str, str] = SAME_ORIGIN,
) -> func.HttpResponse:
    req = browser.request("POST", f"/accounts/{alias}", form=form, headers=headers)
    changes = AccountChanges(app.accounts)
    return account_page.change(
        routed(req, alias), app.site, app.sessions, changes, app.checks, app.overviews
    )


def save(app: App, browser: Browser, **form: str) -> func.HttpResponse:
    version = version_of(app.accounts.rows["billing"])
    return post(app, browser, {"version": version, **form})


def fault(response: func.HttpResponse, name: str) -> str:
    found = re.search(rf'id="{name}-told">(.*?)</p>', text_of(response), re.DOTALL)
    return found[1] if found else ""


def test_it_says_what_the_account_is_and_what_is_set(app: App, browser: Browser) -> None:
    app.accounts.rows["billing"] = account_of(
        "billing", defaults=FULL, allowed_from=("info@contoso.com",)
    )

    shown = text_of(show(app, browser))

    for words in (
        "Work or school",
        "send mail; see whose mailbox it is",
        "billing@contoso.com, info@contoso.com",
        'value="Contoso Billing"',
        "Desk &lt;desk@contoso.com&gt;",
        "&lt;b&gt;Contoso&lt;/b&gt;",
        'value="100"',
    ):
        assert words in shown


def test_everything_is_saved_and_told_after_a_redirect(app: App, browser: Browser) -> None:
    answer = save(app, browser, **FORM)

    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/accounts/billing?saved=settings",
    )
    saved = app.accounts.rows["billing"]
    assert saved.defaults == FULL
    assert saved.allowed_from == ("sales@contoso.com", "info@contoso.com")
    assert 'id="saved"' in text_of(show(app, browser, saved="settings"))


def test_one_line_may_hold_several_addresses(app: App, browser: Browser) -> None:
    save(
        app,
        browser,
        **{**FORM, "reply_to": "a@b.de, B <b@b.de>", "allowed_from": "x@b.de; Y <Y@b.de>;"},
    )

    saved = app.accounts.rows["billing"]
    assert saved.defaults.reply_to == (Address("a@b.de"), Address("b@b.de", "B"))
    assert saved.allowed_from == ("x@b.de", "y@b.de")


def test_what_is_shown_is_saved_unchanged(app: App, browser: Browser) -> None:
    app.accounts.rows["billing"] = before = account_of("billing", defaults=FULL)
    shown = text_of(show(app, browser))
    form = dict(
        re.findall(r'<input id="(\w+)" name="\w+" type="checkbox" value="(yes)" checked', shown)
    )

    save(app, browser, **{**FORM, "allowed_from": "", **form})

    assert app.accounts.rows["billing"].defaults == before.defaults


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("daily_cap", "many", "must be a whole number"),
        ("daily_cap", "0", "must be a whole number"),
        ("reply_to", "a@b.de\r\nx", "Line 2 has no"),
        ("reply_to", "a@b.de\r\nDoe, J <j@b.de>", "Line 2 has 2 entries, and number 1"),
        ("reply_to", ", ".join(["a@b.de"] * 11), "has 11 addresses: at most 10"),
        ("allowed_from", "x", "Line 1 has no"),
        ("allowed_from", "a@b.de; x", "Line 1 has 2 entries, and number 2"),
        ("signature_html", "<b>a", "leaves &lt;b&gt; open"),
        ("signature_text", "x" * 8193, "has more than 8192 bytes"),
        ("display_name", "a\x00b", "must not hold"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_entries_are_kept(
    app: App, browser: Browser, name: str, typed: str, told: str
) -> None:
    before = app.accounts.rows["billing"]

    answer = save(app, browser, **{**FORM, "display_name": "Kept", name: typed})

    assert answer.status_code == 400
    assert told in fault(answer, name)
    shown = text_of(answer)
    assert f'aria-describedby="{name}-told ' in shown
    assert 'aria-invalid="true"' in shown
    assert name == "display_name" or 'value="Kept"' in shown
    assert app.accounts.rows["billing"] == before


def test_all_that_is_wrong_is_told_at_once(app: App, browser: Browser) -> None:
    answer = save(app, browser, daily_cap="many", reply_to="x", signature_html="<b>")

    assert all(fault(answer, name) for name in ("daily_cap", "reply_to", "signature_html"))


def test_of_two_editors_the_second_sees_what_the_first_has_saved(
    app: App, browser: Browser
) -> None:
    version = version_of(app.accounts.rows["billing"])
    save(app, browser, **FORM)

    second = post(app, browser, {**FORM, "display_name": "Other", "version": version})

    assert second.status_code == 412
    assert "Contoso Billing" in fault(second, "display_name")
    assert fault(second, "daily_cap") == ""
    assert 'value="Other"' in text_of(second)
    assert app.accounts.rows["billing"].defaults.display_name == "Contoso Billing"
    newer = re.search(r'name="version" value="(\w+)"', text_of(second))
    assert newer is not None
    again = post(app, browser, {**FORM, "display_name": "Other", "version": newer[1]})
    assert again.status_code == 303


def test_another_account_becomes_the_default(app: App, browser: Browser) -> None:
    answer = post(app, browser, {"action": "default"}, "sales")

    assert answer.headers["Location"] == "/accounts/sales?saved=default"
    rows = app.accounts.rows
    assert (rows["billing"].is_default, rows["sales"].is_default) == (False, True)


def test_hostile_text_stays_text(app: App, browser: Browser) -> None:
    hostile = replace(FULL, signature_text=HOSTILE, display_name='"><script>')
    app.accounts.rows["billing"] = account_of("billing", defaults=hostile, display_name=HOSTILE)

    assert "<script>" not in text_of(show(app, browser))
    refused = save(app, browser, **{**FORM, "signature_html": HOSTILE, "daily_cap": HOSTILE})
    assert "<script>" not in text_of(refused)


def test_without_a_session_nothing_is_shown_or_changed(app: App) -> None:
    stranger = Browser()

    assert show(app, stranger).headers["Location"] == "/signin?to=%2Faccounts%2Fbilling"
    assert post(app, stranger, FORM).headers["Location"] == "/signin"
    assert app.accounts.rows["billing"].defaults == Defaults()


def test_another_site_changes_nothing(app: App, browser: Browser) -> None:
    assert post(app, browser, FORM, headers=CROSS_SITE).status_code == 403
    assert app.accounts.rows["billing"].defaults == Defaults()


def test_an_account_that_is_not_there_has_no_page(app: App, browser: Browser) -> None:
    assert show(app, browser, "hr").status_code == 404
    assert post(app, browser, FORM, "hr").status_code == 404


def test_a_form_that_is_no_form_is_refused(app: App, browser: Browser) -> None:
    assert post(app, browser, {"signature_text": "x" * 70_000}).status_code == 400


# --- how it stands


def words(response: func.HttpResponse, name: str) -> str:
    """What stands under a name, as a person reads it."""
    found = re.search(rf'<dd id="{name}">(.*?)</dd>', text_of(response), re.DOTALL)
    assert found
    return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split())


def hold(app: App, minutes_ago: int, account: str = "billing") -> None:
    mail_id = ids.new_id(app.clock() - timedelta(minutes=minutes_ago), lambda size: bytes(size))
    app.attention.open(AttentionItem(mail_id, Status.HELD, "AADSTS50173", account))


def test_it_says_how_many_mails_are_held_for_it_and_since_when(app: App, browser: Browser) -> None:
    for minutes in (5, 90):
        hold(app, minutes)
    hold(app, 1000, "sales")

    held = words(show(app, browser), "held")

    assert held.startswith("2, the oldest accepted on 20 Aug 2026, 10:30 UTC.")


def test_an_account_for_which_nothing_is_held_says_so(app: App, browser: Browser) -> None:
    hold(app, 5, "sales")

    assert words(show(app, browser), "held").startswith("None.")


@pytest.mark.parametrize(
    ("timetable", "cap", "said"),
    [
        (Timetable(), None, "30 mails a minute, at most."),
        (
            Timetable(next_at=NOW + timedelta(minutes=7)),
            None,
            "30 mails a minute, at most. Slots are taken until 20 Aug 2026, 12:07 UTC.",
        ),
        (
            Timetable(resting_until=NOW + timedelta(minutes=5)),
            None,
            "30 mails a minute, at most. Microsoft asked for a pause until 20 Aug 2026, 12:05 UTC.",
        ),
        (
            Timetable(given=((NOW.date(), 1234),)),
            2000,
            "30 mails a minute, at most. 2,000 a day, at most; 1,234 slots of today are taken.",
        ),
    ],
    ids=["idle", "in line", "resting", "a daily cap"],
)
def test_it_says_how_fast_its_mails_go(
    app: App, browser: Browser, timetable: Timetable, cap: int | None, said: str
) -> None:
    app.accounts.rows["billing"] = account_of("billing", defaults=Defaults(daily_cap=cap))
    app.timetables.write(app.accounts.rows["billing"].account_id, timetable, None)

    assert words(show(app, browser), "pace") == said


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (timedelta(days=12), "Client secret: 12 days left, until 01 Sep 2026, 12:00 UTC."),
        (timedelta(hours=3), "Client secret: 1 day left, until 20 Aug 2026, 15:00 UTC."),
        (
            timedelta(0),
            "Client secret: expired on 20 Aug 2026, 12:00 UTC. No mailbox can send: /setup says what to do.",
        ),
        (None, "Client secret: no expiry date is entered in Key Vault."),
    ],
    ids=["days", "hours", "expired", "not written down"],
)
def test_it_says_how_long_the_credential_is_good(
    app: App, browser: Browser, ends: timedelta | None, said: str
) -> None:
    expires_at = NOW + ends if ends is not None else None
    app.memory.remember(Remembered(Expiry("secret", "0f3c9a1b", expires_at)))

    assert words(show(app, browser), "credential") == said


def test_before_the_watch_has_looked_the_vault_is_asked(app: App, browser: Browser) -> None:
    assert "180 days left" in words(show(app, browser), "credential")
    app.credential.versions = []
    assert words(show(app, browser), "credential") == "It uses nothing that is known to expire."


def test_what_does_not_answer_is_said_and_the_rest_is_shown(app: App, browser: Browser) -> None:
    silence = NotSent("storage", "The table service did not answer.")
    app.credential.trouble = NotSent("vault", "Key Vault cannot be reached.")
    for place in ("timetables.read", "attention.newest"):
        app.faults.always(place, silence)

    answer = show(app, browser)

    assert answer.status_code == 200
    assert words(answer, "pace") == "Not known at the moment: storage does not answer."
    assert words(answer, "held").startswith("Not known at the moment")
    assert "Work or school" in text_of(answer)


def test_it_is_signed_in_again_from_here_and_a_mailbox_nobody_signs_in_is_not(
    app: App, browser: Browser
) -> None:
    app.accounts.rows["sales"] = account_of("sales", kind=AccountKind.APP)

    assert "Sign in again: billing" in text_of(show(app, browser))
    assert "Sign in again" not in text_of(show(app, browser, "sales"))
