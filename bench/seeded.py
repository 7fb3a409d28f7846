"""Stacks whose ledgers hold more or fewer mails and which are the same otherwise."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import world
from local import demo
from local.stack import Stack
from shared.adapters.storage.mail_rows import to_row
from shared.mail import ids
from shared.mail.mail import Caller, Event, Mail, Payload
from shared.mail.status import Status
from tests.seeding import fill, keeping_still

DAYS = 30
"""Days that the mails are of, the last of them yesterday."""


@contextmanager
def stacks(sizes: tuple[int, ...], settings: Mapping[str, str]) -> Iterator[dict[int, Stack]]:
    """One stack for each size of ledger, all of them up, with the demonstration's mailbox."""
    with ExitStack() as every:
        yield {size: every.enter_context(_stack(size, settings)) for size in sizes}


@contextmanager
def _stack(mails: int, settings: Mapping[str, str]) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as name:
        directory = Path(name)
        storage = directory / "azurite"
        storage.mkdir()
        if mails:
            fill(storage, {"mails": _rows(mails)})
        stack = Stack(
            directory / "stack",
            0,
            0,
            storage_dir=storage,
            settings={**world.QUIET, **settings},
            local_settings=False,
        )
        with keeping_still(storage):
            stack.start()
        try:
            demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)
            yield stack
        finally:
            stack.stop()


def _rows(mails: int) -> list[Mapping[str, object]]:
    """As they came: the oldest first."""
    last = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    apart = timedelta(days=DAYS) / mails
    return [to_row(mail(last - at * apart, at)) for at in range(mails, 0, -1)]


def mail(when: datetime, at: int, inline: bytes | None = None) -> Mail:
    """One that was sent then, and what is kept of its payload."""
    return Mail(
        mail_id=ids.new_id(when, os.urandom),
        status=Status.SENT,
        accepted_at=when,
        updated_at=when,
        due_at=when,
        caller=Caller.HTTP,
        account=demo.ALIAS,
        recipients=(f"reader{at}@example.com",),
        recipient_count=1,
        subject=f"Number {at}",
        payload=Payload(inline=inline),
        events=(Event(when, Status.SENT, None),),
    )
