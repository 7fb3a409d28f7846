"""Postroom's sender: `Delivery` with the real Graph adapter, and what storage does in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bench.cpu import Sender
from bench.peers.driving import Job, drive
from bench.peers.letters import Letter, is_large
from bench.world import VERIFIED
from local import demo
from shared import bootstrap
from shared.mail.message import StoredFile
from shared.services.intake.mail_document import read_json
from shared.settings import load


class MemoryFiles:
    """Fulfils `mails.ports.Files`."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def head(self, container: str, name: str) -> StoredFile | None:
        """Nobody else changes a file here."""
        found = self._files.get(name)
        return None if found is None else StoredFile(container, name, len(found), "1")

    def keep(self, name: str, content: bytes) -> StoredFile:
        """See `Files`. One mail is measured at a time."""
        self._files = {name: content}
        return StoredFile("payloads", name, len(content), "1")

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """See `Files`."""
        content = self._files[file.name]
        for at in range(0, len(content), chunk_bytes):
            yield content[at : at + chunk_bytes]


def _opened(job: Job) -> Callable[[Letter], Callable[[], None]]:
    services = bootstrap.connected(load(os.environ))
    senders = {
        row.alias: Sender(services, row, MemoryFiles()) for row in services.adapters.accounts.all()
    }
    for account in services.adapters.accounts.all():
        services.tokens.access_token(account)

    def prepare(letter: Letter) -> Callable[[], None]:
        # An upload session needs Mail.ReadWrite; who has only Mail.Send sends by one request.
        sender = senders[VERIFIED if is_large(letter) else demo.ALIAS]
        mail_id = sender.accept(read_json(letter.document(), datetime.now(UTC)))
        return lambda: sender.deliver(mail_id)

    return prepare


if __name__ == "__main__":
    drive(_opened)
