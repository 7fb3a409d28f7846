"""The page of the API in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.browser import CLIPPED, FAINT, TOO_WIDE, open_session, picture
from tests.e2e.control import Control


@pytest.fixture
def at_docs(page: Page, control: Control) -> Page:
    """A window with a session, at /docs."""
    open_session(page, control.stack.app_url, control.stack.function_key)
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="API", level=1)).to_be_visible()
    return page


def test_the_page_of_the_api_is_readable_in_light_dark_and_narrow(at_docs: Page) -> None:
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            at_docs.emulate_media(color_scheme=scheme)
            at_docs.set_viewport_size({"width": width, "height": 900})
            picture(at_docs, f"docs-{scheme}-{width}")
            assert at_docs.evaluate(TOO_WIDE) == []
            assert at_docs.evaluate(CLIPPED) == []
            assert at_docs.evaluate(FAINT) == []
    at_docs.set_viewport_size({"width": 360, "height": 900})
    at_docs.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
    assert at_docs.evaluate(TOO_WIDE) == []
    assert at_docs.evaluate(CLIPPED) == []


def test_a_request_is_copied_with_this_apps_address_in_it(
    at_docs: Page, context: BrowserContext, control: Control
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = at_docs.get_by_role("button", name="Copy curl, over HTTP")

    button.click()

    expect(at_docs.get_by_role("button", name="Copied curl, over HTTP")).to_be_visible()
    copied = at_docs.evaluate("navigator.clipboard.readText()")
    assert f"{control.stack.app_url}/api/send" in copied
    assert control.stack.function_key not in copied
    expect(button).to_be_visible()


def test_a_link_to_a_document_opens_it(at_docs: Page) -> None:
    at_docs.locator("#sendMail summary").click()
    at_docs.locator("#sendMail").get_by_role("link", name="MailDocument").first.click()

    expect(at_docs.locator("#MailDocument .params")).to_be_visible()
