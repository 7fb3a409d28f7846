"""Queue messages: what the trigger hands over, and the wake-up that names a mail of the ledger.

What a message of a caller's holds is read by `message_text`.
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
    """A storage message as it came."""

    message_id: str
    inserted_at: datetime
    body: bytes


class TriggerMessage(Protocol):
    """What the queue trigger hands over (`azure.functions.QueueMessage`)."""

    @property
    def id(self) -> str | None:
        """The storage message's id, the same at each delivery."""
        ...

    @property
    def insertion_time(self) -> datetime | None:
        """When it was put on the queue, the same at each delivery."""
        ...

    @property
    def dequeue_count(self) -> int | None:
        """How often it was handed over, this time included."""
        ...

    def get_body(self) -> bytes:
        """The text of the message."""
        ...


def read(message: TriggerMessage) -> OutboxMessage:
    """Unpack a trigger's message. Raises RemoteRefused where the host left out its identity: the
    id and the insertion time are what a redelivery is recognised by."""
    if not message.id or message.insertion_time is None:
        raise RemoteRefused("storage", "the queue message came without id or insertion time")
    return OutboxMessage(message.id, message.insertion_time, message.get_body())


class WakeUpMessage(msgspec.Struct, forbid_unknown_fields=True):
    """Wakes a worker for a mail. It holds nothing but the mail's id, so that one that comes twice,
    late or from a stranger does no harm."""

    postroom: Literal["bell"]
    mail_id: str


_decoder = msgspec.json.Decoder(WakeUpMessage)


def wake_up_for(mail_id: str) -> str:
    """The text of the wake-up for a mail."""
    return msgspec.json.encode(WakeUpMessage("bell", mail_id)).decode()


def mail_id_in(document: bytes) -> str | None:
    """The id in a wake-up, or None if the document is no wake-up."""
    if b'"postroom"' not in document[:64]:
        return None
    try:
        return _decoder.decode(document).mail_id
    except msgspec.DecodeError:
        return None


GOES_ROUND_AT = 3
"""Attempts; a process that dies in one of the two that are left loses nothing yet."""


def record_poisoned(
    message: TriggerMessage,
    put_back: Callable[[str], None],
    write_down: Callable[[OutboxMessage], object],
) -> None:
    """Have a message that the host gave up on written down, or put it back.

    The host calls a function on a poison queue five times and then leaves the message there until
    storage deletes it. The third failure therefore puts the message on the queue again, where the
    count begins at one (docs/decisions/0013-poisoned-messages-go-round.md).

    `put_back` must work without Postroom's settings, for they may be what is wrong.
    """
    try:
        write_down(read(message))
    except Exception as error:
        if (message.dequeue_count or 0) < GOES_ROUND_AT:
            raise
        # A queue message is text, whatever the trigger makes of it.
        put_back(message.get_body().decode(errors="replace"))
        event("burial_put_off", level=logging.ERROR, kind=type(error).__name__)
