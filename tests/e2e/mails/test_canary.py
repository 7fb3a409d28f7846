"""Nothing secret in what the app writes or answers, whatever goes wrong around it."""

from __future__ import annotations

import json

import pytest
import requests
from azure.storage.queue import QueueClient

from local import demo
from tests.canary import SECRET, leaks_in
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.e2e.mails.test_sending import listed

CANARIES: dict[str, object] = {
    "to": "CANARY-to@example.org",
    "subject": "CANARY-subject",
    "text": "CANARY-text",
    "tags": ["CANARY-tag"],
    "metadata": {"CANARY-name": "CANARY-value"},
    "headers": {"X-Canary": "CANARY-header"},
    "attachments": [{"filename": "CANARY.txt", "content": "Q0FOQVJZ"}],
}


def assert_nothing_leaked(control: Control) -> None:
    """The host's log holds what the app logged, and what the host says of its invocations."""
    log = control.stack.state_dir / "logs" / "host.log"
    assert leaks_in(log, [control.stack.function_key, control.stack.master_key]) == []


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"status": 400, "code": "ErrorInvalidRecipients", "message": "CANARY-to@example.org"},
        {"status": 500, "code": "CANARY of CANARY", "message": "CANARY"},
        {"action": "html", "status": 504},
        {"action": "reset"},
        {"status": 429, "code": "TooManyRequests"},
        {"status": 403, "code": "ErrorSendAsDenied", "message": "billing@contoso.com"},
    ],
    ids=lambda fault: str(fault.get("code", fault.get("action", "sent"))),
)
def test_a_mail_leaves_no_trace_of_its_content_in_the_log(
    control: Control, signed_in_account: SignedIn, fault: dict[str, object]
) -> None:
    if fault:
        control.fault("graph.send_mail", **fault)
    control.send(wait=3, **CANARIES)

    assert_nothing_leaked(control)


def test_a_refused_mail_is_not_quoted_in_the_answer_or_the_log(
    control: Control, signed_in_account: SignedIn
) -> None:
    bad = {
        **CANARIES,
        "to": ["CANARY", "CANARY@CANARY@x", "CANARY\r\nBcc: x@y.example"],
        "from": "CANARY@elsewhere.example",
        "subject": "CANARY\r\nX: y",
        "attachments": [{"filename": "CANARY/../x", "blob": "CANARY/CANARY"}],
        "scheduled_at": "2026-01-01T00:00:00",
    }

    answer = control.api("POST", "send", bad)
    unread = control.api("POST", "send", {**CANARIES, "attachments": [{"content": "CANARY!"}]})

    assert (answer.status_code, unread.status_code) == (422, 422)
    assert len(answer.json()["errors"]) >= 5
    assert not SECRET.search(answer.text + unread.text)
    assert_nothing_leaked(control)


def test_queue_messages_leave_no_trace_in_the_log(
    control: Control, signed_in_account: SignedIn
) -> None:
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox"
    ) as queue:
        queue.send_message("CANARY noise")
        queue.send_message(json.dumps({**CANARIES, "CANARY": 1}))
        queue.send_message(json.dumps(CANARIES))

        listed(control, 3)

    control.deliveries(1)
    assert_nothing_leaked(control)


def test_troubles_of_sign_in_and_tokens_leave_no_trace_in_the_log(control: Control) -> None:
    for fault in (
        {"where": "entra.token", "action": "aadsts", "code": 7000222},
        {"where": "entra.token", "action": "aadsts", "code": 50076},
        {"where": "entra.token", "action": "reset"},
        {"where": "key_vault.set_secret", "status": 403, "code": "Forbidden"},
        {"where": "graph.get_me", "status": 403, "code": "ErrorAccessDenied"},
    ):
        control.ask("DELETE", "faults")
        control.ask("POST", "faults", {"times": 4, **fault})
        with pytest.raises(demo.DemoError):
            demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    control.ask("DELETE", "faults")
    requests.post(
        f"{control.stack.app_url}/api/auth/callback",
        data={"state": "CANARY", "code": "CANARY", "client_info": "CANARY"},
        timeout=30,
    )

    assert control.accounts() == []
    assert_nothing_leaked(control)


def test_a_dead_grant_leaves_no_trace_in_the_log(
    control: Control, signed_in_account: SignedIn
) -> None:
    control.ask("POST", "revoke", {"mailbox": signed_in_account.address, "access_tokens": True})

    answer = control.send(wait=20, **CANARIES)

    assert answer["status"] == "held"
    assert_nothing_leaked(control)
