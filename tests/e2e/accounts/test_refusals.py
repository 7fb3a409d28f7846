"""Every refusal that a sign-in can meet, seen in a browser: it is explained, and leaves nothing behind.

One window for all of them, signed in at Microsoft; each test begins a sign-in and looks where it ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from azure.data.tables import TableClient, TableServiceClient
from playwright.sync_api import Browser, BrowserContext, Page, expect

from shared.mail import known_errors
from tests.e2e.browser import PATIENCE, Watch, accept, begin_sign_in, choose, give_session
from tests.e2e.control import Control
from tests.unit.mail.test_refusals import AADSTS

BILLING = "billing@contoso.com"
FLOW = "__Secure-postroom-flow-"
FLOW_SECONDS = 600
POST = """(fields) => {
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/auth/login";
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    field.type = "hidden";
    [field.name, field.value] = [name, value];
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}"""

READ = """() => {
  const words = (id) => document.getElementById(id).innerText.replace(/\\s+/g, " ");
  const links = document.querySelectorAll('#refused a[href*="/adminconsent?"]');
  return [words("refused"), words("help"), links.length];
}"""
"""What the page of a refusal says, what it says to do, and how many links an administrator gets."""

ON_MICROSOFTS_PAGE = [
    "50011",
    "500113",
    "900971",
    "50020",
    "50105",
    "50194",
    "500208",
    "650052",
    "650056",
    "700016",
    "7000112",
    "90002",
    "900023",
    "900439",
]
AT_THE_TOKEN_ENDPOINT = [
    "7000215",
    "7000222",
    "7000218",
    "700025",
    "700027",
    "50012",
    "50013",
    "70021",
    "700213",
    "700229",
    "650057",
    "9001023",
    "501481",
    "54005",
    "700005",
    "70008",
    "70000",
    "28002",
    "28003",
    "70011",
    "700022",
    "9002313",
    "900144",
]
SENT_BACK = sorted(set(AADSTS) - {*ON_MICROSOFTS_PAGE, *AT_THE_TOKEN_ENDPOINT})


@dataclass(frozen=True)
class Desk:
    """The window and what stands behind it."""

    control: Control
    context: BrowserContext
    page: Page
    watch: Watch
    accounts: TableClient
    flows: TableClient

    def begin_by_hand(self, address: str) -> Page:
        """Begin a sign-in, as a person does."""
        self.page.goto(f"{self.control.stack.app_url}/accounts")
        begin_sign_in(self.page, "box", address)
        return self.page

    def begin(self, address: str = "") -> Page:
        """Begin one as the button of a refusal does, without a page of Postroom's before. With an
        address Microsoft knows who is there, and asks nothing."""
        if not self.page.url.startswith(self.control.stack.app_url):
            # The smallest page: a sign-in can be begun from Postroom's own alone.
            self.page.goto(f"{self.control.stack.app_url}/signin", wait_until="domcontentloaded")
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.page.evaluate(POST, {"alias": "box", "expected_address": address})
        return self.page

    def nothing_is_linked(self) -> None:
        """No account's row, no secret."""
        assert list(self.accounts.list_entities()) == []
        assert self.control.grants() == []

    def nothing_is_left(self) -> None:
        """Nor anything of the sign-in itself."""
        self.nothing_is_linked()
        assert self.flow_cookies() == []
        assert list(self.flows.list_entities()) == []

    def flow_cookies(self) -> list[float]:
        """When the cookies of sign-ins under way end."""
        return [
            float(cookie["expires"])
            for cookie in self.context.cookies()
            if cookie["name"].startswith(FLOW)
        ]


@pytest.fixture(scope="module")
def window(browser: Browser, control_of_stack: Control) -> Iterator[Desk]:
    """A window with a session here and at Microsoft, whose mailbox has consented."""
    control = control_of_stack
    control.reset()
    info = control.stack.info
    with (
        browser.new_context(viewport={"width": 1280, "height": 800}) as context,
        TableServiceClient.from_connection_string(info["storage_connection_string"]) as tables,
    ):
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        give_session(page, control.stack.app_url, control.stack.function_key)
        clients = [tables.get_table_client(name) for name in ("accounts", "flows")]
        desk = Desk(control, context, page, Watch(context), *clients)
        choose(desk.begin_by_hand(BILLING), BILLING)
        accept(page)
        expect(page.locator("#linked")).to_be_visible()
        control.unlink()
        yield desk
        assert desk.watch.troubles() == []


def forget(window: Desk) -> None:
    """Let go of sign-ins that were never finished."""
    window.context.clear_cookies(name=re.compile(FLOW))
    window.control.empty_tables("flows")


@pytest.fixture
def desk(window: Desk) -> Iterator[Desk]:
    """The same window, with nothing wrong at Microsoft before and after."""
    forget(window)
    yield window
    window.control.ask("DELETE", "faults")


def explained(page: Page, code: str) -> None:
    """The page says what it means, who acts, and how; and with which code."""
    row = known_errors.find(code)
    expect(page.locator("#code")).to_have_text(row.code)
    refused, helped, links = page.evaluate(READ)
    assert row.meaning in refused
    assert row.step in helped
    assert f"(Who: {row.who}.)" in helped or row.who is known_errors.Actor.NOBODY
    assert links == (1 if row.admin_consent else 0)


def test_every_code_is_met_in_one_of_the_places() -> None:
    met = [*ON_MICROSOFTS_PAGE, *AT_THE_TOKEN_ENDPOINT, *SENT_BACK]

    assert sorted(met) == sorted(AADSTS)


@pytest.mark.parametrize("code", SENT_BACK)
def test_a_sign_in_that_microsoft_sends_back_is_explained(desk: Desk, code: str) -> None:
    desk.control.fault("entra.authorize", action="aadsts", code=int(code), times=-1)
    explained(desk.begin(BILLING), code)
    desk.nothing_is_left()


@pytest.mark.parametrize("code", AT_THE_TOKEN_ENDPOINT)
def test_a_sign_in_that_is_refused_its_tokens_is_explained(desk: Desk, code: str) -> None:
    desk.control.fault("entra.token", action="aadsts", code=int(code), times=-1)
    explained(desk.begin(BILLING), code)
    desk.nothing_is_left()


@pytest.mark.parametrize("code", ON_MICROSOFTS_PAGE)
def test_a_sign_in_that_ends_at_microsoft_links_nothing(desk: Desk, code: str) -> None:
    """Nobody comes back from there: what was kept of the sign-in ends by itself."""
    desk.control.fault("entra.authorize", action="aadsts", code=int(code), times=-1)
    expect(desk.begin(BILLING).locator("#error-code")).to_have_text(f"AADSTS{code}")
    desk.nothing_is_linked()
    assert known_errors.is_known(code)
    (ends,) = desk.flow_cookies()
    assert ends <= time.time() + FLOW_SECONDS


# Real causes.


@pytest.fixture
def fresh(window: Desk) -> Iterator[Desk]:
    """The window, and what is behind it put right again afterwards."""
    forget(window)
    yield window
    window.control.put_microsoft_right()


def test_declining_at_the_consent_page_is_explained(fresh: Desk) -> None:
    fresh.control.ask("POST", "revoke", {"mailbox": BILLING, "withdraw_consent": True})
    page = fresh.begin_by_hand("")
    choose(page, BILLING)
    page.locator("#cancel").click()
    explained(page, "AADSTS65004")
    fresh.nothing_is_left()


def test_turning_back_at_the_account_page_is_explained(fresh: Desk) -> None:
    page = fresh.begin()
    page.locator("#cancel-sign-in").click()
    explained(page, "AADSTS65004")
    fresh.nothing_is_left()


def test_a_missing_approval_of_an_administrator_is_explained_with_the_link(fresh: Desk) -> None:
    fresh.control.ask("POST", "revoke", {"mailbox": BILLING, "withdraw_consent": True})
    fresh.control.options(consent_policy="admin_only")
    page = fresh.begin()
    choose(page, BILLING)
    page.locator("#return").click()
    explained(page, "AADSTS90094")
    fresh.nothing_is_left()


Cause = Callable[[Control], object]


def _secret(change: str) -> Cause:
    return lambda control: control.ask(
        "POST", "client-secrets", {change: control.stack.info["client_secret"]}
    )


def _options(**switches: object) -> Cause:
    return lambda control: control.options(**switches)


def _mailbox(**changes: object) -> Cause:
    return lambda control: control.ask("POST", "mailboxes", {"address": BILLING, **changes})


REFUSED_TOKENS: dict[str, tuple[str, Cause]] = {
    "secret expired": ("7000222", _secret("expire")),
    "secret deleted": ("7000215", _secret("remove")),
    "code too old": ("70008", _options(code_seconds=0)),
    "registered as a public client": ("700025", _options(platform="public")),
}


@pytest.mark.parametrize(("code", "cause"), REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
def test_a_real_cause_at_the_token_endpoint_is_explained(
    fresh: Desk, code: str, cause: Cause
) -> None:
    page = fresh.begin()
    cause(fresh.control)
    choose(page, BILLING)
    if page.locator("#accept").count():
        accept(page)
    explained(page, code)
    fresh.nothing_is_left()


ENDS_AT_MICROSOFT: dict[str, tuple[str, Cause]] = {
    "redirect URI not registered": ("50011", _options(redirect_uris=["https://e.example/cb"])),
    "no redirect URI registered": ("500113", _options(redirect_uris=[])),
    "app disabled": ("7000112", _options(application_disabled=True)),
}


@pytest.mark.parametrize(("code", "cause"), ENDS_AT_MICROSOFT.values(), ids=ENDS_AT_MICROSOFT)
def test_a_real_cause_that_ends_at_microsoft_links_nothing(
    fresh: Desk, code: str, cause: Cause
) -> None:
    cause(fresh.control)
    expect(fresh.begin().locator("#error-code")).to_have_text(f"AADSTS{code}")
    fresh.nothing_is_linked()


TURNED_AWAY: dict[str, tuple[str, Cause]] = {
    "user not assigned": ("50105", _options(assignment_required=True)),
    "user disabled": ("50057", _mailbox(enabled=False)),
    "account locked": ("50053", _mailbox(locked=True)),
    "password expired": ("50055", _mailbox(password_expired=True)),
    "blocked by a policy": ("53003", _mailbox(conditional_access="block")),
    "device not compliant": ("53000", _mailbox(conditional_access="compliant_device")),
    "device not joined": ("53001", _mailbox(conditional_access="joined_device")),
    "device not managed": ("530003", _mailbox(conditional_access="managed_device")),
    "device not known": ("50097", _mailbox(conditional_access="device_authentication")),
    "security info missing": ("53004", _mailbox(conditional_access="register_security_info")),
    "security policy": ("530032", _mailbox(conditional_access="security_policy")),
    "security defaults": ("530035", _mailbox(conditional_access="security_defaults")),
    "user deleted": (
        "50034",
        lambda control: control.ask("DELETE", "mailboxes", {"address": BILLING}),
    ),
}


@pytest.mark.parametrize(("code", "cause"), TURNED_AWAY.values(), ids=TURNED_AWAY)
def test_an_account_that_microsoft_turns_away_is_told_so_there(
    fresh: Desk, code: str, cause: Cause
) -> None:
    page = fresh.begin()
    cause(fresh.control)
    choose(page, BILLING)
    expect(page.get_by_role("alert")).to_contain_text(f"AADSTS{code}")
    fresh.nothing_is_linked()
