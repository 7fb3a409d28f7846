"""What holds for every page: axe-core finds nothing in light and dark, the keyboard reaches every
control in its turn, and the answer's headers keep the page to itself."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from azure.storage.queue import QueueClient
from playwright.sync_api import Page, Response, expect

from tests.e2e.axe import OF_COLOUR, violations
from tests.e2e.browser import Watch, open_session, unreachable_by_tab
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.functional.test_every_route import ALL

ADA = "ada@contoso.com"
SOUGHT, TAG = "grace@exa", "order-4711"
BILLING = "billing@contoso.com"
NOT_PAGES = {"", "mails/{id}/html", "mails/{id}/raw"}
"""The first leads on, the second is in a frame on its mail's page (`test_hostile.py`), the third is a
file."""
HELD_STILL = """() => {
  document.querySelectorAll("details").forEach((one) => one.open = true);
  Object.defineProperty(document, "hidden", { get: () => true });
}"""
"""Opens all there is. A page that follows a mail does not ask anew while nobody looks at it."""
MOST_BYTES = 50 * 1024
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}


class Inspector:
    """Looks at what a window shows, in both schemes, and how it was answered."""

    def __init__(self, page: Page, app: str) -> None:
        self.page, self.app = page, app
        self.found: dict[str, object] = {}
        self.visited: list[str] = []
        self._answers: list[Response] = []
        self._typed_through: set[str] = set()
        page.on("response", self._answered)

    def visit(self, path: str) -> None:
        """Go to a page, and look."""
        self.visited.append(path.partition("?")[0])
        self.page.goto(f"{self.app}{path}")
        assert self.page.url == f"{self.app}{path}", "no other page is looked at in its place"
        self.head(path)

    def _answered(self, response: Response) -> None:
        ours = response.url.startswith(self.app) and response.frame == self.page.main_frame
        if ours and response.request.resource_type == "document":
            self._answers.append(response)

    def _look_at_answers(self) -> None:
        answers, self._answers = self._answers, []
        for answer in answers:
            headers = answer.headers
            policy = headers.get("content-security-policy", "")
            wrong = [
                name
                for name, value in HEADERS.items()
                if headers.get(name) != value and (answer.status < 300 or answer.status >= 400)
            ]
            leads_on = 300 <= answer.status < 400
            if not leads_on and (
                "frame-ancestors 'none'" not in policy
                or "default-src 'none'" not in policy
                or "unsafe" in policy
            ):
                wrong.append("content-security-policy")
            # What the window has left is not kept.
            if answer is answers[-1] and not leads_on and len(answer.body()) > MOST_BYTES:
                wrong.append("size")
            if wrong:
                self.found[f"answer of {answer.url}"] = wrong

    def head(self, name: str) -> None:
        """Look at the page as it is, with everything opened that can be."""
        expect(self.page.locator("h1")).to_be_visible()
        self.page.evaluate(HELD_STILL)
        self.page.emulate_media(color_scheme="light")
        if trouble := violations(self.page):
            self.found[f"{name} in light"] = trouble
        self.page.emulate_media(color_scheme="dark")
        if trouble := violations(self.page, OF_COLOUR):
            self.found[f"{name} in dark"] = trouble
        if name not in self._typed_through:
            self._typed_through.add(name)
            if missed := unreachable_by_tab(self.page):
                self.found[f"{name} by keyboard"] = missed
        self._look_at_answers()


@pytest.fixture
def inspector(page: Page, control: Control) -> Inspector:
    return Inspector(page, control.stack.app_url)


def test_the_pages_before_anything_was_set_up(inspector: Inspector, control: Control) -> None:
    inspector.visit("/signin")
    open_session(inspector.page, inspector.app, control.stack.function_key)
    expect(inspector.page.get_by_role("navigation", name="Pages")).to_be_visible()
    for path in (
        "/setup",
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
    inspector.head("the link for an administrator")
    page.goto(f"{inspector.app}/accounts")
    page.get_by_label("Alias", exact=True).fill("billing")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    page.get_by_role("button", name="Sign in with a code").click()
    expect(page.locator("#user-code")).to_be_visible()
    inspector.head("a code")
    page.goto(f"{inspector.app}/api/auth/callback?error=access_denied&state=x")
    inspector.head("a refusal")

    assert inspector.found == {}


def test_the_pages_of_accounts_and_mails_in_every_state(
    inspector: Inspector, control: Control, signed_in_account: SignedIn, watch: Watch
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
    key = control.stack.function_key
    kept = re.compile("|".join(map(re.escape, ("@", SOUGHT, TAG, key))))
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
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox"
    ) as queue:
        queue.send_message("H4sIAAAAAAAA/6tWKslXslIqycgsVgCiRIWS1OISPYWQfAUjHQVDIyMA")
    control.ask("DELETE", "faults")
    for path in paths:
        inspector.visit(path)
    control.ask("POST", "revoke", {"mailbox": BILLING, "access_tokens": True})
    mails.append(control.send(to=ADA, subject="Held", wait=20, **full))
    failed = control.api("GET", "mails?status=failed").json()["mails"]
    (refused,) = [mail for mail in failed if mail["caller"] == "queue"]
    mails.insert(0, refused)
    for path in (*paths, "/setup", "/docs", "/mails", *(f"/mails/{one['id']}" for one in mails)):
        inspector.visit(path)
    pages = {one.path.strip("/") for one in ALL if not one.changes} - NOT_PAGES
    shapes = [re.compile(re.sub(r"\{\w+\}", "[^/]+", f"/{path}")) for path in pages]
    assert [
        shape.pattern
        for shape in shapes
        if not any(shape.fullmatch(path) for path in inspector.visited)
    ] == []
    page.goto(f"{inspector.app}/mails/{mails[-1]['id']}")
    page.get_by_role("button", name="Release").click()
    inspector.head("what was refused beside a mail")
    page.goto(f"{inspector.app}/mails")
    page.get_by_role("button", name="Try all 2 again").click()
    expect(page.locator("#bulk")).to_be_visible()
    inspector.head("changes")
    page.goto(f"{inspector.app}/mails")
    page.get_by_label("Recipient").fill(SOUGHT)
    page.get_by_label("Tag").fill(TAG)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_label("Recipient")).to_have_value(SOUGHT)
    page.goto(f"{inspector.app}/accounts/billing/disconnect")
    page.get_by_role("button", name="Disconnect billing").click()
    inspector.head("disconnected")

    assert inspector.found == {}
    assert [url for url in watch.requests if kept.search(unquote(url))] == []
