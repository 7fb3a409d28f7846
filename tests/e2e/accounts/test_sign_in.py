"""Kinds of account, choices of permissions, consent of an administrator and sign-in by a code, in a
real browser against the whole stack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from local.stack import Stack
from tests.e2e.browser import (
    CLIPPED,
    FAINT,
    PATIENCE,
    TOO_WIDE,
    Watch,
    accept,
    begin_sign_in,
    choose,
    give_session,
    unreachable_by_tab,
)
from tests.e2e.control import Control

BILLING = "billing@contoso.com"
ADA = "ada@contoso.com"
ADMIN = "admin@contoso.com"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
PERSONAL = "postroom.demo@outlook.com"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, to which accounts of either kind may sign in."""
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0", "POSTROOM_TENANT": "common"}
    state = tmp_path_factory.mktemp("common")
    with Stack(state, 0, 0, settings=settings, local_settings=False) as running:
        yield running


@pytest.fixture(scope="module")
def control_of_stack(stack: Stack) -> Iterator[Control]:
    control = Control(stack)
    yield control
    control.close()


def asked_for(page: Page) -> set[str]:
    """The permissions that Microsoft's page lists."""
    expect(page.get_by_role("heading")).to_have_text("Permissions requested")
    names = page.locator("li.permission").evaluate_all("all => all.map(one => one.dataset.scope)")
    return set(names)


def scopes_of(control: Control, alias: str) -> set[str]:
    """What an account may do."""
    (found,) = (one for one in control.accounts() if one["alias"] == alias)
    return set(found["scopes"])


def show_more(page: Page) -> None:
    page.get_by_text("More: object id").click()


# --- the least first


def test_a_sign_in_asks_for_the_least_and_more_only_where_it_is_ticked(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    least = {"Mail.Send", "User.Read", "openid", "profile", "email", "offline_access"}
    assert asked_for(page) == least
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    assert scopes_of(control, "billing") == {"Mail.Send", "User.Read"}

    page.get_by_text("Sign in with other permissions").click()
    row = page.locator('tr[data-alias="billing"]')
    row.get_by_label("Verified sending").check()
    row.get_by_label("Shared mailboxes").check()
    row.get_by_role("button", name="Sign in with these permissions: billing").click()
    assert asked_for(page) == {"Mail.ReadWrite", "Mail.Send.Shared", "Mail.ReadWrite.Shared"}
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    assert {"Mail.ReadWrite", "Mail.Send.Shared"} <= scopes_of(control, "billing")

    page.goto(f"{control.stack.app_url}/accounts")
    page.get_by_role("button", name="Sign in again: billing").click()
    expect(page.get_by_role("status")).to_contain_text("is connected")
    expect(page.locator("#withheld")).to_have_count(0)
    assert {"Mail.ReadWrite", "Mail.Send.Shared"} <= scopes_of(control, "billing")


def test_a_permission_that_is_not_asked_for_any_more_and_still_granted_is_told(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING, verified=True)
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    page.get_by_text("Sign in with other permissions").click()
    row = page.locator('tr[data-alias="billing"]')
    row.get_by_label("Verified sending").uncheck()
    row.get_by_role("button", name="Sign in with these permissions: billing").click()
    expect(page.locator("#unasked")).to_contain_text("Mail.ReadWrite")
    expect(page.locator("#unasked")).to_contain_text("myapplications.microsoft.com")


# --- the kind of account


def test_a_personal_account_signs_in_is_refreshed_and_sends_by_one_authority(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    control.options(personal_common_refresh_fails=True)
    page.get_by_label("Personal", exact=False).check()
    begin_sign_in(page, "private", PERSONAL)
    assert f"/{PERSONAL_TENANT}/" in page.url
    assert parse_qs(urlsplit(page.url).query)["domain_hint"] == ["consumers"]
    choose(page, PERSONAL)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected as private")
    control.send(account="private", to=ADA, subject="From a personal account", text="Hello.")
    assert control.deliveries(1)[0]["mailbox"] == PERSONAL


def test_an_account_of_the_other_kind_is_refused(at_accounts: Page, control: Control) -> None:
    page = at_accounts
    begin_sign_in(page, "private")
    assert "/organizations/" in page.url
    page.locator("#username").fill(PERSONAL)
    page.locator("#next").click()
    expect(page.locator("#error")).to_be_visible()
    assert control.accounts() == []


# --- consent of an administrator


def test_a_refusal_to_consent_is_explained_in_a_browser_without_any_cookie(
    at_accounts: Page, control: Control, browser: Browser
) -> None:
    page = at_accounts
    show_more(page)
    page.get_by_role("button", name="Show the link for an administrator").click()
    url = page.locator(".copied").inner_text()
    with browser.new_context(ignore_https_errors=True) as elsewhere:
        elsewhere.set_default_timeout(PATIENCE)
        theirs = elsewhere.new_page()
        theirs.goto(url)
        choose(theirs, ADA)
        expect(theirs.get_by_role("heading")).to_have_text("Need admin approval")
        theirs.locator("#return").click()
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Consent was not given")
        expect(theirs.locator("#help")).to_contain_text("Administrator")
    assert control.accounts() == []


def test_consent_that_was_withdrawn_shows_the_link_in_the_accounts_row(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    revoked = {"mailbox": BILLING, "code": 65001, "access_tokens": True}
    control.ask("POST", "revoke", revoked)
    control.send(account="billing", to=ADA, subject="Held", text="Held.", wait=20)
    page.goto(f"{control.stack.app_url}/accounts")
    row = page.locator('tr[data-alias="billing"]')
    expect(row).to_have_attribute("data-state", "needs-sign-in")
    expect(row.locator(".copied")).to_contain_text("/v2.0/adminconsent?")


# --- a code


def ask_for_code(page: Page, alias: str, address: str = "") -> tuple[str, str]:
    """The other button of the form. Returns the code and where to type it."""
    page.get_by_label("Alias", exact=True).fill(alias)
    page.get_by_label("Expected address").fill(address)
    show_more(page)
    page.get_by_role("button", name="Sign in with a code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with a code")
    return page.locator("#user-code").inner_text(), page.locator("#address").inner_text()


def enter(context: BrowserContext, address: str, code: str, mailbox: str) -> Page:
    """Type the code on Microsoft's page and choose an account; consent is still to be given."""
    other = context.new_page()
    other.goto(address)
    other.locator("#otc").fill(code)
    other.locator("#next").click()
    choose(other, mailbox)
    return other


def test_a_mailbox_is_linked_by_a_code_entered_in_another_browser(
    at_accounts: Page, control: Control, browser: Browser
) -> None:
    page = at_accounts
    control.options(device_code_interval=1)
    code, address = ask_for_code(page, "billing", BILLING)
    expect(page.locator("#left")).to_contain_text("left")
    expect(page.locator("#told")).to_contain_text("still waiting")
    with browser.new_context() as elsewhere:
        elsewhere.set_default_timeout(PATIENCE)
        other = enter(elsewhere, address, code, BILLING)
        accept(other)
        expect(other.locator("#done")).to_be_visible()
    # Nobody presses anything: the page asks by itself.
    expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
    names = [found["name"] for found in page.context.cookies()]
    assert [name for name in names if "-device-" in name] == []
    control.send(account="billing", to=ADA, subject="By code", text="Hello.")
    assert control.deliveries(1)[0]["mailbox"] == BILLING


def test_a_code_works_without_script_and_says_what_microsoft_waits_for(
    at_accounts: Page, control: Control, browser: Browser
) -> None:
    with browser.new_context(java_script_enabled=False) as plain:
        plain.set_default_timeout(PATIENCE)
        watch = Watch(plain)
        page = plain.new_page()
        give_session(page, control.stack.app_url, control.stack.function_key)
        page.goto(f"{control.stack.app_url}/accounts")
        code, address = ask_for_code(page, "billing")
        button = page.get_by_role("button", name="I have entered the code")
        button.click()
        expect(page.locator("#told")).to_contain_text("still waiting")
        accept(enter(plain, address, code, BILLING))
        button.click()
        expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
        assert watch.troubles() == []


def test_a_declined_code_a_wrong_mailbox_and_an_expired_code_are_each_explained(
    at_accounts: Page, control: Control, context: BrowserContext, watch: Watch
) -> None:
    watch.expect("400 for /auth/device/finish")
    page = at_accounts
    control.options(device_code_interval=1)
    code, address = ask_for_code(page, "billing", BILLING)
    enter(context, address, code, BILLING).locator("#cancel").click()
    expect(page.locator("#refused")).to_contain_text("declined")
    context.clear_cookies(name="SIMSESSION")

    page.get_by_role("button", name="Start again").click()
    code = page.locator("#user-code").inner_text()
    accept(enter(context, address, code, ADA))
    expect(page.locator("#refused")).to_contain_text(f"{ADA}, not {BILLING}")

    page.goto(f"{control.stack.app_url}/accounts")
    control.options(device_code_seconds=2)
    ask_for_code(page, "billing")
    expect(page.locator("#refused")).to_contain_text("has expired")
    assert control.accounts() == []
    assert control.grants() == []


def test_the_new_pages_fit_a_narrow_screen_read_well_and_work_with_the_keyboard(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    found: list[str] = []
    begin_sign_in(page, "a" * 40, BILLING)
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")

    def look(name: str) -> None:
        for width in (1280, 840, 360):
            page.set_viewport_size({"width": width, "height": 740})
            for what, script in (("wide", TOO_WIDE), ("clipped", CLIPPED)):
                found.extend(f"{name} {width} {what}: {one}" for one in page.evaluate(script))
        found.extend(f"{name} not by Tab: {one}" for one in unreachable_by_tab(page))
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            found.extend(f"{name} {scheme} faint: {one}" for one in page.evaluate(FAINT))

    page.goto(f"{control.stack.app_url}/accounts?linked={'a' * 40}&asked=verified+shared")
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    expect(page.locator("#withheld")).to_be_visible()
    look("accounts opened")
    page.get_by_role("button", name="Show the link for an administrator").click()
    expect(page.locator("#admin-consent")).to_be_visible()
    look("link")
    page.goto(f"{control.stack.app_url}/accounts")
    ask_for_code(page, "other", f"{'a' * 60}@contoso.com")
    look("code")
    page.goto(f"{control.stack.app_url}/api/auth/callback?admin_consent=True&state=admin-consent")
    expect(page.locator("h1")).to_have_text(re.compile("Consent was given"))
    look("consented")
    assert not found, "\n".join(found)


# Last: an administrator's consent stays with the tenant until the simulator is gone.
def test_an_administrators_consent_that_is_missing_is_got_by_the_link_in_another_browser(
    at_accounts: Page, control: Control, browser: Browser
) -> None:
    page = at_accounts
    control.options(consent_policy="microsoft_managed")
    begin_sign_in(page, "billing", BILLING, verified=True)
    choose(page, BILLING)
    expect(page.get_by_role("heading")).to_have_text("Need admin approval")
    page.locator("#return").click()
    expect(page.locator("#refused")).to_contain_text("administrator")
    url = page.locator(".copied").inner_text()
    assert "/organizations/v2.0/adminconsent?" in url
    assert control.accounts() == []

    # The stand-in's certificate is its own.
    with browser.new_context(ignore_https_errors=True) as elsewhere:
        elsewhere.set_default_timeout(PATIENCE)
        theirs = elsewhere.new_page()
        theirs.goto(url)
        choose(theirs, ADMIN)
        accept(theirs)
        expect(theirs.get_by_role("heading", level=1)).to_have_text("Consent was given")
        expect(theirs.locator("#admin-consented")).to_contain_text("Sign the mailbox in")
        assert [found for found in elsewhere.cookies() if "postroom" in found["name"]] == []
    assert control.accounts() == []
    assert control.grants() == []

    page.locator("#choose").click()
    choose(page, BILLING)
    # The administrator consented for everybody: nobody is asked again.
    expect(page.get_by_role("status")).to_contain_text("is connected as billing")
    assert "Mail.ReadWrite" in scopes_of(control, "billing")
