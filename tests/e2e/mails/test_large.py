"""Large files through the whole stack, from an account that may write drafts."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator

import pytest
import requests
from azure.storage.blob import ContainerClient

from local import demo
from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control

SIZE = 10 * 1024 * 1024
PATIENCE = 60


@pytest.fixture
def verified_account(control: Control) -> Iterator[SignedIn]:
    """billing@contoso.com, with Mail.ReadWrite."""
    demo.consent(control.stack.info, demo.MAILBOX, ("Mail.ReadWrite",))
    demo.sign_in(control.stack.info, demo.MAILBOX, demo.ALIAS)
    yield SignedIn(demo.ALIAS, demo.MAILBOX)
    control.ask("POST", "revoke", {"mailbox": demo.MAILBOX, "withdraw_consent": True})


@pytest.fixture
def container(control: Control) -> Iterator[ContainerClient]:
    """The container attachments as another application has it."""
    with ContainerClient.from_connection_string(
        control.stack.info["storage_connection_string"], "attachments"
    ) as client:
        yield client


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(SIZE)  # noqa: S311 - filler


def sent(control: Control, answer: requests.Response) -> None:
    """Wait until the mail is sent."""
    assert answer.status_code == 202, answer.text
    until = time.monotonic() + PATIENCE
    while True:
        mail = control.api("GET", f"mails/{answer.json()['id']}").json()
        if mail["status"] == "sent":
            return
        assert mail["status"] in ("queued", "sending"), mail
        assert time.monotonic() < until, mail["status"]
        time.sleep(0.1)


def arrived(control: Control) -> list[tuple[str, int, str]]:
    """Name, size and digest of the files of the one mail that was delivered."""
    (delivery,) = control.deliveries(1)
    return [(file["name"], file["size"], file["sha256"]) for file in delivery["attachments"]]


def test_a_file_from_storage_arrives_byte_for_byte(
    control: Control, verified_account: SignedIn, container: ContainerClient
) -> None:
    content = noise(1)
    container.upload_blob("2026/large ü.bin", content, overwrite=True)

    answer = control.api(
        "POST",
        "send",
        {
            "to": "ada@contoso.com",
            "subject": "From storage",
            "text": "Attached.",
            "attachments": [{"filename": "large.bin", "blob": "attachments/2026/large ü.bin"}],
        },
    )

    sent(control, answer)
    assert arrived(control) == [("large.bin", SIZE, hashlib.sha256(content).hexdigest())]


def test_an_uploaded_file_arrives_byte_for_byte_and_is_not_kept(
    control: Control, verified_account: SignedIn
) -> None:
    content = noise(2)
    info = control.stack.info

    answer = requests.post(
        f"{info['app_url']}/api/send",
        headers={"x-functions-key": info["function_key"]},
        data={
            "mail": json.dumps(
                {"to": "ada@contoso.com", "subject": "Upload", "text": "a", "html": "<p>b</p>"}
            )
        },
        files={"file": ("large.bin", content, "application/zip")},
        timeout=60,
    )

    sent(control, answer)
    assert arrived(control) == [("large.bin", SIZE, hashlib.sha256(content).hexdigest())]
    with ContainerClient.from_connection_string(
        info["storage_connection_string"], "payloads"
    ) as payloads:
        until = time.monotonic() + PATIENCE
        while left := list(payloads.list_blob_names()):
            assert time.monotonic() < until, left
            time.sleep(0.1)
