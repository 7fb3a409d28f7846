"""`/setup` in a real browser: from no account to a test mail that is followed until it is sent."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from local import demo
from tests.e2e.browser import CLIPPED, FAINT, PATIENCE, TOO_WIDE, picture, unreachable_by_tab
from tests.e2e.control import Control


def enter(page: Page, control: Control) -> None:
    """With a session, through the front door."""
    key = {"x-functions-key": control.stack.function_key}
    app = control.stack.app_url
    assert page.request.post(f"{app}/session", headers=key).status == 204
    page.goto(f"{app}/")


def expect_step(page: Page, name: str, state: str) -> None:
    expect(page.locator(f"[data-step={name}]")).to_have_attribute("data-state", state)


def walk(page: Page, control: Control) -> None:
    """The essential steps."""
    enter(page, control)
    expect(page).to_have_url(re.compile("/setup$"))
    expect_step(page, "credential", "done")
    expect_step(page, "account", "open")
    # The link leads to Microsoft alone, so here stands what Entra answers to it.
    answer = "error=interaction_required&state=redirect-check"
    page.goto(f"{control.stack.app_url}/api/auth/callback?{answer}")
    expect(page.locator("#said")).to_contain_text("accepts the redirect URI")

    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    page.goto(f"{control.stack.app_url}/setup")
    expect_step(page, "vault", "done")
    expect_step(page, "account", "done")
    page.get_by_label("Send a test mail to").fill("ada@contoso.com")
    page.get_by_role("button", name="Send it").click()
    expect(page).to_have_url(re.compile("/mails/[0-9a-f-]{36}$"))


def test_from_no_account_to_a_test_mail_that_is_followed(page: Page, control: Control) -> None:
    walk(page, control)
    expect(page.locator("#mail")).to_have_attribute("data-status", "sent", timeout=30_000)
    control.deliveries(1)

    page.goto(f"{control.stack.app_url}/")
    expect(page).to_have_url(re.compile("/mails$"))
    page.goto(f"{control.stack.app_url}/setup")
    expect_step(page, "mail", "done")
    expect(page.get_by_role("button", name="Copy the redirect URI")).to_be_visible()


def test_the_essential_steps_work_without_script(browser: Browser, control: Control) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        walk(page, control)
        control.deliveries(1)
        page.goto(f"{control.stack.app_url}/setup")
        expect(page.locator("button[data-copies]")).to_be_hidden()


def test_a_secret_id_is_refused_and_the_page_fits_in_light_and_dark_and_narrow(
    page: Page, control: Control
) -> None:
    enter(page, control)
    page.get_by_label("Client secret: its Value").or_(
        page.get_by_label("Another client secret: its Value")
    ).fill("0f3c9a1b-1111-4111-8111-111111111111")
    page.get_by_label("It expires on").fill("2099-08-20")
    page.get_by_role("button", name="Store it in Key Vault").click()
    expect(page.get_by_role("alert")).to_contain_text("Secret ID")
    assert "0f3c9a1b-1111" not in page.content()

    page.goto(f"{control.stack.app_url}/setup")
    assert unreachable_by_tab(page) == []
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        picture(page, f"setup-{scheme}-{width}")
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(CLIPPED) == []
        assert page.evaluate(FAINT) == []
