"""docs/api.md can be followed on the local stack, as it is printed and from its beginning."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from local import demo
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

ROOT = Path(__file__).parents[3]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = [
    command.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", API, re.DOTALL)
    for command in re.split(r"\n(?=\$ )", block.strip())
    if command.startswith("$ curl")
]
(PYTHON,) = re.findall(r"```python\n(import requests.*?)```", API, re.DOTALL)


def scheduled(control: Control) -> str:
    """A mail that waits for its time."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    mail = {"to": "ada@contoso.com", "text": "Later.", "scheduled_at": tomorrow}
    return str(control.api("POST", "send", mail).json()["id"])


def reached_by(control: Control) -> str:
    """An account that may send as others."""
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS, shared=True)
    return ""


def refused(control: Control) -> str:
    """A queue message that did not become a mail."""
    with QueueClient.from_connection_string(
        control.stack.info["storage_connection_string"], "outbox"
    ) as queue:
        queue.send_message('{"to": ["Ada <ada@contoso.com>", "grace"], "subject": "Your invoice"}')
    until = time.monotonic() + 30
    while not (found := control.api("GET", "mails?status=failed").json()["mails"]):
        assert time.monotonic() < until, "the message was not dealt with"
        time.sleep(0.05)
    return str(found[0]["id"])


# What a command needs to be there, by what it calls; its answer where that is not 200.
NEEDS: list[tuple[str, str, Callable[[Control], str] | None]] = [
    ("mails/$ID/cancel", "200", scheduled),
    ("mails/$ID/raw", "200", refused),
    ("-X PATCH", "200", scheduled),
    # Their mails have to be failed, unknown or held: the answer says where this one stands.
    ("mails/$ID/retry", "409", scheduled),
    ("mails/$ID/resolve", "409", scheduled),
    ("mails/$ID/release", "409", scheduled),
    ("$APP/api/mails/$ID", "200", scheduled),
    ("@wrong.json", "422", None),
    ('"kind": "shared"', "201", reached_by),
    ("/api/send/check", "200", None),
    ("/api/send", "202", None),
]


def run(command: str, control: Control, folder: Path, mail_id: str) -> tuple[str, str]:
    """The status and the body that a command of the page is answered with."""
    result = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-c", command.replace("curl ", "curl -s -w '\\n%{http_code}' ", 1)],  # noqa: S607
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "APP": control.stack.app_url,
            "KEY": control.stack.function_key,
            "ID": mail_id,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, status = result.stdout.rpartition("\n")
    return status, body


@pytest.fixture
def folder(tmp_path: Path, control: Control) -> Path:
    """The files that the examples send."""
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "message.eml").write_bytes(b"To: ada@contoso.com\r\nSubject: Raw\r\n\r\nHello\r\n")
    (tmp_path / "wrong.json").write_text('{"to": ["nobody"], "text": "x"}')
    with BlobServiceClient.from_connection_string(
        control.stack.info["storage_connection_string"]
    ) as blobs:
        blobs.get_blob_client("attachments", "2026/drawings.zip").upload_blob(b"PK", overwrite=True)
    return tmp_path


def test_each_example_is_answered_as_the_page_says(
    control: Control, signed_in_account: SignedIn, folder: Path
) -> None:
    assert len(COMMANDS) >= 18
    for command in COMMANDS:
        status, needs = next(
            ((status, needs) for words, status, needs in NEEDS if words in command), ("200", None)
        )

        answered, body = run(command, control, folder, needs(control) if needs else "")

        assert answered == status, f"{command}\n{body}"

    bounced = [mail for mail in control.deliveries() if "Undeliverable" in mail["subject"]]
    assert bounced == []


def test_the_python_example_sends_and_shows_what_is_wrong(
    control: Control, signed_in_account: SignedIn
) -> None:
    names: dict[str, Any] = {"app": control.stack.app_url, "key": control.stack.function_key}
    exec(PYTHON, names)  # noqa: S102 - our own page

    assert control.deliveries(1)[0]["subject"] == "Your invoice"

    with pytest.raises(RuntimeError, match="idempotency_conflict"):
        exec(PYTHON.replace("It is due", "It was due"), names)  # noqa: S102


def test_each_example_of_a_mail_arrives_everywhere(
    control: Control, signed_in_account: SignedIn
) -> None:
    examples = re.findall(r"<!-- MailDocument -->\n```json\n(.*?)```", API, re.DOTALL)
    assert len(examples) == 2

    for example in examples:
        control.send(**json.loads(example))

    mails = control.deliveries(len(examples))
    assert sorted(len(mail["to"]) for mail in mails) == [1, 2]
    assert not [one for one in control.deliveries() if "Undeliverable" in one["subject"]]
