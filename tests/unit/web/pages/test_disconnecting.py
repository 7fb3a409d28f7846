"""Disconnecting an account from the page, in two steps."""

from __future__ import annotations

import azure.functions as func
import pytest

from shared.mail.account import AccountKind
from shared.web.pages import disconnecting
from tests.fakes import FakeServices, account_of
from tests.unit.web.browser import CROSS_SITE, SAME_ORIGIN, App, Browser, text_of


class Page:
    """The page over a room, with a session."""

    def __init__(self, *more: object) -> None:
        self.services = FakeServices(account_of(is_default=True), *more)  # type: ignore[arg-type]
        self.app = App()
        self.browser = Browser()
        self.browser.open_session(self.app)

    def ask(self, alias: str = "billing") -> func.HttpResponse:
        return disconnecting.show_disconnect(
            self._request("GET", alias, {}, {}),
            self.app.site,
            self.app.sessions,
            self.services.disconnecting,
        )

    def press(
        self, alias: str = "billing", headers: dict[str, str] | None = None, **form: str
    ) -> func.HttpResponse:
        return disconnecting.disconnect_from_page(
            self._request("POST", alias, form, headers or SAME_ORIGIN),
            self.app.site,
            self.app.sessions,
            self.services.disconnecting,
        )

    def _request(
        self, method: str, alias: str, form: dict[str, str], headers: dict[str, str]
    ) -> func.HttpRequest:
        made = self.browser.request(
            method, f"/accounts/{alias}/disconnect", form=form, headers=headers
        )
        return func.HttpRequest(
            method,
            made.url,
            headers=made.headers,
            route_params={"alias": alias},
            body=made.get_body(),
        )


@pytest.fixture
def page() -> Page:
    return Page()


def test_the_first_step_says_what_will_happen_and_does_nothing(page: Page) -> None:
    page.services.accepted()
    shown = text_of(page.ask())

    assert "1\n      mail waits" in shown
    assert "myapps.microsoft.com" in shown
    assert "It is the default account" in shown
    assert "billing" in page.services.accounts.rows


def test_a_personal_mailboxs_owner_is_sent_elsewhere() -> None:
    page = Page(account_of("me", kind=AccountKind.PERSONAL))

    assert "account.live.com" in text_of(page.ask("me"))


def test_shared_mailboxes_have_to_be_ticked() -> None:
    page = Page(account_of("info", kind=AccountKind.SHARED, through="id-billing"))

    assert "with-shared" in text_of(page.ask())
    assert page.press(waiting="hold").status_code == 409
    assert "info" in text_of(page.press(waiting="hold", with_shared="yes"))
    assert page.services.accounts.rows == {}


def test_the_second_step_does_it_and_says_what_was_done(page: Page) -> None:
    answer = page.press(waiting="cancel")

    assert answer.status_code == 200
    assert "billing is disconnected" in text_of(answer)
    assert page.services.accounts.rows == {}


def test_what_is_left_has_a_button_to_go_on(page: Page) -> None:
    for _ in range(2):
        page.services.accepted()
    page.services.faults.after("ledger.update", lambda: page.services.clock.forward(seconds=61))
    shown = text_of(page.press(waiting="cancel"))

    assert "being disconnected" in shown
    assert "Go on" in shown
    assert "begun" in text_of(page.ask())


@pytest.mark.parametrize("waiting", ["", "lose"])
def test_a_form_that_does_not_say_what_becomes_of_mails_does_nothing(
    page: Page, waiting: str
) -> None:
    assert page.press(waiting=waiting).status_code == 400
    assert "billing" in page.services.accounts.rows


def test_another_site_and_nobody_cannot(page: Page) -> None:
    assert page.press(headers=CROSS_SITE, waiting="hold").status_code == 403
    page.browser.cookies.clear()
    assert page.press(waiting="hold").headers["Location"] == "/signin"
    assert page.ask().headers["Location"] == "/signin?to=%2Faccounts%2Fbilling%2Fdisconnect"
    assert "billing" in page.services.accounts.rows
