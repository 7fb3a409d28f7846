"""Checking an account from the page."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import azure.functions as func
import pytest
from msgspec.structs import replace

from shared.errors import ConsentRequired, RemoteRefused
from shared.mail.expiry import Expiry
from shared.services.upkeep.ports import Remembered
from shared.web.pages import accounts_page, checks
from tests.fakes import NOT_REACHED, NOW, FakeServices, account_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


class Page:
    """/accounts over a room, with a session."""

    def __init__(self) -> None:
        self.services = FakeServices(account_of(allowed_from=("info@contoso.com",)))
        self.app = App()
        self.browser = Browser()
        self.browser.open_session(self.app)

    def check(
        self, alias: str = "billing", headers: dict[str, str] | None = None, back: str = ""
    ) -> func.HttpResponse:
        made = self.browser.request(
            "POST", f"/accounts/{alias}/check", headers=headers or SAME_ORIGIN
        )
        req = func.HttpRequest(
            "POST",
            made.url,
            headers=made.headers,
            route_params={"alias": alias},
            body=urlencode({"back": back} if back else {}).encode(),
        )
        return checks.check_from_page(req, self.app.site, self.app.sessions, self.services.checking)

    def shown(self, **params: str) -> str:
        req = self.browser.request("GET", "/accounts", params=params)
        app, services = self.app, self.services
        memory = services.watch_memory
        return text_of(
            accounts_page.show_accounts(
                req, app.site, app.sessions, app.keys, services.accounts, services.checks, memory
            )
        )


@pytest.fixture
def page() -> Page:
    return Page()


def test_the_button_checks_and_leads_back_to_what_was_found(page: Page) -> None:
    answer = page.check()

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/accounts?checked=billing#checked"
    shown = page.shown(checked="billing")
    assert "billing shows no trouble, as far as that is seen without sending" in shown
    assert "info@contoso.com" in shown


def test_a_check_from_the_accounts_own_page_leads_back_to_it(page: Page) -> None:
    answer = page.check(back="account")

    assert answer.headers["Location"] == "/accounts/billing#last-check"


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/mails"])
def test_a_check_leads_nowhere_else(page: Page, back: str) -> None:
    assert page.check(back=back).headers["Location"] == "/accounts?checked=billing#checked"


def test_a_mailbox_in_which_a_draft_was_made_works(page: Page) -> None:
    account = account_of()
    page.services.accounts.put(replace(account, scopes=account.scopes | {"Mail.ReadWrite"}))
    page.check()

    assert "billing works" in page.shown(checked="billing")


def test_an_account_with_known_trouble_is_not_simply_called_ready(page: Page) -> None:
    page.services.faults.before(
        "graph.user", RemoteRefused("graph", "no", code="ErrorAccessDenied")
    )
    page.check()
    shown = page.shown(linked="billing")

    assert "Ready, with faults" in shown
    assert "found faults, so it may not send" in shown
    assert "goes by itself" not in shown


def test_once_the_credential_has_expired_no_account_is_called_ready(page: Page) -> None:
    ended = Expiry("secret", "1", NOW - timedelta(days=1), told=0)
    page.services.watch_memory.remember(Remembered(ended))
    shown = page.shown()

    assert "Cannot send" in shown
    assert ">Ready<" not in shown
    assert '<a href="/setup">/setup</a> says what to do' in shown


def test_trouble_is_shown_with_its_code_and_who_does_what(page: Page) -> None:
    page.services.faults.always("tokens.renew", ConsentRequired("AADSTS50173", "revoked"))
    page.check()
    shown = page.shown(checked="billing")

    assert "billing has trouble" in shown
    assert "AADSTS50173" in shown
    assert "Who: the person whose mailbox it is" in shown


def test_each_account_has_a_button_and_none_shows_a_check_unasked(page: Page) -> None:
    page.check()
    shown = page.shown()

    assert 'action="/accounts/billing/check"' in shown
    assert 'id="checked"' not in shown


@pytest.mark.parametrize("alias", ["hr", "<script>"])
def test_what_was_never_checked_shows_nothing(page: Page, alias: str) -> None:
    assert 'id="checked"' not in page.shown(checked=alias)


def test_another_site_cannot_have_an_account_checked(page: Page) -> None:
    assert page.check(headers=CROSS_SITE).status_code == 403
    assert page.services.tokens.renewed == []


def test_without_a_session_nothing_is_checked(page: Page) -> None:
    page.browser.cookies.clear()

    assert page.check().headers["Location"] == "/signin"
    assert page.services.tokens.renewed == []


def test_an_account_that_is_not_there_is_told_on_a_page(page: Page) -> None:
    answer = page.check("hr")

    assert answer.status_code == 404
    assert "No account has this alias" in text_of(answer)


def test_storage_that_fails_is_told_on_a_page(page: Page) -> None:
    page.services.faults.always("accounts.fresh", NOT_REACHED)

    assert page.check().status_code == 503


@pytest.mark.parametrize(
    ("told", "days", "words"),
    [
        (30, 20, "expires on 09 Sep 2026"),
        (0, -1, "expired on 19 Aug 2026"),
        (None, 90, None),
    ],
)
def test_a_credential_that_expires_is_told_on_top(
    page: Page, told: int | None, days: int, words: str | None
) -> None:
    found = Expiry("secret", "0f3c9a1b", NOW + timedelta(days=days), told)
    page.services.watch_memory.remember(Remembered(found))
    shown = page.shown()

    assert ('id="expiry"' in shown) == (words is not None)
    assert words is None or words in shown


def test_accounts_with_trouble_are_named_on_top(page: Page) -> None:
    page.services.faults.always("tokens.renew", ConsentRequired("AADSTS50173", "revoked"))
    page.services.watch.run()

    assert 'href="/accounts?checked=billing#checked"' in page.shown()
