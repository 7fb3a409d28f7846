"""Mails through the whole stack: HTTP and queue in, simulated Microsoft out."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from azure.storage.queue import QueueClient

from local import demo
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

PATIENCE = 30
ADA = "ada@contoso.com"


@pytest.fixture
def queue(control: Control) -> Iterator[QueueClient]:
    """The queue as another application's storage client has it."""
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox"
    ) as client:
        yield client


def history(control: Control, mail_id: str, *statuses: str) -> dict[str, Any]:
    """A mail, once it is in one of the statuses."""
    until = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = control.api("GET", f"mails/{mail_id}").json()
        if found["status"] in statuses:
            return found
        assert time.monotonic() < until, f"the mail is {found['status']}, not one of {statuses}"
        time.sleep(0.05)


def listed(control: Control, count: int, query: str = "") -> list[dict[str, Any]]:
    """The ledger's mails, once there are so many."""
    until = time.monotonic() + PATIENCE
    while True:
        found: list[dict[str, Any]] = control.api("GET", f"mails{query}").json()["mails"]
        if len(found) >= count:
            return found
        assert time.monotonic() < until, f"{len(found)} of {count} mails are in the ledger"
        time.sleep(0.05)


def test_a_mail_sent_by_http_arrives_and_tells_its_story(
    control: Control, signed_in_account: SignedIn
) -> None:
    answer = control.send(wait=20, to=f"Ada <{ADA}>", subject="Hello", text="Good day.")

    (delivery,) = control.deliveries(1)
    mail = control.api("GET", f"mails/{answer['id']}").json()
    assert answer["status"] == "sent"
    assert delivery["key"] == answer["id"]
    assert delivery["from"] == signed_in_account.address
    assert [event["status"] for event in mail["events"]] == ["queued", "sending", "sent"]
    assert mail["attempts"] == 1


@pytest.mark.parametrize("encode", [False, True], ids=["plain", "base64"])
def test_a_mail_dropped_on_the_queue_arrives(
    control: Control, signed_in_account: SignedIn, queue: QueueClient, encode: bool
) -> None:
    document = json.dumps({"to": [ADA], "subject": "Dropped", "html": "<p>ü</p>"})

    queue.send_message(base64.b64encode(document.encode()).decode() if encode else document)

    (delivery,) = control.deliveries(1)
    (mail,) = listed(control, 1, "?status=sent")
    assert delivery["subject"] == "Dropped"
    assert mail["caller"] == "queue"
    assert delivery["key"] == mail["id"]


def test_a_raw_message_arrives_as_it_was_written(
    control: Control, signed_in_account: SignedIn
) -> None:
    raw = (
        "From: billing@contoso.com\r\nTo: ada@contoso.com\r\nBcc: hidden@example.org\r\n"
        "Subject: Raw\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHi.\r\n"
    )

    answer = requests.post(
        f"{control.stack.app_url}/api/send?wait=20",
        headers={
            "x-functions-key": control.stack.function_key,
            "Content-Type": "message/rfc822",
        },
        data=raw.encode(),
        timeout=PATIENCE,
    )

    (delivery,) = control.deliveries(1)
    assert answer.json()["status"] == "sent"
    assert delivery["subject"] == "Raw"
    assert delivery["bcc"] == ["hidden@example.org"]


def test_a_form_with_files_arrives_with_its_attachments(
    control: Control, signed_in_account: SignedIn
) -> None:
    content = os.urandom(900_000)

    answer = requests.post(
        f"{control.stack.app_url}/api/send?wait=20",
        headers={"x-functions-key": control.stack.function_key},
        data={"mail": json.dumps({"to": ADA, "subject": "Files", "html": "<p>See.</p>"})},
        files={"one": ("Rechnung ü.pdf", content, "application/pdf")},
        timeout=PATIENCE,
    )

    (delivery,) = control.deliveries(1)
    assert answer.json()["status"] == "sent"
    assert delivery["attachments"][0]["name"] == "Rechnung ü.pdf"
    assert delivery["attachments"][0]["size"] == len(content)


def test_twenty_callers_with_one_key_send_one_mail(
    control: Control, signed_in_account: SignedIn
) -> None:
    mail = {"to": ADA, "subject": "Once", "text": "x"}

    with ThreadPoolExecutor(20) as callers:
        answers = list(
            callers.map(
                lambda _: control.api("POST", "send", mail, **{"Idempotency-Key": "invoice-7"}),
                range(20),
            )
        )

    ids = {answer.json()["id"] for answer in answers}
    history(control, ids.copy().pop(), "sent")
    assert [answer.status_code for answer in answers] == [202] * 20
    assert len(ids) == 1
    assert len(control.deliveries()) == 1
    assert len(listed(control, 1)) == 1


def test_twenty_callers_without_a_key_send_twenty_mails(
    control: Control, signed_in_account: SignedIn
) -> None:
    with ThreadPoolExecutor(20) as callers:
        ids = set(
            callers.map(lambda _: control.send(to=ADA, subject="Each", text="x")["id"], range(20))
        )

    delivered = control.deliveries(20)
    assert len(ids) == 20
    assert {delivery["key"] for delivery in delivered} == ids


def test_a_key_with_another_document_is_refused(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.api("POST", "send", {"to": ADA, "text": "1"}, **{"Idempotency-Key": "k"})

    answer = control.api("POST", "send", {"to": ADA, "text": "2"}, **{"Idempotency-Key": "k"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "idempotency_conflict"


def test_a_throttled_mail_goes_out_after_the_time_that_microsoft_asked_for(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.fault(
        "graph.send_mail", status=429, code="TooManyRequests", headers={"Retry-After": "2"}
    )
    began = time.monotonic()

    answer = control.send(to=ADA, subject="Later", text="x")

    mail = history(control, answer["id"], "sent")
    assert time.monotonic() - began >= 2
    assert mail["attempts"] == 2
    assert [event["status"] for event in mail["events"]] == [
        "queued",
        "sending",
        "queued",
        "sending",
        "sent",
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_mail_whose_answer_was_lost_is_unknown_and_never_sent_again(
    control: Control, signed_in_account: SignedIn, when: str
) -> None:
    control.fault("graph.send_mail", when=when, action="reset")

    answer = control.send(wait=20, to=ADA, subject="Lost", text="x")

    assert answer["status"] == "unknown"
    assert answer["reason"] == "answer_lost"
    assert "Sent" in answer["help"]
    assert len(control.deliveries()) == (1 if when == "after" else 0)


def test_mail_is_held_while_the_grant_is_dead_and_goes_when_the_mailbox_is_signed_in_again(
    control: Control, signed_in_account: SignedIn, queue: QueueClient
) -> None:
    control.ask("POST", "revoke", {"mailbox": signed_in_account.address})
    control.fault("graph.send_mail", status=401, code="InvalidAuthenticationToken")
    held = control.send(wait=20, to=ADA, subject="Held", text="x")
    queue.send_message(json.dumps({"to": ADA, "subject": "Held too", "text": "x"}))
    listed(control, 2, "?status=held")
    (account,) = control.accounts()
    refused = control.api("POST", "send", {"to": ADA, "text": "x"})
    assert control.deliveries() == []

    demo.sign_in(control.stack.info, signed_in_account.address, signed_in_account.alias)

    delivered = control.deliveries(2)
    assert held["status"] == "held"
    assert account["state"] == "needs-sign-in"
    assert account["reason"] == "AADSTS50173"
    assert refused.status_code == 409
    assert refused.json()["code"] == "account_needs_sign_in"
    assert {delivery["subject"] for delivery in delivered} == {"Held", "Held too"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"hello", "unreadable_message", id="text"),
        pytest.param(b'{"to": ', "invalid_json", id="broken-json"),
        pytest.param(b"[1, 2]", "unreadable_message", id="array"),
        pytest.param(base64.b64encode(b"\xff\xfe\x00{"), "unreadable_message", id="not-utf-8"),
        pytest.param(base64.b64encode(os.urandom(49_000)), "unreadable_message", id="noise"),
        pytest.param(b'{"to": "x", "colour": "red"}', "invalid_mail", id="unknown-field"),
        pytest.param(b'{"to": "a@b.example", "text": "x", "account": "no"}', "unknown_account"),
    ],
)
def test_a_queue_message_that_is_no_mail_is_written_down_as_failed(
    control: Control,
    signed_in_account: SignedIn,
    queue: QueueClient,
    body: bytes,
    reason: str,
) -> None:
    queue.send_message(body.decode("ascii"))

    (mail,) = listed(control, 1)
    assert (mail["status"], mail["reason"]) == ("failed", reason)
    assert mail["help"]
    assert control.deliveries() == []
    assert _messages_in(control, "outbox-poison") == 0


def test_what_the_host_gave_up_on_is_written_down(
    control: Control, signed_in_account: SignedIn
) -> None:
    document = json.dumps({"to": ADA, "subject": "Poisoned", "text": "x"})
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox-poison"
    ) as poison:
        poison.send_message(document)

        (mail,) = listed(control, 1)

    assert (mail["status"], mail["reason"]) == ("failed", "poisoned")
    assert control.deliveries() == []


def test_without_a_key_nobody_sends(control: Control, signed_in_account: SignedIn) -> None:
    answer = requests.post(
        f"{control.stack.app_url}/api/send", json={"to": ADA, "text": "x"}, timeout=PATIENCE
    )

    assert answer.status_code == 401


def test_a_chunked_body_is_refused_with_its_remedy(
    control: Control, signed_in_account: SignedIn
) -> None:
    host = urlsplit(control.stack.app_url).netloc
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    connection.request(
        "POST",
        "/api/send",
        body=iter([b'{"to": "ada@contoso.com", "text": "x"}']),
        headers={
            "x-functions-key": control.stack.function_key,
            "Content-Type": "application/json",
        },
        encode_chunked=True,
    )

    answer = connection.getresponse()

    document = json.loads(answer.read())
    connection.close()
    assert answer.status == 411
    assert document["code"] == "length_required"
    assert document["errors"][0]["field"] == "Content-Length"


def test_the_timer_rings_for_a_mail_whose_bell_was_lost(
    control: Control, signed_in_account: SignedIn, queue: QueueClient
) -> None:
    control.fault("graph.send_mail", status=423, code="ErrorLocked", headers={"Retry-After": "600"})
    answer = control.send(wait=3, to=ADA, subject="Forgotten", text="x")
    history(control, answer["id"], "queued")
    queue.clear_messages()
    _make_due(control, answer["id"])

    run = requests.post(
        f"{control.stack.app_url}/admin/functions/ring_again",
        headers={"x-functions-key": control.stack.master_key},
        json={},
        timeout=PATIENCE,
    )

    assert run.status_code == 202
    assert history(control, answer["id"], "sent")["attempts"] == 2


def test_health_names_every_dependency_and_account(
    control: Control, signed_in_account: SignedIn
) -> None:
    alive = requests.get(f"{control.stack.app_url}/api/health", timeout=PATIENCE)
    details = control.api("GET", "health/details")

    assert alive.json() == {"status": "ok"}
    assert details.status_code == 200
    assert {d["name"] for d in details.json()["dependencies"] if d["ok"]} == {
        "ledger",
        "waiting",
        "attachments",
        "queue",
        "payloads",
        "key_vault",
        "entra",
        "graph",
        "dns",
    }
    assert [account["alias"] for account in details.json()["accounts"]] == ["billing"]


def _messages_in(control: Control, name: str) -> int:
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], name
    ) as client:
        return len(client.peek_messages(max_messages=32))


LONG_AGO = "2020-01-01T00:00:00.000000Z"


def _make_due(control: Control, mail_id: str) -> None:
    """Let a mail have been due for years, and noted by the sweep."""
    from azure.data.tables import TableClient

    from shared.adapters.storage.mail_rows import keys_of

    partition, row = keys_of(mail_id)
    with TableClient.from_connection_string(
        control.stack.info["storage_connection_string"], "mails"
    ) as table:
        table.update_entity(
            {"PartitionKey": partition, "RowKey": row, "due_at": LONG_AGO, "updated_at": LONG_AGO}
        )
    with TableClient.from_connection_string(
        control.stack.info["storage_connection_string"], "waiting"
    ) as table:
        table.create_entity(
            {"PartitionKey": "time", "RowKey": f"{LONG_AGO}_{mail_id}", "noted_at": LONG_AGO}
        )


def test_callers_that_wait_leave_threads_to_deliver_what_they_wait_for(
    control: Control, signed_in_account: SignedIn
) -> None:
    with ThreadPoolExecutor(40) as callers:
        answers = list(callers.map(lambda _: control.send(wait=20, to=ADA, text="x"), range(40)))

    assert len(control.deliveries(40)) == 40
    assert "sent" in {answer["status"] for answer in answers}


def test_mail_for_a_replaced_mailbox_fails_and_the_new_one_goes_on(
    control: Control, signed_in_account: SignedIn
) -> None:
    scheduled = control.send(
        to=ADA,
        subject="Meant for billing",
        text="x",
        scheduled_at=(datetime.now(UTC) + timedelta(seconds=4)).isoformat(),
    )
    demo.sign_in(control.stack.info, ADA, signed_in_account.alias, replace=True)

    after = control.send(wait=20, to=ADA, subject="From the new one", text="x")

    mail = history(control, scheduled["id"], "failed")
    (delivery,) = control.deliveries(1)
    assert mail["reason"] == "mailbox_replaced"
    assert after["status"] == "sent"
    assert delivery["from"] == ADA
    assert control.accounts()[0]["state"] == "ready"
