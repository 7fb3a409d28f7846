"""Mails that mean harm, as the pages show them: nothing runs, nothing leaves, no page breaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from azure.storage.queue import QueueClient
from playwright.sync_api import Browser, Dialog, Page, expect

from shared.adapters.storage.attention_rows import AttentionRows
from shared.adapters.storage.clients import Storage
from shared.adapters.storage.mail_rows import keys_of
from shared.mail.status import Status
from shared.services.mails.ports import AttentionItem
from shared.settings import StorageSettings
from tests.e2e.browser import PATIENCE, TOO_WIDE, give_session
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.e2e.hostile import CASES, REFUSED, RUN
from tests.e2e.hostile import Case as HostileCase

_OFFERS: dict[str, Any] = {"to": "ada@contoso.com", "scheduled_at": "2027-01-04T08:00:00Z"}

ALWAYS = (
    "a script",
    "an attribute that ends",
    "a form",
    "a way out of the frame",
    "html that is deep",
)
"""Cases of each kind of harm that `make test` looks at beside every fifth of the others."""

_NO_PATH = str.maketrans("/\\:", "\u2215\u2216-")


class Lookout:
    """Notes what a window does that it must not."""

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        self._left: list[Any] = []
        page.on("dialog", self._dialog)
        page.on("popup", lambda other: self.seen.append(f"a window: {other.url}"))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"an error: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)

    def check(self, name: str) -> None:
        assert [*self.seen, *(request.url for request in self._left)] == [], name

    def _dialog(self, dialog: Dialog) -> None:
        self.seen.append("a dialog")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if "pwned" in request.url or "elsewhere" in request.url:
            self._left.append(request)

    def _failed(self, request: Any) -> None:
        # The policy kept it from being sent at all.
        if "csp" in (request.failure or "").lower() and request in self._left:
            self._left.remove(request)

    def _console(self, message: Any) -> None:
        # What is blocked in a mail's own document is told on the console; in a page of ours it is a
        # fault, of the page or of what a text could put into it.
        place = f"{message.location.get('url', '')} {message.text}"
        sandboxed = "document's frame is sandboxed" in message.text
        # Our own pages say of frames where they may come from; a mail's document leaves it at this.
        framed = message.text.startswith("Framing") and "\"default-src 'none'\"" in message.text
        if "/html" not in place and not sandboxed and not framed:
            self.seen.append(f"{message.type}: {message.text[:200]}")


@pytest.fixture
def narrow(browser: Browser, control: Control) -> Iterator[Page]:
    """A narrow window with a session, so high that nothing of a page waits to be scrolled to."""
    with browser.new_context(viewport={"width": 360, "height": 1500}, locale="en-GB") as profile:
        profile.set_default_timeout(PATIENCE)
        page = profile.new_page()
        give_session(page, control.stack.app_url, control.stack.function_key)
        yield page


def mail_of(words: str, html: str) -> dict[str, Any]:
    return {
        **_OFFERS,
        "to": {"email": "ada@contoso.com", "name": words[:200]},
        "subject": words[:250],
        "html": html or " ",
        "text": html[:5000] or " ",
        "attachments": [
            {
                "filename": words[:120].translate(_NO_PATH),
                "content": "aGk=",
                "content_type": "text/html",
            }
        ],
        "tags": [words[:64]],
        "metadata": {words[:60]: words[:500]},
    }


LOOKS_LIKE = """() => {
  const shape = (root) => [...document.querySelectorAll(root + ", " + root + " *")].map((element) =>
    [element.tagName, ...[...element.attributes].map((one) => one.name)].join(" "));
  const width = document.documentElement.clientWidth;
  const button = [...document.querySelectorAll("button")].find((one) => one.innerText === "Cancel it");
  return { body: shape("body"), head: shape("head"), title: document.title,
    wide: document.documentElement.scrollWidth > width, works: button?.checkVisibility() ?? false };
}"""
"""What no mail may change of its page."""


def look_at_each(page: Page, control: Control, attention: Sequence[HostileCase]) -> None:
    """A mail of each case on its page, and where its html is opened alone, in a window of its own:
    nothing runs, nothing is fetched, and the page is as it is with a harmless mail."""
    app = control.stack.app_url
    sent = {
        case.name: control.send(**mail_of(case.words or "Words", case.html))["id"]
        for case in attention
    }
    plain = control.send(**mail_of("Harmless", "<p>Hello</p>"))["id"]
    page.goto(f"{app}/mails/{plain}")
    usual = page.evaluate(LOOKS_LIKE)
    alone = page.context.new_page()
    search_count = [Lookout(page), Lookout(alone)]

    for case in attention:
        url = f"{app}/mails/{sent[case.name]}"
        alone.goto(f"{url}/html", wait_until="commit")
        page.goto(url)
        preview = page.locator("iframe.preview").element_handle().content_frame()
        assert preview is not None
        preview.wait_for_url("**/html")
        found = page.evaluate(LOOKS_LIKE)
        assert "49" not in found["title"], case.name
        assert {**found, "title": ""} == {**usual, "title": ""}, case.name
        alone.wait_for_load_state()
        assert alone.url == f"{url}/html", case.name
        for look in search_count:
            look.check(case.name)


def test_hostile_mails_run_nothing_fetch_nothing_and_break_no_page(
    narrow: Page, control: Control, signed_in_account: SignedIn
) -> None:
    """A fifth of the cases; tests/long/pages looks at all of them."""
    look_at_each(
        narrow,
        control,
        [case for at, case in enumerate(CASES) if at % 5 == 0 or case.name in ALWAYS],
    )


def test_the_list_shows_hostile_words_as_words(
    narrow: Page, control: Control, signed_in_account: SignedIn
) -> None:
    app, page = control.stack.app_url, narrow
    worded = [case for case in CASES if case.words is not None]
    for case in worded:
        control.send(**mail_of(case.words or "", "x"))
    look = Lookout(page)

    page.goto(f"{app}/mails")
    shown = 0
    while True:
        rows = page.locator("table.mails tbody tr")
        shapes = rows.evaluate_all(
            """rows => rows.map((row) => [...row.querySelectorAll("*")].map((element) =>
               [element.tagName, ...[...element.attributes].map((one) => one.name)].join(" ")).join())"""
        )
        shown += len(shapes)
        assert len(set(shapes)) == 1, sorted(set(shapes))
        assert page.evaluate(TOO_WIDE) == []
        expect(page.get_by_role("button", name="Show", exact=True)).to_be_visible()
        look.check("the list")
        if not page.locator("#older").count():
            break
        page.locator("#older").click()
    assert shown == len(worded)


def test_refused_queue_messages_are_words_in_the_list_and_on_their_pages(
    narrow: Page, control: Control, signed_in_account: SignedIn
) -> None:
    """Nothing of them was checked: subject, recipients and account are whatever stood there."""
    app, page = control.stack.app_url, narrow
    words = [case.words for case in CASES if case.words is not None]
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox"
    ) as queue:
        for at, first in enumerate(words[:3]):
            some = words[at::3]
            document = {
                **dict.fromkeys(("account", "from", "subject"), first),
                "to": [*some, *({"email": one, "name": one} for one in some)],
                "tags": [one[:64] for one in some],
                "metadata": {one[:60]: one[:500] for one in some},
                **{one: one for one in some},
            }
            queue.send_message(json.dumps(document))
    until = time.monotonic() + 30
    while len(mails := _failed(control)) < 3:
        assert time.monotonic() < until, f"{len(mails)} of 3"
        time.sleep(0.1)
    look = Lookout(page)
    shapes = set()

    for path in ("/mails", *(f"/mails/{mail['id']}" for mail in mails)):
        page.goto(f"{app}{path}")
        expect(page.locator("h1")).to_be_visible()
        assert page.locator("main img, main script, main b, main iframe").count() == 0
        assert page.evaluate(TOO_WIDE) == []
        look.check(path)
        shapes.add("".join(page.evaluate(LOOKS_LIKE)["head"]))
    assert len(shapes) == 1


def _failed(control: Control) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control.api("GET", "mails?status=failed&limit=100").json()[
        "mails"
    ]
    return found


def test_hostile_reasons_and_accounts_are_words_in_the_causes_and_on_the_way_through_them(
    narrow: Page, control: Control, signed_in_account: SignedIn
) -> None:
    app, page = control.stack.app_url, narrow
    reason = f'"><img src=x onerror="{RUN}">{{{{7*7}}}}'
    mail_id = control.send(**_OFFERS, subject="Failed", text="x")["id"]
    connection = control.stack.info["storage_connection_string"]
    storage = Storage(StorageSettings(connection_string=connection), None)
    partition, row = keys_of(mail_id)
    changed = {"status": "failed", "reason": reason, "help": reason, "request_id": reason}
    storage.table("mails").upsert("seeding", {"PartitionKey": partition, "RowKey": row, **changed})
    AttentionRows(lambda: storage.table("waiting")).open(
        AttentionItem(mail_id, Status.FAILED, reason, f"<b>{reason}")
    )
    storage.close()
    look = Lookout(page)

    for path in ("/mails", f"/mails/{mail_id}"):
        page.goto(f"{app}{path}")
        expect(page.get_by_text("{{7*7}}").first).to_be_visible()
        assert page.locator("main img, main b").count() == 0
        assert page.evaluate(TOO_WIDE) == []
    page.goto(f"{app}/mails")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#total")).to_have_text("1")
    expect(page.locator("#bulk code")).to_have_text(reason)
    assert page.locator("main img, main b").count() == 0
    look.check("causes")


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED.keys())
def test_words_that_could_end_a_line_are_refused_by_the_name_of_their_field(
    control: Control, signed_in_account: SignedIn, words: str
) -> None:
    for field, value in (
        ("subject", words),
        ("tags", [words]),
        ("metadata", {"note": words}),
        ("to", {"email": "ada@contoso.com", "name": words}),
        ("attachments", [{"filename": words, "content": "aGk="}]),
    ):
        answer = control.api("POST", "send", {**_OFFERS, "text": "x", field: value})
        assert answer.status_code in (400, 422), (field, answer.text)
        named = [one["field"].partition("[")[0] for one in answer.json().get("errors", ())]
        # Half a pair is refused before the fields are read: it is no text at all.
        assert named == [field] or (words == REFUSED["half a pair"] and not named), answer.text
