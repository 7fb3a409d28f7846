"""A mail as the ledger stores it, and how it goes from status to status."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from shared.discreet import Discreet
from shared.mail.delivery_mode import DeliveryMode
from shared.mail.status import SETTLED, WAITING, Status, may_follow

POISONED = "poisoned"
"""The reason of an event: the host gave up on a queue message."""

MOST_POISONED = 3
POISONED_WITHIN = timedelta(days=1)
"""A limit within a day only: a scheduled mail waits for months, and an outage from time to time
does not show that the mail is at fault."""

_WHOLE_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]{2,}")
_DONE = (Status.SENT, Status.CANCELLED)
"""The statuses of mails whose content is not needed any more."""

FINDING_OUT = "finding_out"
"""The reason of a mail that is `unknown` while Postroom still searches for it; `due_at` is then the
time of the next search."""

DAILY_CAP = "daily_cap"
"""The reason of a mail that is due on another day, because its mailbox has no slot left today."""

GRACE = timedelta(minutes=2)
"""A mail that is due and has waited this long has lost its wake-up."""

MAX_EVENTS = 40
"""How many events of a mail's history are stored: the first ones and the latest ones."""


class Caller(StrEnum):
    """How a mail came in."""

    HTTP = "http"
    QUEUE = "queue"


class Event(msgspec.Struct, frozen=True):
    """One event of a mail's history."""

    at: datetime
    status: Status
    reason: str | None = None


class Payload(Discreet, frozen=True):
    """The packed content of a mail: in the row (`inline`), in a blob, or in neither if it is
    deleted."""

    unshown: ClassVar = frozenset({"inline"})

    inline: bytes | None = None
    blob: str | None = None
    files: tuple[str, ...] = ()
    """Blobs of files that are too large to be packed with the rest."""

    @property
    def blobs(self) -> tuple[str, ...]:
        """Every blob of the mail in the container `payloads`."""
        return (*(() if self.blob is None else (self.blob,)), *self.files)


class Mail(msgspec.Struct, frozen=True):
    """One row of the ledger."""

    mail_id: str
    status: Status
    accepted_at: datetime
    updated_at: datetime
    due_at: datetime
    caller: Caller
    account: str | None
    """The account's alias. For a refused queue message: the alias that it names, if any."""
    account_id: str | None = None
    """The mailbox of the alias when the mail was accepted. No other mailbox may send the mail."""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    """All recipients, without their names where these are long. Of a rejected message, and in rows of
    earlier versions, there may be fewer than `recipient_count`."""
    recipient_count: int = 0
    former_recipients: tuple[str, ...] = ()
    """The recipients before a person sent the mail to others instead; shown like `recipients`."""
    subject: str = ""
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    size: int = 0
    """Bytes of the packed payload."""
    urgent: bool = False
    """Sent before other mails of its account (`importance: high`)."""
    attempts: int = 0
    lease_until: datetime | None = None
    lease_id: str | None = None
    """Random: identifies the worker that holds the lease."""
    delivery: DeliveryMode = DeliveryMode.DIRECT
    """The delivery mode. The claim sets it for good, because a grant can change after
    acceptance."""
    saves_copy: bool = True
    """Whether the caller allows a copy in Sent Items."""
    draft_id: str | None = None
    """The id of the finished draft of this mail. While it is set, no other draft is sent for this
    mail."""
    message_id: str | None = None
    """The Message-ID that Microsoft gave the draft, with its angle brackets. It is kept with the
    draft, and for a mail that was sent."""
    message_id_given: bool = False
    """Whether the caller gave the mail a Message-ID, in raw MIME: other messages may have the same.
    False for mails that earlier versions accepted."""
    search_count: int = 0
    """How many searches were made since the mail became `unknown`."""
    sent_at: datetime | None = None
    reason: str | None = None
    """Why it is held, unknown or failed: a stable code."""
    help: str | None = None
    """Who must do what about it."""
    request_id: str | None = None
    """Graph's request id of the last answer, for Microsoft's support."""
    idempotency_key: str | None = None
    document_hash: str | None = None
    payload: Payload = Payload()
    events: tuple[Event, ...] = ()

    def moved(
        self,
        status: Status,
        now: datetime,
        *,
        reason: str | None = None,
        help: str | None = None,  # noqa: A002 - the word callers see
        due_at: datetime | None = None,
        lease_until: datetime | None = None,
        lease_id: str | None = None,
        request_id: str | None = None,
        keep_draft: bool = False,
    ) -> Mail:
        """This mail in another status, with an event in its history.

        Raises ValueError for a move that the statuses do not allow. A mail that was sent or
        cancelled loses its payload. A mail that failed, or that a person sends again, gets a new
        draft: Graph would refuse the old one if it was sent after all. `keep_draft` is for a mail
        that a search found unsent.
        """
        if not may_follow(self.status, status):
            raise ValueError(f"a mail cannot go from {self.status} to {status}")
        keeps_draft = keep_draft or self._keeps_draft(status)
        return replace(
            self,
            status=status,
            updated_at=now,
            due_at=due_at or self.due_at,
            attempts=self._attempts_in(status),
            lease_until=lease_until,
            lease_id=lease_id,
            sent_at=now if status is Status.SENT else self.sent_at,
            reason=reason,
            help=help,
            request_id=request_id or self.request_id,
            draft_id=self.draft_id if keeps_draft else None,
            message_id=self.message_id if keeps_draft or status is Status.SENT else None,
            search_count=0,
            payload=replace(self.payload, inline=None) if status in _DONE else self.payload,
            events=_with(self.events, Event(now, status, reason)),
        )

    def _keeps_draft(self, status: Status) -> bool:
        again = self.status in (Status.UNKNOWN, Status.FAILED)
        return not again and status is not Status.FAILED and status not in _DONE

    def waits_its_turn(self, now: datetime) -> bool:
        """Whether it only waits for its slot at `due_at`. Urgent mail has no slot, and a mail that
        is tried again or was released has a reason for its wait."""
        return (
            self.status is Status.QUEUED
            and self.due_at > now
            and (self.reason == DAILY_CAP or (self.reason is None and not self.urgent))
        )

    @property
    def is_refused_message(self) -> bool:
        """Whether it is a queue message that did not become a mail. Its content is the raw text of
        the message, which cannot be sent. Every accepted mail has the hash of its document."""
        return self.caller is Caller.QUEUE and self.document_hash is None

    @property
    def finding_out(self) -> bool:
        """Whether it is `unknown` and Postroom still searches for it."""
        return self.status is Status.UNKNOWN and self.reason == FINDING_OUT

    @property
    def moves_on(self) -> bool:
        """Whether it will leave its status without a person."""
        return self.status in WAITING or self.finding_out

    def looked_for(
        self, now: datetime, next_look: datetime, search_count: int, help_text: str
    ) -> Mail:
        """This unknown mail after a search without a result. The search adds no event to the
        history."""
        return replace(
            self, updated_at=now, due_at=next_look, search_count=search_count, help=help_text
        )

    def given_up(self, now: datetime, reason: str, help_text: str) -> Mail:
        """This unknown mail after the last search. A person must decide now."""
        return replace(
            self,
            updated_at=now,
            reason=reason,
            help=help_text,
            events=_with(self.events, Event(now, self.status, reason)),
        )

    def _attempts_in(self, status: Status) -> int:
        """The attempts so far. The count starts again after a hold, because a hold is not the
        mail's fault."""
        if status is not Status.SENDING:
            return self.attempts
        return 1 if self.status in SETTLED else self.attempts + 1

    def noted(self, now: datetime, reason: str) -> Mail:
        """This mail in the same status, with an event in its history."""
        return replace(
            self, updated_at=now, events=_with(self.events, Event(now, self.status, reason))
        )

    def poisoned(self, now: datetime) -> Mail:
        """This mail after the host gave up on its wake-up.

        The usual cause is that storage was not available for some minutes, and the mail is not at
        fault. It keeps its status, and the timer enqueues another wake-up. If this happens several
        times within a day, the mail fails.
        """
        before = sum(
            event.reason == POISONED and now - event.at <= POISONED_WITHIN for event in self.events
        )
        if before + 1 >= MOST_POISONED:
            return self.moved(
                Status.FAILED,
                now,
                reason=POISONED,
                help="Postroom itself failed on this mail several times: see the logs of that "
                "time, then send it anew.",
            )
        return self.noted(now, POISONED)

    def put_off(self, until: datetime, now: datetime) -> Mail:
        """This mail with a later due time, because its mailbox has no slot for it before."""
        if self.status is Status.QUEUED:
            return replace(self, due_at=until, updated_at=now)
        return self.moved(Status.QUEUED, now, due_at=until)

    def capped(self, cap: int) -> Mail:
        """This mail with the help for a mail that waits for a day with a free slot."""
        return replace(
            self,
            reason=DAILY_CAP,
            help=f"When it was accepted, its mailbox had a cap of {cap} mails a day (UTC), and today's slots "
            f"were all taken. It is sent by itself on {self.due_at:%d %b %Y, %H:%M} UTC. To have it sent "
            "sooner, raise the cap on the account's page, then choose 'Send now' on its "
            "page.",
        )

    @property
    def next_check_at(self) -> datetime | None:
        """See `next_check_at`."""
        return next_check_at(
            self.status, self.reason, self.due_at, self.updated_at, self.lease_until
        )

    def lease_has_run_out(self, now: datetime) -> bool:
        """Whether a worker claimed it and has not reported within its lease."""
        return (
            self.status is Status.SENDING
            and self.lease_until is not None
            and self.lease_until <= now
        )


def next_check_at(
    status: Status,
    reason: str | None,
    due_at: datetime,
    updated_at: datetime,
    lease_until: datetime | None,
) -> datetime | None:
    """When the sweep must check a mail if nothing happens to it before; None if the mail waits for
    a person."""
    if status is Status.SENDING:
        return lease_until or updated_at
    if status is Status.HELD:
        return updated_at
    if status in WAITING or (status is Status.UNKNOWN and reason == FINDING_OUT):
        return max(due_at, updated_at) + GRACE
    return None


def _with(events: tuple[Event, ...], event: Event) -> tuple[Event, ...]:
    if len(events) < MAX_EVENTS:
        return (*events, event)
    return (*events[:10], *events[-(MAX_EVENTS - 11) :], event)


def address_in(recipient: str) -> str:
    """The address in a recipient as it is shown, in lower case and without the name."""
    return recipient.rpartition("<")[2].removesuffix(">").lower()


class MailFilter(msgspec.Struct, frozen=True):
    """Which mails a list shows. None, or no status, means all."""

    statuses: tuple[Status, ...] = ()
    account: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    recipient: str | None = None
    """An address or a part of one, in lower case. A whole address matches only itself."""
    reason: str | None = None

    @property
    def is_part_of_address(self) -> bool:
        """Whether the recipients of every mail must be compared."""
        return self.recipient is not None and not _WHOLE_ADDRESS.fullmatch(self.recipient)

    def finds(self, recipients: Iterable[str]) -> bool:
        """Whether one of the recipients matches."""
        wanted = self.recipient
        if wanted is None:
            return True
        if self.is_part_of_address:
            return any(wanted in recipient.lower() for recipient in recipients)
        return wanted in map(address_in, recipients)

    def admits(self, mail: Mail) -> bool:
        """Whether a mail has the tag and the recipient of this filter."""
        return (self.tag is None or self.tag in mail.tags) and self.finds(mail.recipients)


class MailPage(msgspec.Struct, frozen=True):
    """One page of a list, and the cursor of the next one."""

    mails: Sequence[Mail]
    cursor: str | None
    reached: datetime | None = None
    """How far back the search went. A page may hold few mails, or none, though there are more."""
