"""`make images`: each page in light, dark and narrow, for the README and the documents."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from local import demo
from tests.e2e.browser import TOO_WIDE, open_session, picture
from tests.e2e.control import Control

pytestmark = pytest.mark.skipif(
    not os.environ.get("POSTROOM_IMAGES"), reason="makes pictures, where a folder is named for them"
)

ADA = "ada@contoso.com"
LOOKS = (("light", 1280), ("dark", 1280), ("light", 360))


def take(page: Page, name: str) -> None:
    """The page as it is, three times."""
    expect(page.locator("h1")).to_be_visible()
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) == []
        picture(page, f"{name}-{'narrow' if width < 1000 else scheme}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_pictures_of_each_page(page: Page, control: Control) -> None:
    app = control.stack.app_url
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{app}/signin")
    take(page, "signin")
    open_session(page, app, control.stack.function_key)
    expect(page.locator("#main h1")).to_have_text("Accounts")
    for alias, address in (("billing", "billing@contoso.com"), ("ada", ADA)):
        demo.sign_in(control.stack.info, address, alias)
    invoice: dict[str, Any] = {
        "html": "<h2>Your invoice</h2><p>Dear Grace, it is attached. It is due on Friday.</p>",
        "text": "Dear Grace, it is attached. It is due on Friday.",
        "attachments": [
            {"filename": "2026-0117.pdf", "content": "JVBERi0=", "content_type": "application/pdf"}
        ],
        "tags": ["invoice"],
        "metadata": {"order": "4711"},
    }
    for number in range(4):
        subject = f"Invoice 2026-011{number}"
        control.send(to="grace@example.com", subject=subject, account="billing", **invoice)
    control.send(
        to="grace@example.com", subject="News of January", scheduled_at="2027-01-04T08:00:00Z",
        account="ada", text="Soon.",
    )  # fmt: skip
    control.deliveries(4)
    control.fault(
        "graph.send_mail", action="status", code="ErrorInvalidRecipients", status=400, times=-1
    )
    for name in ("smith", "jones"):
        control.send(
            to=f"{name}@nowhere.example", subject="Welcome", text="Hi.", account="ada", wait=20
        )
    control.ask("DELETE", "faults")
    control.ask("POST", "revoke", {"mailbox": "billing@contoso.com", "access_tokens": True})
    held = control.send(
        to="grace@example.com",
        subject="Invoice 2026-0114",
        account="billing",
        wait=20,
        **invoice,
    )
    assert held["status"] == "held"

    for path, name in (
        ("/accounts", "accounts-page"),
        ("/accounts/billing", "account"),
        ("/accounts/billing/disconnect", "disconnect"),
        ("/mails", "mails"),
        (f"/mails/{held['id']}", "mail-page"),
        ("/mails/01890000-0000-7000-8000-000000000000", "problem"),
        ("/docs", "docs"),
        ("/setup", "setup"),
    ):
        page.goto(f"{app}{path}")
        take(page, name)
    page.goto(f"{app}/mails")
    page.get_by_role("button", name="Try all 2 again").click()
    expect(page.locator("#done")).to_have_text("2")
    take(page, "changes")
    page.goto(f"{app}/api/auth/callback?error=access_denied&state=x")
    take(page, "refused")
    page.goto(f"{app}/accounts")
    page.get_by_label("Alias", exact=True).fill("news")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    page.get_by_role("button", name="Sign in with a code").click()
    expect(page.locator("#user-code")).to_be_visible()
    take(page, "device")
