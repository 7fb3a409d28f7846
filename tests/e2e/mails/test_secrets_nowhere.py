"""A refresh token, a client secret, a certificate's key: in the vault, and in nothing else on disk."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import demo
from local.provision import CERTIFICATE_NAME, CLIENT_SECRET_NAME
from local.stack import Stack
from tests.e2e.control import Control
from tests.e2e.mails.test_sending import history

SECRETS = re.compile(
    rb"SIM(?:AT|RT|CODE|DC|CTX)\.[\w-]{4}|SIMSECRET~|SIMIDENTITY-|eyJ[\w-]{10,}\.eyJ|PRIVATE KEY"
)
DAY = 24 * 3600


@pytest.fixture(params=["secret", "certificate"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Control]:
    """A stack that writes down all it can: logs at DEBUG, Azurite's data on disk."""
    with Stack(
        tmp_path / "state",
        0,
        0,
        storage_dir=tmp_path / "azurite",
        settings={"POSTROOM_MAILS_PER_MINUTE": "0", "PYTHON_ENABLE_DEBUG_LOGGING": "1"},
        local_settings=False,
        credential=request.param,
    ) as stack:
        control = Control(stack)
        yield control
        control.close()


def forms_of(value: str) -> list[bytes]:
    """A secret as it is, and its middle in base64 at each of the three places it can begin."""
    middle = value[10:58].encode()
    return [value[:40].encode(), *(base64.b64encode(middle[at : at + 30]) for at in range(3))]


def written(control: Control, disk: Path) -> Iterator[tuple[str, bytes]]:
    """All that the app left: files, rows, messages, blobs, and what it answers."""
    for path in disk.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(disk)), path.read_bytes()
    connection = control.stack.info["storage_connection_string"]
    with TableServiceClient.from_connection_string(connection) as tables:
        for table in tables.list_tables():
            with tables.get_table_client(table.name) as client:
                for row in client.list_entities():
                    yield f"table {table.name}", repr(dict(row)).encode()
    with QueueServiceClient.from_connection_string(connection) as queues:
        for found in queues.list_queues():
            with queues.get_queue_client(found.name) as queue:
                for message in queue.peek_messages(32):
                    yield f"queue {found.name}", str(message.content).encode()
    with BlobServiceClient.from_connection_string(connection) as blobs:
        for place in blobs.list_containers():
            with blobs.get_container_client(place.name) as container:
                for blob in container.list_blobs():
                    yield f"blob {blob.name}", container.download_blob(blob.name).readall()
    for path_ in ("accounts", "mails", "health/details", "openapi.json"):
        yield f"answer {path_}", control.api("GET", path_).content


def grant_of(control: Control) -> tuple[str, str, dict[str, Any]]:
    (name,) = control.grants()
    document = control.secret(name)
    return name, str(document["value"]), document


def leaks(control: Control, tmp_path: Path, secrets: list[str]) -> list[str]:
    """Where something secret is found, outside the vault."""
    forms = [form for value in secrets for form in forms_of(value)]
    return [
        where
        for where, content in [
            *written(control, tmp_path / "azurite"),
            ("host.log", (tmp_path / "state" / "logs" / "host.log").read_bytes()),
        ]
        if SECRETS.search(content) or any(form in content for form in forms)
    ]


def test_what_is_secret_is_in_the_vault_alone_and_once_disconnected_nowhere(
    watched: Control, tmp_path: Path
) -> None:
    control = watched
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    ada = {"to": "ada@contoso.com", "text": "x"}
    assert control.send(wait=20, subject="with the first grant", **ada)["status"] == "sent"

    # Two days old, so that the next refresh writes the rotated grant back.
    name, first, _ = grant_of(control)
    control.ask("POST", "clock", {"offset_seconds": -2 * DAY})
    control.store(name, first)
    control.ask("POST", "clock", {"offset_seconds": 0})
    control.ask("POST", "expire-access-tokens", {"mailbox": demo.MAILBOX})
    again = control.send(wait=20, subject="with a rotated grant", **ada)
    history(control, again["id"], "sent")
    _, second, _ = grant_of(control)
    assert second != first

    # A refresh that fails, and ends the grant.
    control.ask("POST", "revoke", {"mailbox": demo.MAILBOX, "access_tokens": True})
    held = control.send(wait=20, subject="with a dead grant", **ada)
    history(control, held["id"], "held")

    kind = CERTIFICATE_NAME if CERTIFICATE_NAME in control.secret_names() else CLIENT_SECRET_NAME
    own = str(control.secret(kind)["value"])
    seen = dict.fromkeys(where for where, _ in written(control, tmp_path / "azurite"))

    assert leaks(control, tmp_path, [first, second, own]) == []
    assert {"table accounts", "table mails"} <= seen.keys()
    assert any("azurite" not in where and "__" in where for where in seen), list(seen)[:20]

    # A grant that lives goes out of the vault as well, and leaves nothing behind.
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    _, third, _ = grant_of(control)
    gone = control.api("DELETE", f"accounts/{demo.ALIAS}?waiting=cancel")
    assert (gone.status_code, gone.json()["done"]) == (200, True)

    assert not SECRETS.search(gone.content)
    assert leaks(control, tmp_path, [first, second, third, own]) == []
    assert control.accounts() == []
    assert control.grants() == []
    assert control.readable_versions(name) == []
