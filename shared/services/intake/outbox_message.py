"""Queue messages as the trigger gives them, and the wake-up that names a mail of the ledger.

`message_text` reads the messages of callers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from shared.errors import RemoteRefused
from shared.telemetry import event

LONGEST_DELAY = 6.9 * 24 * 3600
"""Seconds: the storage queue hides a message for seven days at most."""


class OutboxMessage(msgspec.Struct, frozen=True):
    """A storage message."""

    message_id: str
    inserted_at: datetime
    body: bytes


class TriggerMessage(Protocol):
    """The message of the queue trigger (`azure.functions.QueueMessage`)."""

    @property
    def id(self) -> str | None:
        """The storage message's id, the same at each delivery."""
        ...

    @property
    def insertion_time(self) -> datetime | None:
        """When it was added to the queue; the same at each delivery."""
        ...

    @property
    def dequeue_count(self) -> int | None:
        """How often it was delivered, including this time."""
        ...

    def get_body(self) -> bytes:
        """The text of the message."""
        ...


def read(message: TriggerMessage) -> OutboxMessage:
    """Read a trigger's message. Raises RemoteRefused if the host left out its id or its insertion
    time: a second delivery is recognised by them."""
    if not message.id or message.insertion_time is None:
        raise RemoteRefused("storage", "the queue message came without id or insertion time")
    return OutboxMessage(message.id, message.insertion_time, message.get_body())


class WakeUpMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Tells a worker to look at a mail. It holds only the mail's id, so it does no harm if it comes
    twice, late, or from somebody else."""

    postroom: Literal["bell"]
    mail_id: str


_decoder = msgspec.json.Decoder(WakeUpMessage)


def wake_up_for(mail_id: str) -> str:
    """The text of the wake-up for a mail."""
    return msgspec.json.encode(WakeUpMessage("bell", mail_id)).decode()


def mail_id_in(document: bytes) -> str | None:
    """The id in a wake-up; None if the document is not a wake-up."""
    if b'"postroom"' not in document[:64]:
        return None
    try:
        return _decoder.decode(document).mail_id
    except msgspec.DecodeError:
        return None


GOES_ROUND_AT = 3
"""The number of attempts. If a process dies in one of the two that are left, nothing is lost."""


def record_poisoned(
    message: TriggerMessage,
    put_back: Callable[[str], None],
    write_down: Callable[[OutboxMessage], object],
) -> None:
    """Record a poisoned message, or put it on its queue again.

    The host calls a function on a poison queue five times, and then leaves the message there until
    storage deletes it. The third failure therefore puts the message on the queue again, where its
    count begins at one (docs/decisions/0013-poisoned-messages-go-round.md). `put_back` must work
    without Postroom's settings, because they may be the cause.
    """
    try:
        write_down(read(message))
    except Exception as error:
        if (message.dequeue_count or 0) < GOES_ROUND_AT:
            raise
        # The trigger may give the text as bytes.
        put_back(message.get_body().decode(errors="replace"))
        event("burial_put_off", level=logging.ERROR, kind=type(error).__name__)
