"""axe-core finds nothing on any page, in light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.browser import open_session
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

ADA = "ada@contoso.com"
BILLING = "billing@contoso.com"


class Inspector:
    """Looks at what a window shows, in both schemes."""

    def __init__(self, page: Page, app: str) -> None:
        self.page, self.app = page, app
        self.found: dict[str, object] = {}

    def visit(self, path: str) -> None:
        """Go to a page, and look."""
        self.page.goto(f"{self.app}{path}")
        self.look(path)

    def look(self, name: str) -> None:
        """Look at the page as it is, with everything opened that can be."""
        expect(self.page.locator("h1")).to_be_visible()
        self.page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            if trouble := violations(self.page):
                self.found[f"{name} in {scheme}"] = trouble


@pytest.fixture
def inspector(page: Page, control: Control) -> Inspector:
    return Inspector(page, control.stack.app_url)


def test_the_pages_before_anything_was_set_up(inspector: Inspector, control: Control) -> None:
    inspector.visit("/signin")
    open_session(inspector.page, inspector.app, control.stack.function_key)
    for path in (
        "/docs",
        "/accounts",
        "/mails",
        "/mails?status=nonsense",
        "/accounts?checked=none",
    ):
        inspector.visit(path)
    inspector.visit("/mails/01890000-0000-7000-8000-000000000000")

    assert inspector.found == {}


def test_the_pages_of_signing_in(inspector: Inspector, control: Control) -> None:
    page = inspector.page
    open_session(page, inspector.app, control.stack.function_key)
    page.get_by_label("Alias", exact=True).fill("billing")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    page.get_by_role("button", name="Show the link for an administrator").click()
    inspector.look("the link for an administrator")
    page.goto(f"{inspector.app}/accounts")
    page.get_by_label("Alias", exact=True).fill("billing")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    page.get_by_role("button", name="Sign in with a code").click()
    expect(page.locator("#user-code")).to_be_visible()
    inspector.look("a code")
    page.goto(f"{inspector.app}/api/auth/callback?error=access_denied&state=x")
    inspector.look("a refusal")

    assert inspector.found == {}


def test_the_pages_of_accounts_and_mails_in_every_state(
    inspector: Inspector, control: Control, signed_in_account: SignedIn
) -> None:
    page = inspector.page
    open_session(page, inspector.app, control.stack.function_key)
    full: dict[str, Any] = {
        "html": "<p>Hello</p>",
        "text": "Hello",
        "tags": ["a"],
        "metadata": {"order": "7"},
        "attachments": [{"filename": "i.txt", "content": "aGk="}],
    }
    paths = ["/accounts", "/accounts/billing", "/accounts/billing/disconnect"]
    mails = [
        control.send(to=ADA, subject="Sent", text="x", wait=20),
        control.send(to=ADA, subject="Later", scheduled_at="2027-01-04T08:00:00Z", **full),
    ]
    control.fault("graph.send_mail", action="status", status=504, times=1)
    mails.append(control.send(to=ADA, subject="Unknown", wait=20, **full))
    control.fault(
        "graph.send_mail", action="status", code="ErrorInvalidRecipients", status=400, times=-1
    )
    mails += [control.send(to=ADA, subject="Failed", wait=20, **full) for _ in range(2)]
    control.ask("DELETE", "faults")
    for path in paths:
        inspector.visit(path)
    control.ask("POST", "revoke", {"mailbox": BILLING, "access_tokens": True})
    mails.append(control.send(to=ADA, subject="Held", wait=20, **full))
    for path in (*paths, "/mails", *(f"/mails/{mail['id']}" for mail in mails)):
        inspector.visit(path)
    page.goto(f"{inspector.app}/mails/{mails[-1]['id']}")
    page.get_by_role("button", name="Release").click()
    inspector.look("what was refused beside a mail")
    page.goto(f"{inspector.app}/mails")
    page.get_by_role("button", name="Try all 2 again").click()
    expect(page.locator("#bulk")).to_be_visible()
    inspector.look("changes")

    assert inspector.found == {}
