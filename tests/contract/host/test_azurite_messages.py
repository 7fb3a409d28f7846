"""What Azurite takes and cannot give out again: the stack says so instead of hanging.

Azure refuses such a message: 400, https://learn.microsoft.com/rest/api/storageservices/put-message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueSasPermissions, generate_queue_sas

from local import clear_queue, stack_files
from local.azurite import Azurite
from local.host.storage import StoredQueue
from tests.contract.host.conftest import listening_on
from tests.contract.host.driver import Host, until

KEY = {"account_name": "devstoreaccount1", "account_key": "eA=="}
WITHOUT_XML = b"<QueueMessage><MessageText>a\x01b</MessageText></QueueMessage>"


@pytest.fixture
def host(azurite: Azurite, queue: QueueClient, tmp_path: Path) -> Iterator[Host]:
    with Host(tmp_path, listening_on(azurite, str(queue.queue_name))) as running:
        yield running


def put(queue: QueueClient, body: bytes) -> int:
    """As a client does that writes the XML itself. Returns the status."""
    key = queue.credential.account_key
    allowed = QueueSasPermissions(add=True)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    signature = generate_queue_sas(
        str(queue.account_name), str(queue.queue_name), key, permission=allowed, expiry=soon
    )
    return requests.post(f"{queue.url}/messages?{signature}", data=body, timeout=5).status_code


def test_a_message_that_xml_cannot_carry_is_told_on_the_console_with_the_remedy(
    host: Host, queue: QueueClient, azurite: Azurite, tmp_path: Path
) -> None:
    assert put(queue, WITHOUT_XML) == 201

    until(lambda: host.said(f"queue {queue.queue_name}: Azurite answers 500 to a receive"))
    assert host.said(f"Clear the queue: python -m local.clear_queue {queue.queue_name}")

    stack = {"storage_connection_string": azurite.connection_string}
    stack_files.path(tmp_path).write_text(json.dumps(stack))
    assert clear_queue.main([str(queue.queue_name), "--state-dir", str(tmp_path)]) == 0
    queue.send_message("sound")
    until(lambda: [seen["body"] for seen in host.notes("work")] == ["sound"])


@pytest.mark.parametrize(
    ("url", "status", "code", "told"),
    [
        ("http://127.0.0.1:10001/devstoreaccount1/q", 500, "", True),
        ("http://127.0.0.1:10001/devstoreaccount1/q", 500, "InternalError", False),
        ("http://127.0.0.1:10001/devstoreaccount1/q", 503, "", False),
        ("https://a.queue.core.windows.net/q", 500, "", False),
    ],
)
def test_only_azurites_500_without_a_code_is_taken_for_such_a_message(
    url: str, status: int, code: str, told: bool
) -> None:
    queue = StoredQueue(QueueClient.from_queue_url(url, credential=KEY), lambda operation: None)
    error = HttpResponseError("no")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]

    assert queue.holds_what_azurite_cannot_give(error) is told


def test_without_a_stack_the_command_names_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clear_queue.main(["outbox", "--state-dir", str(tmp_path)]) == 1
    assert "--state-dir" in capsys.readouterr().err
