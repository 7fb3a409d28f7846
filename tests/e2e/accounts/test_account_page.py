"""The page of an account in a real browser: what is set there shows in the mails that arrive."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.browser import (
    CLIPPED,
    FAINT,
    PATIENCE,
    TOO_WIDE,
    Watch,
    give_session,
    picture,
)
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

ADA = "ada@contoso.com"
HOSTILE = "</textarea><script>window.caught=1</script>"


def open_account(page: Page, control: Control, alias: str) -> None:
    """With a session, from the list of accounts by the account's link."""
    app = control.stack.app_url
    give_session(page, app, control.stack.function_key)
    page.goto(f"{app}/accounts")
    page.get_by_role("link", name=alias, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(alias)


def test_what_an_administrator_sets_shows_in_the_mail_that_arrives(
    page: Page, control: Control, signed_in_account: SignedIn
) -> None:
    open_account(page, control, signed_in_account.alias)
    page.get_by_label("Display name", exact=True).fill("Contoso Invoices")
    page.get_by_label("Reply addresses", exact=True).fill(
        "Desk <desk@contoso.com>\ninfo@contoso.com"
    )
    page.get_by_label("Signature, as text").fill("Contoso Ltd\nBerlin & Rome")
    page.get_by_label("Signature, as HTML").fill('<p><b id="sig">Contoso</b> Ltd</p>')
    page.get_by_label("Mails a day, at most").fill("many")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_label("Mails a day, at most")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Display name", exact=True)).to_have_value("Contoso Invoices")
    picture(page, "account-refused")
    page.get_by_label("Mails a day, at most").fill("2000")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.set_viewport_size({"width": 1280, "height": 1500})
    picture(page, "account")
    control.send(wait=20, to=ADA, subject="Both", text="Hello", html="<p>Hello</p>")
    control.deliveries(1)
    page.goto(control.stack.info["inbox_url"])
    page.get_by_text("Both").first.click()
    expect(page.locator("#headers")).to_contain_text("Contoso Invoices")
    expect(page.locator("#headers")).to_contain_text("desk@contoso.com")
    expect(page.frame_locator("iframe").locator("#sig")).to_have_text("Contoso")
    expect(page.locator("#text-body")).to_contain_text("Hello\n\nContoso Ltd\nBerlin & Rome")
    picture(page, "account-mail")


def test_the_page_fits_and_reads_well_in_every_width_and_scheme(
    page: Page, control: Control, signed_in_account: SignedIn
) -> None:
    open_account(page, control, signed_in_account.alias)
    page.get_by_label("Mails a day, at most").fill("many")
    page.get_by_label("Signature, as HTML").fill("<b>" + "x" * 200)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found: list[str] = []
    for width in (1280, 840, 360):
        page.set_viewport_size({"width": width, "height": 740})
        for what, script in (("wide", TOO_WIDE), ("clipped", CLIPPED)):
            found += [f"{width} {what}: {one}" for one in page.evaluate(script)]
    picture(page, "account-narrow")
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme} faint: {one}" for one in page.evaluate(FAINT)]
        page.set_viewport_size({"width": 900, "height": 1700})
        picture(page, f"account-{scheme}")
    assert not found, "\n".join(found)


def test_without_script_a_hostile_signature_is_saved_and_stays_text(
    page: Page, control: Control, signed_in_account: SignedIn
) -> None:
    open_account(page, control, signed_in_account.alias)
    browser = page.context.browser
    assert browser is not None
    state = page.context.storage_state()
    with browser.new_context(java_script_enabled=False, storage_state=state) as plain:
        plain.set_default_timeout(PATIENCE)
        watch = Watch(plain)
        bare = plain.new_page()
        bare.goto(f"{control.stack.app_url}/accounts/{signed_in_account.alias}")
        bare.get_by_label("Signature, as text").fill(HOSTILE)
        bare.get_by_role("button", name="Save").click()
        expect(bare.get_by_role("status")).to_contain_text("Saved.")
        expect(bare.get_by_label("Signature, as text")).to_have_value(HOSTILE)
        assert watch.troubles() == []
    page.reload()
    expect(page.get_by_label("Signature, as text")).to_have_value(HOSTILE)
    assert page.evaluate("window.caught") is None
    assert re.search(r"/accounts/billing$", page.url)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus is called so."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(CALLED) == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


CALLED = """() => {
  const one = document.activeElement;
  return one.ariaLabel || one.labels?.[0]?.innerText.trim() || one.innerText.trim();
}"""


def test_an_account_is_edited_and_disconnected_by_the_keyboard_alone(
    page: Page, control: Control, signed_in_account: SignedIn
) -> None:
    open_account(page, control, signed_in_account.alias)
    tab_to(page, "Mails a day, at most")
    page.keyboard.type("2000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    expect(page.locator("#pace")).to_contain_text("2,000 a day, at most")
    tab_to(page, "Disconnect billing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Disconnect billing")
    tab_to(page, "Keep the mails that wait, until this mailbox is connected again under this alias")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#cancel")).to_be_checked()
    tab_to(page, "Disconnect billing")
    page.keyboard.press("Space")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Disconnect billing")
    assert control.accounts() == []
