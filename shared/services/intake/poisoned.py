"""What becomes of a poisoned message that cannot be written down yet.

The host calls a function on a poison queue five times and then leaves the message lying until storage
drops it. So the third failure puts the message on the queue anew, where it counts from one again
(docs/decisions/0013-poisoned-messages-go-round.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from shared.services.intake.outbox_message import OutboxMessage, TriggerMessage, read
from shared.telemetry import event

GOES_ROUND_AT = 3
"""Attempts; a process that dies in one of the two that are left loses nothing yet."""


def record_poisoned(
    message: TriggerMessage,
    put_back: Callable[[str], None],
    write_down: Callable[[OutboxMessage], object],
) -> None:
    """Have a poisoned message written down, or put back after several failures of whatever kind.

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
