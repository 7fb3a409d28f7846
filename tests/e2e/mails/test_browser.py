"""What a person sees and does, in a real browser, against the whole stack.

`make images` runs this file for the pictures of the README; the first test takes them, so that the
inbox holds only what it put there.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright._impl._api_structures import SetCookieParam
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from local import demo
from tests.e2e.browser import (
    CLIPPED,
    FAINT,
    PATIENCE,
    TOO_WIDE,
    Watch,
    accept,
    begin_sign_in,
    choose,
    open_session,
    picture,
    type_key,
    unreachable_by_tab,
)
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

BILLING = "billing@contoso.com"
ADA = "ada@contoso.com"
SESSION = "__Secure-postroom-session"
FLOW = "__Secure-postroom-flow-"
HOSTILE = "<script>window.caught=1</script><img src=x onerror=window.caught=1>"

INVOICE = """<div style="font:16px/1.6 system-ui,sans-serif;max-width:34rem;color:#222">
<h2 style="margin:0 0 1rem">Your invoice for November</h2>
<p>Dear Ada,</p>
<p>please find your invoice attached. The amount of <strong>€ 1,240.00</strong> is due on
15 December.</p>
<p>With kind regards,<br>Contoso Billing</p></div>"""


def row(page: Page, alias: str) -> str:
    """The words of an account's row."""
    return " ".join(page.locator(f'tr[data-alias="{alias}"]').inner_text().split())


def flow_cookies(context: BrowserContext) -> list[str]:
    """Names of the cookies of sign-ins under way."""
    return [found["name"] for found in context.cookies() if found["name"].startswith(FLOW)]


def fill(control: Control) -> None:
    """Accounts in different states, and mails with and without attachments."""
    info = control.stack.info
    control.ask("POST", "mailboxes", {"address": "support@contoso.com", "name": "Support"})
    for alias in ("billing", "support"):
        demo.sign_in(info, f"{alias}@contoso.com", alias)
    mails: list[dict[str, Any]] = [
        {"to": ["grace@example.com", ADA], "subject": "Welcome to Contoso", "text": "Hello both."},
        {
            "account": "support",
            "to": "linus@example.com",
            "cc": ADA,
            "subject": "[#4711] The printer is on fire",
            "text": "We have put it out. Could you try again?",
        },
        {
            "account": "support",
            "to": "Ada <ada@contoso.com>",
            "subject": "What is new this autumn",
            "html": "<p>Three things that changed, and one that stays.</p>",
        },
        {
            "to": "grace@example.com",
            "subject": "Reminder: invoice 2026-0098",
            "text": "It was due on 15 November.",
        },
        {
            "to": "Ada Lovelace <ada@contoso.com>",
            "subject": "Invoice 2026-0117",
            "html": INVOICE,
            "text": "Dear Ada, please find your invoice attached. € 1,240.00, due on 15 December.",
            "attachments": [
                {
                    "filename": "Invoice 2026-0117.pdf",
                    "content": base64.b64encode(b"%PDF-1.7\n" + bytes(48_000)).decode(),
                    "content_type": "application/pdf",
                }
            ],
        },
    ]
    for count, mail in enumerate(mails, start=1):
        control.send(**mail)
        control.deliveries(count)
    control.ask("POST", "revoke", {"mailbox": "support@contoso.com", "access_tokens": True})
    control.send(account="support", to=ADA, subject="[#4712] Held for now", text="Waits.", wait=20)


def test_the_pages_show_accounts_and_mails_in_their_states_with_nothing_clipped(
    page: Page, control: Control
) -> None:
    app, inbox = control.stack.app_url, control.stack.info["inbox_url"]
    fill(control)
    page.goto(f"{app}/signin")
    expect(page.get_by_label("Function key")).to_be_focused()
    picture(page, "signin")
    open_session(page, app, control.stack.function_key)
    expect(page.locator('tr[data-alias="support"]')).to_have_attribute(
        "data-state", "needs-sign-in"
    )
    assert "Ready" in row(page, "billing")
    assert "AADSTS50173" in row(page, "support")
    assert page.evaluate(CLIPPED) == []
    picture(page, "accounts")
    page.emulate_media(color_scheme="dark")
    picture(page, "accounts-dark")
    page.emulate_media(color_scheme="light")
    page.goto(inbox)
    expect(page.locator("tr.mail .subject a").first).to_have_text("Invoice 2026-0117")
    assert page.evaluate(CLIPPED) == []
    picture(page, "inbox")
    page.get_by_role("link", name="Invoice 2026-0117").click()
    expect(page.frame_locator("#html-frame").get_by_text("Dear Ada")).to_be_visible()
    assert page.evaluate(CLIPPED) == []
    picture(page, "mail")


def test_a_page_that_was_asked_for_without_a_session_is_come_back_to_after_the_key(
    page: Page, control: Control
) -> None:
    app = control.stack.app_url
    page.goto(f"{app}/mails?status=held")
    expect(page).to_have_url(f"{app}/signin?to=%2Fmails")
    page.get_by_label("Function key").fill(control.stack.function_key)
    page.get_by_role("button", name="Open").click()
    expect(page).to_have_url(f"{app}/mails")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_columns_of_the_accounts_stay_where_they_are_in_every_state(
    at_accounts: Page, control: Control
) -> None:
    def columns() -> list[float]:
        cells = at_accounts.locator("table.accounts thead th")
        return [cells.nth(index).bounding_box()["x"] for index in range(cells.count())]  # type: ignore[index]

    demo.sign_in(control.stack.info, BILLING, "billing")
    at_accounts.reload()
    ready = columns()
    control.ask("POST", "revoke", {"mailbox": BILLING, "access_tokens": True})
    control.send(to=ADA, subject="Held", text="Waits.", wait=20)
    at_accounts.reload()

    expect(at_accounts.locator('tr[data-state="needs-sign-in"]')).to_be_visible()
    assert columns() == ready


def test_the_checks_of_this_file_find_what_is_wrong_with_a_page(
    browser: Browser, control: Control
) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}) as context:
        watch = Watch(context)
        page = context.new_page()
        page.goto(f"{control.stack.app_url}/signin")
        page.evaluate("""() => {
          const image = new Image();
          image.src = "https://elsewhere.example/blocked.png";
          return new Promise((done) => { image.onerror = done; });
        }""")
        page.goto("about:blank")
        page.set_content("""<style>:focus-visible { outline: 3px solid }</style>
          <p style="width: 500px">wide</p>
          <p style="width: 20px; overflow: hidden; white-space: nowrap">clipped</p>
          <p style="background: #fff; color: #999">faint</p><button>reached</button>
          <button tabindex="-1">skipped</button><button style="outline: none">unseen</button>
          <img src="https://elsewhere.example/asked.png">""")
        assert "wide" in str(page.evaluate(TOO_WIDE))
        assert "clipped" in str(page.evaluate(CLIPPED))
        assert "faint" in str(page.evaluate(FAINT))
        missed = [re.sub("<.*?>", "", html) for html in unreachable_by_tab(page)]
        assert missed == ["skipped", "unseen"]
        with page.expect_event("pageerror"):
            page.evaluate("console.log('said'); setTimeout(() => { throw Error('thrown') })")
        troubles = "\n".join(watch.troubles())
    for trouble in (
        "elsewhere.example/asked.png",
        "console log: said",
        "thrown",
        "Security Policy",
    ):
        assert trouble in troubles
    assert "blocked.png" not in re.sub("console.*", "", troubles)


def test_an_administrator_links_a_mailbox_and_a_mail_sent_by_the_api_arrives(
    page: Page, control: Control, tmp_path: Path
) -> None:
    app = control.stack.app_url
    open_session(page, app, control.stack.function_key)
    expect(page.get_by_text("No mailbox is connected yet")).to_be_visible()
    begin_sign_in(page, "billing", BILLING)
    expect(page.get_by_role("heading")).to_have_text("Pick an account")
    choose(page, BILLING)
    expect(page.get_by_role("heading")).to_have_text("Permissions requested")
    asked = page.locator("li.permission").evaluate_all("all => all.map(one => one.dataset.scope)")
    assert {"Mail.Send", "User.Read"} <= set(asked)
    assert "Mail.ReadWrite" not in asked
    accept(page)
    expect(page).to_have_url(f"{app}/accounts?linked=billing")
    expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
    assert "Ready" in row(page, "billing")

    content = bytes(range(256)) * 40
    attached = {
        "filename": "Ärger & <Rätsel>.bin",
        "content": base64.b64encode(content).decode(),
    }
    subject = "Grüße <b>an alle</b> & mehr"
    control.send(to=ADA, subject=subject, html="<h3>Framed</h3>", attachments=[attached])
    control.deliveries(1)
    page.goto(str(control.stack.info["inbox_url"]))
    page.get_by_role("link", name=subject).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(subject)
    expect(page.frame_locator("#html-frame").get_by_role("heading")).to_have_text("Framed")
    with page.expect_download() as download:
        page.locator(".attachment a").click()
    kept = tmp_path / "kept"
    download.value.save_as(kept)
    assert kept.read_bytes() == content
    assert download.value.suggested_filename.startswith("Ärger & ")


def test_another_account_than_expected_is_not_linked_and_can_be_chosen_anew(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, ADA)
    accept(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was connected")
    expect(page.locator("#chosen")).to_have_text(ADA)
    expect(page.locator("#help")).to_contain_text(f"Choose the account {BILLING}")
    assert control.accounts() == []
    assert control.grants() == []
    with page.context.new_page() as other:
        other.goto(f"{control.stack.app_url}/accounts")
        expect(other.get_by_text("No mailbox is connected yet")).to_be_visible()
    page.get_by_role("button", name="Choose another account").click()
    expect(page.get_by_role("heading")).to_have_text("Pick an account")
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
    assert [found["address"] for found in control.accounts()] == [BILLING]
    assert len(control.grants()) == 1


def test_cancelling_at_the_consent_page_is_explained_and_links_nothing(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    page.locator("#cancel").click()
    expect(page.locator("#code")).to_have_text("AADSTS65004")
    expect(page.locator("#refused")).to_contain_text("You cancelled")
    expect(page.locator("#help")).to_contain_text("choose 'Accept'")
    assert control.accounts() == []
    assert control.grants() == []


def test_an_administrators_approval_that_is_missing_is_explained(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    control.options(consent_policy="admin_only")
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    expect(page.get_by_role("heading")).to_have_text("Need admin approval")
    page.locator("#return").click()
    expect(page.locator("#code")).to_have_text(re.compile("AADSTS9009[45]"))
    expect(page.locator("#help")).to_contain_text("Grant admin consent")
    assert control.accounts() == []


def test_a_refusal_of_the_apps_own_secret_is_explained_and_links_nothing(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    control.fault("entra.token", action="aadsts", code=7000222, times=-1)
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    accept(page)
    expect(page.locator("#code")).to_have_text("AADSTS7000222")
    expect(page.locator("#refused")).to_contain_text("The client secret has expired")
    assert control.accounts() == []
    assert control.grants() == []


def test_an_error_page_of_entra_leaves_everything_as_it_was(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    control.options(redirect_uris=["https://elsewhere.example/api/auth/callback"])
    begin_sign_in(page, "billing", BILLING)
    expect(page.locator("#error-code")).to_have_text("AADSTS50011")
    page.goto(f"{control.stack.app_url}/accounts")
    expect(page.get_by_text("No mailbox is connected yet")).to_be_visible()
    assert control.grants() == []


def test_a_wrong_function_key_is_told_and_opens_no_session(
    page: Page, control: Control, watch: Watch, context: BrowserContext
) -> None:
    watch.expect("401 for /session")
    app = control.stack.app_url
    for wrong in ("not-a-key", "ключ"):
        type_key(page, app, wrong)
        expect(page.get_by_role("alert")).to_contain_text("not one of this app's function keys")
        expect(page.get_by_label("Function key")).to_be_focused()
    assert context.cookies() == []
    assert urlsplit(page.url).path == "/signin"


def test_without_a_session_the_accounts_lead_to_the_sign_in_page(
    page: Page, control: Control
) -> None:
    app = control.stack.app_url
    for path in ("/", "/accounts"):
        page.goto(f"{app}{path}")
        expect(page).to_have_url(f"{app}/signin")


def test_signing_out_ends_the_session(
    at_accounts: Page, control: Control, context: BrowserContext
) -> None:
    app = control.stack.app_url
    at_accounts.goto(f"{app}/signin")
    expect(at_accounts).to_have_url(f"{app}/accounts")
    at_accounts.get_by_role("button", name="Sign out").click()
    expect(at_accounts).to_have_url(f"{app}/signin")
    assert context.cookies(app) == []
    at_accounts.goto(f"{app}/accounts")
    expect(at_accounts).to_have_url(f"{app}/signin")


def test_two_sign_ins_in_two_tabs_both_finish(
    at_accounts: Page, control: Control, context: BrowserContext
) -> None:
    first, second = at_accounts, context.new_page()
    second.goto(f"{control.stack.app_url}/accounts")
    begin_sign_in(first, "billing", BILLING)
    begin_sign_in(second, "ada")
    choose(second, ADA)
    choose(first, BILLING)
    assert len(flow_cookies(context)) == 2
    accept(second)
    expect(second.get_by_role("status")).to_contain_text(f"{ADA} is connected as ada")
    assert len(flow_cookies(context)) == 1
    accept(first)
    expect(first.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
    assert flow_cookies(context) == []
    connected = {found["alias"]: found["address"] for found in control.accounts()}
    assert connected == {"ada": ADA, "billing": BILLING}


def test_an_answer_of_microsoft_sent_twice_links_nothing_twice_and_explains_itself(
    at_accounts: Page, control: Control, context: BrowserContext
) -> None:
    page = at_accounts
    answers: list[str] = []
    context.on(
        "request",
        lambda request: (
            answers.append(request.post_data or "")
            if request.method == "POST" and request.url.endswith("/api/auth/callback")
            else None
        ),
    )
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    flow = copied(context, FLOW)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    before = control.accounts(), control.grants()
    fields = {name: values[0] for name, values in parse_qs(answers[0]).items()}
    context.clear_cookies(name="SIMSESSION")

    resubmit(page, control, fields)
    expect(page.locator("#refused")).to_contain_text("no sign-in under way that fits the answer")
    context.add_cookies(flow)
    resubmit(page, control, fields)
    expect(page.locator("#refused")).to_contain_text("finished already")
    page.get_by_role("link", name="Back to the accounts").click()
    assert "Ready" in row(page, "billing")
    assert (control.accounts(), control.grants()) == before


def resubmit(page: Page, control: Control, fields: dict[str, str]) -> None:
    """Post an answer to the callback again, from a page of Microsoft's."""
    page.goto(control.stack.info["inbox_url"].replace("/inbox", "/devicelogin"))
    with page.expect_navigation():
        page.evaluate(
            """([action, fields]) => {
              const form = document.createElement("form");
              form.method = "post";
              form.action = action;
              for (const [name, value] of Object.entries(fields)) {
                const input = document.createElement("input");
                input.name = name;
                input.value = value;
                form.append(input);
              }
              document.body.append(form);
              form.submit();
            }""",
            [f"{control.stack.app_url}/api/auth/callback", fields],
        )


def test_going_back_or_reloading_after_a_sign_in_links_nothing_twice(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    before = control.accounts(), control.grants()
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("is connected")
    # Chromium does not send a form again without asking.
    with suppress(Error):
        page.go_back()
    assert (control.accounts(), control.grants()) == before


def test_reloading_a_refusal_sends_the_answer_again_and_explains_itself(
    at_accounts: Page, control: Control
) -> None:
    page = at_accounts
    begin_sign_in(page, "billing", BILLING)
    choose(page, ADA)
    accept(page)
    expect(page.locator("#chosen")).to_have_text(ADA)
    page.reload()
    expect(page.locator("#refused")).to_contain_text("no sign-in under way that fits the answer")
    assert control.accounts() == []


def test_hostile_text_stays_text(
    page: Page, control: Control, watch: Watch, context: BrowserContext
) -> None:
    app = control.stack.app_url
    control.ask("POST", "mailboxes", {"address": BILLING, "name": f"Eve {HOSTILE}"})
    open_session(page, app, control.stack.function_key)
    begin_sign_in(page, "billing", BILLING)
    expect(page.get_by_role("button", name="<script>")).to_be_visible()
    choose(page, BILLING)
    accept(page)
    expect(page.locator('tr[data-alias="billing"]')).to_contain_text(HOSTILE)
    assert caught(page) is None

    page.goto(f"{app}/accounts?linked={quote(HOSTILE)}")
    assert caught(page) is None
    begin_sign_in(page, "other")
    state = parse_qs(urlsplit(page.url).query)["state"][0]
    refusal = {"state": state, "error": HOSTILE, "error_description": f"AADSTS999999: {HOSTILE}"}
    page.goto(f"{app}/api/auth/callback?" + "&".join(f"{k}={quote(v)}" for k, v in refusal.items()))
    expect(page.locator("#refused")).to_be_visible()
    expect(page).to_have_url(f"{app}/accounts")
    assert caught(page) is None
    page.goto(f"{app}/accounts")
    expect(page.locator("#refused")).to_have_count(0)


def test_a_hostile_mail_runs_no_script_and_calls_nobody(
    page: Page, control: Control, watch: Watch, signed_in_account: SignedIn
) -> None:
    # The browser says what it kept the mail from doing.
    watch.expect("Blocked script execution in 'about:srcdoc'")
    watch.expect("Refused to execute the redirect specified via '<meta http-equiv='refresh'")
    watch.expect("Content Security Policy")
    outside = "https://tracker.example/seen"
    control.send(
        to=f'"{HOSTILE}" <{ADA}>',
        subject=HOSTILE,
        html=f"{HOSTILE}<p>Here</p><img src='{outside}.png'><iframe src='{outside}'></iframe>"
        f"<link rel=stylesheet href='{outside}.css'><meta http-equiv=refresh content='0;{outside}'>"
        f"<style>@import '{outside}.css'; body {{ background: url({outside}.gif) }}</style>",
        attachments=[
            {"filename": "<img src=x onerror=window.caught=1>.html", "content": "PHNjcmlwdD4="}
        ],
    )
    control.deliveries(1)
    page.goto(str(control.stack.info["inbox_url"]))
    assert caught(page) is None
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page.frame_locator("#html-frame").get_by_text("Here")).to_be_visible()
    assert caught(page) is None
    assert len(page.context.pages) == 1


def caught(page: Page) -> object:
    """What hostile text would have set, had it run."""
    return page.evaluate("window.caught ?? null")


LONG = "a-rather-long-name-for-a-shared-department@subsidiary.contoso.com"


def every_page(page: Page, control: Control) -> Iterator[str]:
    """Show one page after the other, with long words where people may write some, and say which."""
    app, inbox = control.stack.app_url, str(control.stack.info["inbox_url"])
    alias = "a" * 40
    control.ask("POST", "mailboxes", {"address": LONG, "name": "Long" * 16})
    demo.sign_in(control.stack.info, LONG, alias)
    demo.sign_in(control.stack.info, ADA, "ada")
    control.ask("POST", "revoke", {"mailbox": ADA})
    control.send(account="ada", to=ADA, subject="Waits", text="Waits.", wait=20)
    control.send(
        account=alias,
        to=[f"{'b' * 60}@{'c' * 60}.example", ADA],
        subject="Long" * 40,
        html="<p style='width:60rem'>Wide</p>",
        text="Long" * 60,
        attachments=[{"filename": "long" * 30 + ".bin", "content": ""}],
    )
    control.deliveries(1)
    page.goto(f"{app}/signin")
    yield "signin"
    open_session(page, app, control.stack.function_key)
    expect(page.locator(f'tr[data-alias="{alias}"]')).to_be_visible()
    assert "AADSTS50173" in row(page, "ada")
    yield "accounts"
    begin_sign_in(page, "other", BILLING)
    choose(page, LONG)
    expect(page.locator("#chosen")).to_be_visible()
    yield "refused"
    page.goto(f"{app}/accounts?linked={alias}")
    yield "linked"
    begin_sign_in(page, "other")
    state = parse_qs(urlsplit(page.url).query)["state"][0]
    page.goto(f"{app}/api/auth/callback?state={state}&error=access_denied")
    expect(page.locator("#refused")).to_be_visible()
    yield "notice"
    page.goto(inbox)
    newest = page.locator("tr.mail .subject a").first
    expect(newest).to_have_text("Long" * 40)
    yield "inbox"
    newest.click()
    expect(page.locator("#headers")).to_be_visible()
    yield "mail"
    page.goto(f"{inbox}?who=nobody")
    yield "empty inbox"
    page.goto(f"{inbox}/none")
    yield "no such mail"


def test_every_page_fits_a_narrow_screen_reads_well_and_works_with_the_keyboard(
    page: Page, control: Control
) -> None:
    found: list[str] = []
    for name in every_page(page, control):
        for width in (1280, 840, 360):
            page.set_viewport_size({"width": width, "height": 740})
            for what, script in (("wide", TOO_WIDE), ("clipped", CLIPPED)):
                found += [f"{name} {width} {what}: {one}" for one in page.evaluate(script)]
        found += [f"{name} not by Tab: {one}" for one in unreachable_by_tab(page)]
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            found += [f"{name} {scheme} faint: {one}" for one in page.evaluate(FAINT)]
    assert not found, "\n".join(found)


def test_a_mailbox_can_be_linked_with_the_keyboard_alone(page: Page, control: Control) -> None:
    page.goto(f"{control.stack.app_url}/signin")
    expect(page.get_by_label("Function key")).to_be_focused()
    page.keyboard.type(control.stack.function_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Accounts")
    page.get_by_label("Alias", exact=True).focus()
    page.keyboard.type("billing")
    page.keyboard.press("Tab")
    page.keyboard.type(BILLING)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("Pick an account")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("Permissions requested")
    page.locator("#accept").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")


def test_without_javascript_only_opening_a_session_is_impossible_and_says_so(
    at_accounts: Page, control: Control, browser: Browser
) -> None:
    app = control.stack.app_url
    with browser.new_context(java_script_enabled=False) as plain:
        plain.set_default_timeout(PATIENCE)
        watch = Watch(plain)
        page = plain.new_page()
        page.goto(f"{app}/signin")
        # Playwright's search by text passes over this element.
        expect(page.locator("noscript p")).to_be_visible()
        expect(page.locator("noscript p")).to_contain_text("needs JavaScript")
        plain.add_cookies(copied(at_accounts.context))
        page.goto(f"{app}/accounts")
        begin_sign_in(page, "billing", BILLING)
        choose(page, BILLING)
        accept(page)
        page.locator("#continue").click()
        expect(page.get_by_role("status")).to_contain_text(f"{BILLING} is connected as billing")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{app}/signin")
        assert watch.troubles() == []


def copied(context: BrowserContext, prefix: str = "__Secure-") -> list[SetCookieParam]:
    """Cookies of one profile, for another."""
    return [
        {
            "name": found["name"],
            "value": found["value"],
            "domain": found["domain"],
            "path": found["path"],
            "secure": found["secure"],
            "httpOnly": found["httpOnly"],
            "sameSite": found["sameSite"],
        }
        for found in context.cookies()
        if found["name"].startswith(prefix)
    ]


def test_cookies_are_out_of_scripts_reach_and_a_finished_sign_in_leaves_none(
    at_accounts: Page, control: Control, context: BrowserContext
) -> None:
    page, app = at_accounts, control.stack.app_url
    (session,) = context.cookies(app)
    assert session["name"] == SESSION
    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
    assert session["path"] == "/"
    begin_sign_in(page, "billing", BILLING)
    (flow,) = (found for found in context.cookies() if found["name"].startswith(FLOW))
    assert (flow["secure"], flow["httpOnly"], flow["sameSite"]) == (True, True, "None")
    assert flow["path"] == "/api/auth/callback"
    assert flow["expires"] - time.time() == pytest.approx(600, abs=60)
    choose(page, BILLING)
    accept(page)
    expect(page.get_by_role("status")).to_contain_text("is connected")
    assert [found["name"] for found in copied(context)] == [SESSION]
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == [
        "",
        0,
        0,
    ]


def test_the_function_key_goes_into_no_address_and_no_body(
    page: Page, control: Control, watch: Watch
) -> None:
    key = control.stack.function_key
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data or ""))
    open_session(page, control.stack.app_url, key)
    expect(page).to_have_url(f"{control.stack.app_url}/accounts")
    assert [text for text in (*watch.requests, *bodies) if key in text] == []
