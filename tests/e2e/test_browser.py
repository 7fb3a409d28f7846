"""What a person sees and does, in a real browser, against the whole stack."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control


def test_an_account_is_there(page: Page, control: Control, signed_in_account: SignedIn) -> None:
    assert [row["state"] for row in control.accounts()] == ["ready"]
    assert len(control.grants()) == 1
    control.send(to="ada@contoso.com", subject="Hello", text="Text")
    assert control.deliveries(1)[0]["subject"] == "Hello"
    page.goto(f"{control.stack.app_url}/signin")
    expect(page.get_by_role("heading")).to_have_text("Open a session")


def test_it_is_gone_in_the_next_test(control: Control) -> None:
    assert control.accounts() == []
    assert control.grants() == []
    assert control.deliveries() == []
