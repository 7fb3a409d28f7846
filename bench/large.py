"""A file of 150 MB from storage to Graph: what it takes in memory, and how long against a bare loop."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from azure.storage.blob import BlobClient, BlobServiceClient

from bench import world
from bench.paired import Pair, alternate
from local import demo
from local.stack import Stack
from shared.composition.services import Services
from shared.mail.limits import CHUNK_BYTES, MAX_FILE_BYTES
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.intake.mail_document import read_json

MEMORY_BUDGET = 32 * 1024 * 1024
TIME_BUDGET = 1.2

_SIZE_OF_MAIL = 210 * 1024 * 1024
_CONTAINER, _NAME = "attachments", "bench/large.bin"
_LIMITS = {
    "message_size_limit": _SIZE_OF_MAIL,
    "upload_bytes_per_window": 10**12,
    "requests_per_window": 10**9,
}
_DRAFT = {
    "subject": "Large",
    "toRecipients": [{"emailAddress": {"address": "ada@contoso.com"}}],
    "body": {"contentType": "text", "content": "-"},
}


@dataclass(frozen=True)
class Large:
    """Bytes of memory beside what is there already, and seconds."""

    size: int
    peak: int
    wall: Pair


def measure(*, quick: bool) -> Large:
    """Deliver the file, again and again, by turns with the bare loop."""
    with world.signed_in(consented=("Mail.ReadWrite",)) as stack:
        world.change_simulator(stack, "options", _LIMITS)
        _put(stack)
        settings = {"POSTROOM_MAX_MAIL_BYTES": str(_SIZE_OF_MAIL), "POSTROOM_MAILS_PER_MINUTE": "0"}
        with world.services(stack, **settings) as services, _loop(stack, services) as bare:

            def deliver() -> float:
                return _delivered(services)

            wall = alternate(deliver, bare, 2 if quick else 4, warm_up=1)
            tracemalloc.start()
            try:
                _delivered(services)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        return Large(MAX_FILE_BYTES, peak, wall)


def _put(stack: Stack) -> None:
    storage = stack.info["storage_connection_string"]
    with BlobServiceClient.from_connection_string(storage) as service:
        service.get_blob_client(_CONTAINER, _NAME).upload_blob(bytes(MAX_FILE_BYTES))


def _delivered(services: Services) -> float:
    """Seconds that one delivery takes; accepting the mail is not part of it."""
    file = {"filename": "large.bin", "blob": f"{_CONTAINER}/{_NAME}"}
    document = {"to": "ada@contoso.com", "subject": "Large", "text": "-", "attachments": [file]}
    order = read_json(json.dumps(document).encode(), services.clock())
    mail_id = services.submission.accept(order).mail.mail_id
    began = time.perf_counter()
    result = services.delivery.deliver(mail_id)
    seconds = time.perf_counter() - began
    if result is not DeliveryResult.SENT:
        raise RuntimeError(f"the large mail was not sent: {result}")
    return seconds


@contextmanager
def _loop(stack: Stack, services: Services) -> Iterator[Callable[[], float]]:
    """What somebody would write who needs nothing else: a draft, a session, a piece from storage
    and a piece to Graph until all is there, send."""
    (account,) = [
        row for row in services.adapters.accounts.all(fresh=True) if row.alias == demo.ALIAS
    ]
    blob = BlobClient.from_connection_string(
        stack.info["storage_connection_string"],
        _CONTAINER,
        _NAME,
        max_single_get_size=CHUNK_BYTES,
        max_chunk_get_size=CHUNK_BYTES,
    )
    with blob, requests.Session() as session:
        session.trust_env = False
        session.verify = str(stack.info["ca_file"])
        base = f"{stack.info['graph_url']}/me/messages"

        def call(method: str, url: str, document: object = None) -> Any:
            token = services.tokens.access_token(account)
            answer = session.request(
                method, url, json=document, headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
            answer.raise_for_status()
            return answer.json() if answer.content else None

        def carry() -> float:
            began, at = time.perf_counter(), 0
            draft = call("POST", base, _DRAFT)["id"]
            item = {"attachmentType": "file", "name": "large.bin", "size": MAX_FILE_BYTES}
            opened = call(
                "POST", f"{base}/{draft}/attachments/createUploadSession", {"AttachmentItem": item}
            )
            for chunk in blob.download_blob().chunks():
                last = at + len(chunk) - 1
                headers = {
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"bytes {at}-{last}/{MAX_FILE_BYTES}",
                }
                answer = session.put(opened["uploadUrl"], data=chunk, headers=headers, timeout=60)
                answer.raise_for_status()
                at = last + 1
            call("POST", f"{base}/{draft}/send")
            return time.perf_counter() - began

        yield carry
