"""`/setup` in a real browser: from nothing to a test mail that is followed into Sent Items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from local.provision import CLIENT_SECRET_NAME
from local.stack import Stack
from tests.e2e.browser import (
    CLIPPED,
    FAINT,
    PATIENCE,
    TOO_WIDE,
    accept,
    begin_sign_in,
    choose,
    give_session,
    picture,
    unreachable_by_tab,
)
from tests.e2e.control import Control

BILLING = "billing@contoso.com"
WRONG_SECRET = "SIMSECRET~of-another-app"
STAGES = ["Accepted", "Sending", "Sent", "Seen in Sent Items"]


def enter(page: Page, control: Control) -> None:
    """With a session, through the front door."""
    app = control.stack.app_url
    give_session(page, app, control.stack.function_key)
    page.goto(f"{app}/")
    expect(page).to_have_url(re.compile("/setup$"))


def expect_step(page: Page, name: str, state: str) -> None:
    expect(page.locator(f"[data-step={name}]")).to_have_attribute("data-state", state)


def store(page: Page, secret: str) -> None:
    """Type a client secret with the day on which it expires."""
    if not page.locator("#secret").is_visible():
        page.get_by_text("Store another client secret").click()
    page.locator("#secret").fill(secret)
    page.locator("#expires").fill(f"{datetime.now(UTC) + timedelta(days=180):%Y-%m-%d}")
    page.get_by_role("button", name="Store it in Key Vault").click()
    assert secret not in page.content()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that nobody has used: its workers remember no client secret that once was good."""
    state = tmp_path_factory.mktemp("new")
    settings = {"POSTROOM_MAILS_PER_MINUTE": "0"}
    with Stack(state, 0, 0, settings=settings, local_settings=False) as running:
        yield running


@pytest.fixture(scope="module")
def control_of_stack(stack: Stack) -> Iterator[Control]:
    control = Control(stack)
    yield control
    control.close()


@pytest.fixture
def control(control: Control) -> Iterator[Control]:
    """Whose vault has the client secret again in the end."""
    yield control
    control.store(CLIENT_SECRET_NAME, control.stack.info["client_secret"])


def walk(page: Page, control: Control, wrong_first: str = "", *, script: bool = True) -> None:
    """From an empty vault and no account to a test mail that is on its way; with a secret that is
    wrong at first, where no worker knows the right one yet."""
    app = control.stack.app_url
    control.forget(CLIENT_SECRET_NAME)
    enter(page, control)
    expect_step(page, "credential", "open")
    expect(page.locator("[data-step=credential]")).to_contain_text("New client secret")

    if wrong_first:
        store(page, wrong_first)
        expect_step(page, "credential", "open")
        expect(page.locator("[data-step=credential]")).to_contain_text("AADSTS7000215")
    store(page, str(control.stack.info["client_secret"]))
    expect(page.locator("#said")).to_contain_text("is in Key Vault")
    expect_step(page, "credential", "done")

    expect_step(page, "account", "open")
    page.locator("[data-step=account]").get_by_role("link", name="Accounts").click()
    begin_sign_in(page, "billing", BILLING, verified=True)
    choose(page, BILLING)
    accept(page)
    if not script:
        page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile("/accounts.linked=billing"))

    page.goto(f"{app}/setup")
    for name in ("settings", "vault", "credential", "account"):
        expect_step(page, name, "done")
    page.get_by_label("Send a test mail to").fill("ada@contoso.com")
    page.get_by_role("button", name="Send it").click()
    expect(page).to_have_url(f"{app}/setup#mail")


def test_from_nothing_to_the_test_mail_in_sent_items(page: Page, control: Control) -> None:
    walk(page, control, WRONG_SECRET)

    stages = page.locator("#followed li")
    expect(stages).to_have_count(len(STAGES))
    for stage, title in zip(stages.all(), STAGES, strict=True):
        expect(stage).to_contain_text(title)
        expect(stage).to_have_attribute("data-reached", "true", timeout=45_000)
    expect_step(page, "mail", "done")
    (arrived,) = control.deliveries(1)
    assert arrived["subject"] == "Postroom works"

    page.goto(f"{control.stack.app_url}/")
    expect(page).to_have_url(re.compile("/mails$"))


def test_the_essential_steps_work_without_script(browser: Browser, control: Control) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        walk(page, control, script=False)
        control.deliveries(1)
        for _ in range(30):
            page.goto(f"{control.stack.app_url}/setup")
            if page.locator("#followed li[data-reached=true]").count() == len(STAGES):
                break
            page.wait_for_timeout(500)
        expect(page.locator("#followed li[data-reached=true]")).to_have_count(len(STAGES))
        expect(page.locator("button[data-copies]")).to_be_hidden()


def test_the_redirect_uri_is_tried_at_microsoft_which_sends_back_from_it_alone(
    browser: Browser, control: Control
) -> None:
    # The simulator's certificate is of an authority that no browser knows.
    with browser.new_context(ignore_https_errors=True) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        enter(page, control)
        link = page.locator("#try-redirect").get_attribute("href") or ""
        page.locator("#try-redirect").click()
        expect(page.locator("#said")).to_contain_text("accepts the redirect URI")

        page.goto(link.replace("%2Fapi%2Fauth%2Fcallback", "%2Fapi%2Fauth%2Felsewhere"))
        expect(page.locator("body")).to_contain_text("AADSTS50011")


def test_a_secret_id_is_refused_and_the_page_fits_in_light_and_dark_and_narrow(
    page: Page, control: Control
) -> None:
    enter(page, control)
    store(page, "0f3c9a1b-1111-4111-8111-111111111111")
    expect(page.get_by_role("alert")).to_contain_text("Secret ID")

    page.goto(f"{control.stack.app_url}/setup")
    assert unreachable_by_tab(page) == []
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        picture(page, f"setup-{scheme}-{width}")
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(CLIPPED) == []
        assert page.evaluate(FAINT) == []
