"""The pages of mails, in a real browser, against the whole stack."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from azure.data.tables import TableClient
from msgspec.structs import replace
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.mail_rows import keys_of
from shared.mail import ids
from shared.settings import StorageSettings
from tests.e2e.browser import (
    CLIPPED,
    FAINT,
    PATIENCE,
    TOO_WIDE,
    Watch,
    choose,
    give_session,
    picture,
)
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

ADA = "ada@contoso.com"
BILLING = "billing@contoso.com"


def enter(page: Page, control: Control) -> Page:
    """A window with a session, at /mails."""
    app = control.stack.app_url
    give_session(page, app, control.stack.function_key)
    page.goto(f"{app}/mails")
    return page


@pytest.fixture
def at_mails(page: Page, control: Control) -> Page:
    return enter(page, control)


@pytest.fixture
def without_script(browser: Browser, control: Control) -> Iterator[Page]:
    """A window whose scripts are off."""
    with browser.new_context(java_script_enabled=False, locale="en-GB") as profile:
        profile.set_default_timeout(PATIENCE)
        yield enter(profile.new_page(), control)


def hold(control: Control, count: int) -> list[str]:
    """Mails of billing that wait for a new sign-in."""
    control.ask("POST", "revoke", {"mailbox": BILLING, "access_tokens": True})
    first = control.send(to=ADA, subject="Held 1", text="Waits.", wait=20)
    assert first["status"] == "held", first
    return [first["id"]]


def test_the_list_and_the_story_of_a_mail_are_readable_in_light_dark_and_narrow(
    context: BrowserContext,
    at_mails: Page,
    watch: Watch,
    control: Control,
    signed_in_account: SignedIn,
) -> None:
    page = at_mails
    control.send(
        to=[ADA, "grace@example.com"],
        subject="Invoice 2026-0117",
        html="<h2>Your invoice</h2><p>Dear Ada, it is attached.</p>",
        text="Dear Ada, it is attached.",
        attachments=[
            {"filename": "i.pdf", "content": "JVBERi0=", "content_type": "application/pdf"}
        ],
        tags=["invoice"],
        metadata={"order": "7"},
        wait=20,
    )
    control.send(
        to=ADA, subject="Next week's news", text="Soon.", scheduled_at="2027-01-04T08:00:00Z"
    )
    control.fault(
        "graph.send_mail", action="status", code="ErrorInvalidRecipients", status=400, times=-1
    )
    control.send(to="nobody@nowhere.example", subject="Lost in the post", text="Hello?", wait=20)
    control.ask("DELETE", "faults")
    held = hold(control, 1)[0]
    page.goto(f"{control.stack.app_url}/mails")

    expect(page.locator("table.mails tbody tr")).to_have_count(4)
    assert page.locator(".causes li").count() == 2
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            for path, name in (("/mails", "mails"), (f"/mails/{held}", "mail-page")):
                page.goto(f"{control.stack.app_url}{path}")
                expect(page.locator("h1")).to_be_visible()
                picture(page, f"{name}-{scheme}-{width}")
                assert page.evaluate(TOO_WIDE) == []
                assert page.evaluate(CLIPPED) == []
                assert page.evaluate(FAINT) == []


def test_a_mail_that_is_under_way_is_followed_until_it_is_sent(
    at_mails: Page, control: Control, signed_in_account: SignedIn
) -> None:
    control.fault("graph.send_mail", action="slow", seconds=3, times=1)
    mail = control.send(to=ADA, subject="Follow me", text="Hello.")

    at_mails.goto(f"{control.stack.app_url}/mails/{mail['id']}")

    expect(at_mails.locator("#mail")).to_have_attribute("data-status", "sent")
    expect(at_mails.get_by_text("Its content is deleted")).to_have_count(1)


@pytest.fixture(params=["with script", "without script"])
def either(request: pytest.FixtureRequest) -> Page:
    """A window with a session, at /mails, in which scripts run or do not."""
    window = "at_mails" if request.param == "with script" else "without_script"
    found: Page = request.getfixturevalue(window)
    return found


def test_held_mails_are_released_by_signing_in_again_on_the_accounts_page(
    either: Page, control: Control, signed_in_account: SignedIn, request: pytest.FixtureRequest
) -> None:
    page = either
    (held,) = hold(control, 1)
    page.goto(f"{control.stack.app_url}/mails/{held}")
    expect(page.locator("#mail")).to_have_attribute("data-status", "held")
    page.get_by_role("button", name="Release").click()
    expect(page.locator("#refused")).to_be_visible()

    page.goto(f"{control.stack.app_url}/accounts/{signed_in_account.alias}")
    expect(page.locator("#held")).to_contain_text("1, the oldest accepted on")
    page.get_by_role("button", name="Sign in again").click()
    choose(page, signed_in_account.address)
    if "[without" in request.node.name:
        # Microsoft's page that leads back.
        page.locator("#continue").click()
    expect(page.get_by_role("status")).to_contain_text("is connected")
    control.deliveries(1)
    page.goto(f"{control.stack.app_url}/mails/{held}")

    expect(page.locator("#mail")).to_have_attribute("data-status", "sent")


def fail(control: Control, count: int) -> None:
    """Mails that were refused for their recipients."""
    control.fault(
        "graph.send_mail", action="status", code="ErrorInvalidRecipients", status=400, times=-1
    )
    for number in range(0, count, 50):
        mails = [
            {"to": ADA, "subject": f"Number {at}", "text": "Hello."}
            for at in range(number, min(count, number + 50))
        ]
        answer = control.api("POST", "send/batch", {"mails": mails})
        assert answer.status_code in (200, 202), answer.text


def copy_failed(control: Control, count: int) -> None:
    """One mail that was refused, and so many more like it as if each had been."""
    fail(control, 1)
    connection = control.stack.info["storage_connection_string"]
    storage = Storage(StorageSettings(connection_string=connection), None)
    attention = AttentionRows(lambda: storage.table("waiting"))
    while not (found := attention.newest(1)):
        time.sleep(0.1)
    (case,) = found
    copies = [
        ids.new_id(ids.time_of(case.mail_id) - timedelta(milliseconds=at), os.urandom)
        for at in range(1, count)
    ]
    for mail_id in copies:
        attention.open(replace(case, mail_id=mail_id))
    with TableClient.from_connection_string(connection, "mails") as mails:
        row = mails.get_entity(*keys_of(case.mail_id))
        rows = [
            {**row, "PartitionKey": partition, "RowKey": key}
            for partition, key in map(keys_of, copies)
        ]
        for begin in range(0, len(rows), 100):
            mails.submit_transaction([("create", one) for one in rows[begin : begin + 100]])
    storage.close()


def all_failed(page: Page, control: Control, count: int) -> None:
    words = f"{count} failed"
    for _ in range(120):
        page.goto(f"{control.stack.app_url}/mails")
        with suppress(Error):
            if page.locator(".causes li").first.get_by_text(words).count():
                return
        page.wait_for_timeout(500)
    raise AssertionError(page.locator("main").inner_text()[:500])


SEEN = """addEventListener("DOMContentLoaded", () => {
  const done = document.getElementById("done");
  const note = () => {
    const both = [Number(done.textContent), document.getElementById("bar").value];
    if (both[0] === both[1] && both[0] !== window.seen.at(-1)) window.seen.push(both[0]);
  };
  window.seen = [];
  if (!done) return;
  note();
  new MutationObserver(note).observe(done, { childList: true, characterData: true, subtree: true });
});"""
"""Notes what stands beside the bar, each time that it changes."""


MANY = 110
"""Mails that take five steps."""


def test_many_failed_mails_are_tried_again_by_one_button_with_progress(
    at_mails: Page, control: Control, signed_in_account: SignedIn
) -> None:
    copy_failed(control, MANY)
    all_failed(at_mails, control, MANY)
    control.ask("DELETE", "faults")
    at_mails.add_init_script(SEEN)

    at_mails.get_by_role("button", name=f"Try all {MANY} again").click()

    expect(at_mails.locator("#done")).to_have_text(str(MANY), timeout=60_000)
    expect(at_mails.locator("#bar")).to_have_attribute("max", str(MANY))
    seen = at_mails.evaluate("window.seen")
    assert len(seen) >= 4, "it was seen to go on while it ran"
    assert seen == sorted(seen)
    assert seen[-1] == MANY
    assert len(control.deliveries(MANY, seconds=90)) == MANY
    at_mails.goto(f"{control.stack.app_url}/mails")
    expect(at_mails.locator(".causes li")).to_have_count(0)


def test_without_script_the_button_goes_on_step_by_step(
    without_script: Page, control: Control, signed_in_account: SignedIn
) -> None:
    fail(control, 30)
    all_failed(without_script, control, 30)
    control.ask("DELETE", "faults")

    without_script.get_by_role("button", name="Try all 30 again").click()
    expect(without_script.locator("#total")).to_have_text("30")
    without_script.get_by_role("button", name="Go on").click()

    expect(without_script.locator("#done")).to_have_text("30")
    expect(without_script.get_by_role("button", name="Go on")).to_have_count(0)


def test_an_unknown_mail_is_settled_by_a_person(
    either: Page, control: Control, signed_in_account: SignedIn
) -> None:
    control.fault("graph.send_mail", action="status", status=504, times=1)
    mail = control.send(to=ADA, subject="Did it go?", text="Hello.", wait=20)
    assert mail["status"] == "unknown"
    page = either
    page.goto(f"{control.stack.app_url}/mails/{mail['id']}")

    page.get_by_role("button", name="It was sent").click()

    expect(page.locator("#mail")).to_have_attribute("data-status", "sent")


def test_a_failed_mail_is_sent_to_others_and_a_wrong_address_is_named(
    without_script: Page, control: Control, signed_in_account: SignedIn
) -> None:
    fail(control, 1)
    page = without_script
    all_failed(page, control, 1)
    control.ask("DELETE", "faults")
    page.locator("table.mails a").first.click()
    page.get_by_label("Other recipients").fill("not an address")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#refused")).to_contain_text("has no '@'")
    expect(page.get_by_label("Other recipients")).to_have_value("not an address")

    page.get_by_label("Other recipients").fill("grace@example.com")
    page.get_by_role("button", name="Try again").click()

    assert control.deliveries(1)[0]["to"] == ["grace@example.com"]


def test_a_filter_keeps_what_was_asked_and_a_search_leads_to_the_mail(
    without_script: Page, control: Control, signed_in_account: SignedIn
) -> None:
    page = without_script
    wanted = control.send(
        to="grace@example.com", subject="For Grace", text="Hi.", tags=["gift"], wait=20
    )
    control.send(to=ADA, subject="For Ada", text="Hi.", wait=20)
    page.goto(f"{control.stack.app_url}/mails")

    page.get_by_label("Recipient").fill("GRACE@")
    page.get_by_label("Tag").fill("gift")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("table.mails tbody tr")).to_have_count(1)
    expect(page.get_by_label("Recipient")).to_have_value("GRACE@")

    page.get_by_label("Id or key").fill(wanted["id"])
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("h1")).to_have_text("For Grace")


def shown(page: Page) -> list[str]:
    """The subjects of the list."""
    return page.locator("table.mails tbody tr a").all_inner_texts()


def test_a_long_list_is_paged_and_filtered_and_an_address_leads_back_to_what_was_shown(
    at_mails: Page, control: Control, signed_in_account: SignedIn
) -> None:
    page = at_mails
    for tag in ("a", "b"):
        mails = [
            {"to": f"{tag}@contoso.com", "subject": f"{tag}{at:02}", "text": "x", "tags": [tag]}
            | {"scheduled_at": "2027-01-04T08:00:00Z"}
            for at in range(60)
        ]
        answer = control.api("POST", "send/batch", {"mails": mails})
        assert answer.status_code in (200, 202), answer.text
    control.send(to=ADA, subject="Sent", text="x", wait=20)

    page.goto(f"{control.stack.app_url}/mails")
    pages = [shown(page)]
    while page.locator("#older").count():
        page.locator("#older").click()
        pages.append(shown(page))
    assert [len(one) for one in pages] == [50, 50, 21]
    assert pages[0][0] == "Sent"
    assert len({subject for one in pages for subject in one}) == 121

    page.get_by_label("Status").select_option("Scheduled")
    page.get_by_label("Account").select_option(signed_in_account.alias)
    page.get_by_label("Tag").fill("a")
    page.get_by_label("Recipient").fill("A@contoso")
    page.get_by_role("button", name="Show", exact=True).click()
    first = shown(page)
    page.locator("#older").click()
    # The filter goes along with the cursor.
    rest = shown(page)
    assert (len(first), len(rest)) == (50, 10)
    assert {subject[0] for subject in first + rest} == {"a"}
    address = page.url
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_label("Tag")).to_have_value("")
    page.goto(address)
    assert shown(page) == rest
    page.get_by_label("Until", exact=True).fill("2020-01-01")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("table.mails tbody tr")).to_have_count(0)
