"""Delivers mails after the 202 (graph-mail.md 1.2): transport, Sent Items, Inboxes, reports.

Nothing here answers a request: an error becomes a report in the sender's Inbox. Later steps are
stored with their time by the simulator's clock; `settle` runs those that are due at each read.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from local.simulator.clock import Clock
from local.simulator.directory import Directory, User
from local.simulator.graph import ndr
from local.simulator.graph.items import (
    ITEM_CLASS,
    REPORTED_SEARCH_KEY,
    SEARCH_KEY,
    Address,
    Message,
    own_key,
    property_key,
)
from local.simulator.graph.mailbox import Mailbox
from local.simulator.graph.options import GraphOptions

DEFERRED_SEND_TIME = "SystemTime 0x3fef"
POLL_SECONDS = 0.02
"""Seconds between two checks of a waiting caller for steps that have become due."""


@dataclass(frozen=True)
class Letter:
    """One mail that arrived, as the inbox page shows it."""

    number: int
    time: datetime
    recipients: tuple[Address, ...]
    message: Message
    is_report: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Submission:
    """A submitted mail, and where its copies go."""

    mailbox: Mailbox
    message: Message
    save: bool
    copy_to: Mailbox | None = None
    """The shared mailbox that also keeps a copy [Set-Mailbox.md]."""


class Transport:
    """Takes submissions and delivers them. The caller's lock guards it."""

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        mailbox_of: Callable[[User], Mailbox],
        options: Callable[[], GraphOptions],
        lock: threading.RLock,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._mailbox_of = mailbox_of
        self._options = options
        self._changed = threading.Condition(lock)
        self._lock = lock
        self._due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = itertools.count()
        self._deliveries: list[dict[str, Any]] = []
        self._letters: list[Letter] = []

    def reset(self) -> None:
        with self._lock:
            self._due.clear()
            self._deliveries.clear()
            self._letters.clear()

    def submit(self, submission: Submission) -> None:
        """Take a mail: no request finds it from now on, and it is sent at its slot."""
        with self._lock:
            now, options = self._clock.now(), self._options()
            message = submission.message
            message.hidden = True
            message.properties[SEARCH_KEY] = base64.b64encode(message.search_key).decode()
            goes = max(_slot(submission.mailbox, now, options), _deferred_until(message, now))
            submission.mailbox.handed_over.append(goes)
            moves = max(goes, now + timedelta(seconds=options.sent_items_delay_seconds))
            self._at(goes, lambda when: self._transport(submission, when))
            self._at(moves, lambda when: self._move(submission, when))
            self.settle()

    def settle(self) -> None:
        """Run all steps that are due."""
        with self._lock:
            while self._due and self._due[0][0] <= self._clock.now():
                when, _, step = heapq.heappop(self._due)
                step(when)

    def deliveries(self) -> list[dict[str, Any]]:
        """Every mail handed to transport, in order."""
        with self._lock:
            self.settle()
            return list(self._deliveries)

    def letters(self) -> list[Letter]:
        """Every mail that arrived, reports included, in order."""
        with self._lock:
            self.settle()
            return list(self._letters)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait, in real time, until there are so many deliveries; False if the time ran out."""

        def enough() -> bool:
            self.settle()
            return len(self._deliveries) >= count

        deadline = time.monotonic() + seconds
        with self._changed:
            while not enough():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, POLL_SECONDS) if self._due else left)
        return True

    def _at(self, when: datetime, step: Callable[[datetime], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), step))
        self._changed.notify_all()

    def _transport(self, submission: Submission, when: datetime) -> None:
        """Steps 3, 5 and 6: deliver to the recipients that accept the mail, and bounce the
        others."""
        message = submission.message
        message.sent = when
        if self._over_daily_limit(submission.mailbox, message, when):
            bounces = [ndr.Bounce(one, "5.1.92") for one in message.recipients]
        else:
            bounces = self._refusals(submission.mailbox, message)
        refused = {one.recipient.key for one in bounces}
        taken = tuple(one for one in message.recipients if one.key not in refused)
        if taken:
            self._deliver(message, taken, when)
        self._deliveries.append(_record(submission, bounces, when))
        self._changed.notify_all()
        options = self._options()
        if bounces and options.ndr_to_sender:
            due = when + timedelta(seconds=options.ndr_delay_seconds)
            self._at(due, lambda then: self._report(submission, bounces, then))

    def _over_daily_limit(self, mailbox: Mailbox, message: Message, when: datetime) -> bool:
        """Recipients in a sliding day (graph-mail.md 4.4)."""
        limit = self._options().recipients_per_day
        sent = mailbox.recipients_sent
        while sent and sent[0][0] <= when - timedelta(days=1):
            sent.popleft()
        count = len(message.recipients)
        if limit is not None and sum(each for _, each in sent) + count > limit:
            return True
        sent.append((when, count))
        return False

    def _refusals(self, mailbox: Mailbox, message: Message) -> list[ndr.Bounce]:
        local = {user.address.rpartition("@")[2].lower() for user in self._directory}
        bounces = []
        for one in message.recipients:
            status = ndr.magic_status(one.address)
            domain = one.key.rpartition("@")[2]
            if status is None and domain in local and self._inbox_of(one) is None:
                status = "5.1.10"
            if status is not None:
                bounces.append(ndr.Bounce(one, status))
        return bounces

    def _inbox_of(self, recipient: Address) -> Mailbox | None:
        user = self._directory.find(recipient.address)
        return self._mailbox_of(user) if user and user.has_mailbox else None

    def _deliver(self, message: Message, recipients: tuple[Address, ...], when: datetime) -> None:
        """Deliver to Inboxes. Extended properties are dropped; `x-` headers stay (graph-mail.md
        3.1)."""
        seen = _as_received(message, when)
        inboxes = {box.id: box for one in recipients if (box := self._inbox_of(one))}
        for inbox in inboxes.values():
            inbox.add(seen.copied("inbox", when))
        self._letters.append(Letter(len(self._letters) + 1, when, recipients, seen))

    def _move(self, submission: Submission, when: datetime) -> None:
        """Step 4: move the copy to Sent Items under a new id, or remove it."""
        mailbox, message = submission.mailbox, submission.message
        mailbox.remove(message)
        copy = message.copied("sentitems", when)
        if self._options().immutable_id_kept:
            copy.immutable_id = message.immutable_id
        if submission.save:
            mailbox.add(copy)
        if submission.copy_to is not None:
            submission.copy_to.add(message.copied("sentitems", when))

    def _report(self, submission: Submission, bounces: list[ndr.Bounce], when: datetime) -> None:
        """Report to the mailbox that submitted; for Send As this is UNCONFIRMED (graph-mail.md
        6.1)."""
        mailbox = submission.mailbox
        domain = mailbox.owner.address.rpartition("@")[2]
        report = ndr.report(submission.message, bounces, domain, when)
        mailbox.add(report)
        number = len(self._letters) + 1
        self._letters.append(Letter(number, when, (mailbox.owner,), report, is_report=True))


def _slot(mailbox: Mailbox, now: datetime, options: GraphOptions) -> datetime:
    """When transport takes the next mail: mails over the limit are sent in a later minute."""
    limit = options.messages_per_minute
    before = mailbox.handed_over
    if limit is None or len(before) < limit:
        return now
    return max(now, before[-limit] + timedelta(minutes=1))


def _deferred_until(message: Message, now: datetime) -> datetime:
    """PidTagDeferredSendTime, UTC [MS-OXOMSG 2.2.3.4]; a value that is not a time is ignored."""
    for identifier, value in message.properties.items():
        if property_key(identifier) == property_key(DEFERRED_SEND_TIME):
            try:
                when = datetime.fromisoformat(value)
            except ValueError:
                return now
            return when if when.tzinfo else when.replace(tzinfo=now.tzinfo)
    return now


def _as_received(message: Message, when: datetime) -> Message:
    return replace(
        message,
        bcc=[],
        received=when,
        is_draft=False,
        is_read=False,
        hidden=False,
        categories=[],
        properties={ITEM_CLASS: "IPM.Note"},
    )


def _record(submission: Submission, bounces: list[ndr.Bounce], when: datetime) -> dict[str, Any]:
    """One line of GET /control/deliveries."""
    message = submission.message
    return {
        "time": when.isoformat().replace("+00:00", "Z"),
        "mailbox": submission.mailbox.owner.address,
        "from": message.from_.address if message.from_ else None,
        "sender": message.sender.address if message.sender else None,
        "to": [one.address for one in message.to],
        "cc": [one.address for one in message.cc],
        "bcc": [one.address for one in message.bcc],
        "reply_to": [one.address for one in message.reply_to],
        "subject": message.subject,
        "internet_message_id": message.internet_message_id,
        "key": own_key(message),
        "properties": {
            identifier: value
            for identifier, value in message.properties.items()
            if identifier not in (SEARCH_KEY, REPORTED_SEARCH_KEY)
        },
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "importance": message.importance,
        "size": message.size,
        "has_html": message.html is not None,
        "has_text": message.text is not None,
        "attachments": [
            {
                "kind": one.kind.removeprefix("#microsoft.graph."),
                "name": one.name,
                "content_type": one.content_type,
                "size": len(one.content),
                "sha256": one.sha256,
                "is_inline": one.is_inline,
                "content_id": one.content_id,
            }
            for one in message.attachments
        ],
        "saved_to_sent_items": submission.save,
        "bounces": [{"recipient": one.recipient.address, "status": one.status} for one in bounces],
    }
