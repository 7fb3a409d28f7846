"""Queue messages in the forms that programs write them in, through a real queue and the host."""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.data.tables import TableClient
from azure.storage.queue import BinaryBase64EncodePolicy, QueueClient, TextBase64EncodePolicy
from playwright.sync_api import Page, expect

from shared.adapters.storage.mail_rows import keys_of
from shared.services.intake.outbox_message import wake_up_for
from tests.e2e.browser import open_session
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.message_forms import FORMS

PATIENCE = 30
ADA = "ada@contoso.com"
TEXT_FORMS = {name: form for name, form in FORMS.items() if form.is_text}
LONG_AGO = "2020-01-01T00:00:00.000000Z"


@contextmanager
def queue_of(control: Control, name: str = "outbox", **options: Any) -> Iterator[QueueClient]:
    """A queue as another application's storage client has it."""
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], name, **options
    ) as client:
        yield client


def once(found: Callable[[], list[Any]], count: int) -> list[Any]:
    """What was found, once there is so much of it."""
    until = time.monotonic() + PATIENCE
    while len(seen := found()) < count:
        assert time.monotonic() < until, f"{len(seen)} of {count}"
        time.sleep(0.1)
    return seen


def listed(control: Control, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control.api("GET", f"mails?limit=100&{query}").json()["mails"]
    return found


def mail_named(name: str, **fields: object) -> str:
    """A mail that says so much with letters beyond ASCII that its base64 differs in both alphabets."""
    document = {"to": [ADA], "subject": f"{name} ✓", "text": "???>>>~~~ÿÿÿ Grüße 😀", **fields}
    return json.dumps(document, ensure_ascii=False)


def test_a_mail_arrives_in_whatever_form_it_was_put_on_the_queue(
    control: Control, signed_in_account: SignedIn
) -> None:
    with queue_of(control) as queue:
        for name, form in TEXT_FORMS.items():
            queue.send_message(form.wrap(mail_named(name)).decode())

    delivered = control.deliveries(len(TEXT_FORMS))
    assert {one["subject"] for one in delivered} == {f"{name} ✓" for name in TEXT_FORMS}
    assert listed(control, "status=failed") == []


def test_the_storage_librarys_own_encodings_arrive(
    control: Control, signed_in_account: SignedIn
) -> None:
    with queue_of(control, message_encode_policy=TextBase64EncodePolicy()) as queue:
        queue.send_message(mail_named("text"))
        queue.send_message(FORMS["base64"].wrap(mail_named("text twice")).decode())
    with queue_of(control, message_encode_policy=BinaryBase64EncodePolicy()) as queue:
        queue.send_message(codecs.BOM_UTF8 + mail_named("bytes").encode())
        queue.send_message(mail_named("UTF-16").encode("utf-16"))
        queue.send_message(mail_named("UTF-16 BE").encode("utf-16-be"))

    delivered = control.deliveries(5)
    assert {one["subject"] for one in delivered} == {
        "text ✓",
        "text twice ✓",
        "bytes ✓",
        "UTF-16 ✓",
        "UTF-16 BE ✓",
    }


def test_a_bell_wakes_its_mail_in_whatever_form_it_comes_back(
    control: Control, signed_in_account: SignedIn
) -> None:
    """As when somebody moves messages from one queue to another with a tool that encodes them."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    connection = control.stack.info["storage_connection_string"]
    bells: dict[str, str] = {}
    for name in TEXT_FORMS:
        mail = control.send(to=ADA, subject=name, text="x", scheduled_at=later)
        bells[name] = wake_up_for(mail["id"])
        partition, row = keys_of(mail["id"])
        with TableClient.from_connection_string(connection, "mails") as table:
            table.update_entity({"PartitionKey": partition, "RowKey": row, "due_at": LONG_AGO})

    with queue_of(control) as queue:
        for name, form in TEXT_FORMS.items():
            queue.send_message(form.wrap(bells[name]).decode())

    delivered = control.deliveries(len(TEXT_FORMS))
    assert {one["subject"] for one in delivered} == set(TEXT_FORMS)


def test_the_poison_queue_is_read_in_every_form_too(
    control: Control, signed_in_account: SignedIn
) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    bells = {
        control.send(to=ADA, subject="Waits", text="x", scheduled_at=later)["id"]: TEXT_FORMS[name]
        for name in ("base64", "base64 of UTF-16 LE", "a JSON text")
    }
    with queue_of(control, "outbox-poison") as poison:
        for name, form in TEXT_FORMS.items():
            poison.send_message(form.wrap(mail_named(name)).decode())
        for mail_id, form in bells.items():
            poison.send_message(form.wrap(wake_up_for(mail_id)).decode())

    failed = once(lambda: listed(control, "status=failed"), len(TEXT_FORMS))
    assert {(mail["reason"], mail["subject"]) for mail in failed} == {
        ("poisoned", f"{name} ✓") for name in TEXT_FORMS
    }
    noted = once(
        lambda: [
            event
            for mail_id in bells
            for event in control.api("GET", f"mails/{mail_id}").json()["events"]
            if event.get("reason") == "poisoned"
        ],
        len(bells),
    )
    assert {event["status"] for event in noted} == {"scheduled"}
    assert control.deliveries() == []


def test_a_refused_message_is_read_on_its_page_and_saved_from_there(
    control: Control, signed_in_account: SignedIn, page: Page
) -> None:
    document = mail_named("Invoice 7", to=["Ada <ada@contoso.com>", "grace"], tags=["invoice"])
    written = FORMS["base64 of UTF-16 LE"].wrap(document).decode()
    with queue_of(control) as queue:
        queue.send_message(written)
    (mail,) = once(lambda: listed(control, "status=failed&tag=invoice"), 1)

    assert (mail["subject"], mail["recipients"]) == (
        "Invoice 7 ✓",
        ["Ada <ada@contoso.com>", "grace"],
    )
    raw = control.api("GET", mail["links"]["raw"].removeprefix("/api/"))
    assert (raw.status_code, raw.text) == (200, written)
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.headers["Content-Disposition"].startswith("attachment")
    assert raw.headers["X-Content-Type-Options"] == "nosniff"
    without_key = requests.get(f"{control.stack.app_url}{mail['links']['raw']}", timeout=PATIENCE)
    assert without_key.status_code == 401

    open_session(page, control.stack.app_url, control.stack.function_key)
    page.goto(f"{control.stack.app_url}/mails")
    row = page.locator(f"tr[data-id='{mail['id']}']")
    expect(row).to_contain_text("Ada <ada@contoso.com> and 1 more")
    row.get_by_role("link", name="Invoice 7 ✓").click()
    expect(page.locator("#step")).to_contain_text("put the message on the queue again")
    expect(page.locator("#raw-help")).to_contain_text("base64, in it UTF-16 (little-endian)")
    expect(page.locator("#raw")).to_have_text(document)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save the message as it came").click()
    assert saving.value.suggested_filename == f"{mail['id']}.txt"
    assert saving.value.path().read_text(encoding="utf-8") == written


@pytest.mark.parametrize(
    "path", ["mails/01890000-0000-7000-8000-000000000000/raw", "mails/nothing/raw"]
)
def test_a_mail_that_is_not_there_has_no_raw_text(control: Control, path: str) -> None:
    answer = control.api("GET", path)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_mail")
