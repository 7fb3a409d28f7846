"""Attacks on signing in that take the whole stack: two tabs of a real browser, the real redirect URI."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.e2e.browser import accept, begin_sign_in, choose
from tests.e2e.control import Control
from tests.e2e.mails.test_browser import resubmit

BILLING = "billing@contoso.com"
ADA = "ada@contoso.com"
SESSION = "__Secure-postroom-session"


def test_the_answers_of_two_tabs_that_were_swapped_link_nothing(
    at_accounts: Page, control: Control, context: BrowserContext
) -> None:
    held: list[dict[str, str]] = []

    def hold(route: Route) -> None:
        body = route.request.post_data or ""
        held.append({name: values[0] for name, values in parse_qs(body).items()})
        route.fulfill(status=200, content_type="text/plain", body="held")

    context.route("**/api/auth/callback", hold)
    first, second = at_accounts, context.new_page()
    second.goto(f"{control.stack.app_url}/accounts")
    for tab, alias, mailbox in ((first, "billing", BILLING), (second, "ada", ADA)):
        begin_sign_in(tab, alias, mailbox)
        choose(tab, mailbox)
        accept(tab)
        expect(tab.get_by_text("held")).to_be_visible()
    context.unroute("**/api/auth/callback")

    context.clear_cookies(name="SIMSESSION")
    ours, theirs = held
    for tab, state, code in ((first, ours, theirs), (second, theirs, ours)):
        resubmit(tab, control, {**state, "code": code["code"]})
        expect(tab.locator("#refused")).to_be_visible()
        expect(tab.locator("#code")).to_have_text("AADSTS501481")
    assert control.accounts() == []
    assert control.grants() == []
    flows = [one["name"] for one in context.cookies() if "-flow-" in one["name"]]
    assert flows == []


def test_forged_host_headers_leave_the_registered_redirect_uri(
    at_accounts: Page, control: Control
) -> None:
    (session,) = (one for one in at_accounts.context.cookies() if one["name"] == SESSION)
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    seen = []
    for headers in ({}, forged, {**forged, "X-Forwarded-Proto": "http"}):
        answer = requests.post(
            f"{control.stack.app_url}/auth/login",
            data={"alias": "billing", "expected_address": BILLING},
            headers={
                **headers,
                "Cookie": f"{SESSION}={session['value']}",
                "Sec-Fetch-Site": "same-origin",
            },
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 303
        there = urlsplit(answer.headers["Location"])
        query = {name: values[0] for name, values in parse_qs(there.query).items()}
        once = {"state", "nonce", "code_challenge"}
        seen.append((there.netloc, {name: query[name] for name in query if name not in once}))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1]["redirect_uri"] == f"{control.stack.app_url}/api/auth/callback"
