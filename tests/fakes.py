"""The adapters in memory, with a clock that is moved by hand, and the app's services over them.

Each call can be made to fail before or after its effect: `services.faults.before("ledger.update",
NotSent(...))`.
"""

from __future__ import annotations

import base64
import email
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import azure.functions as func
from azure.functions.queue import QueueMessage
from msgspec.structs import replace

from shared.composition.services import Services
from shared.errors import (
    AlreadyExists,
    AnswerLost,
    FileChanged,
    LostRace,
    NotSent,
    RemoteRefused,
)
from shared.mail import ids
from shared.mail.account import Account, AccountKind
from shared.mail.account_list import AccountList, with_holders
from shared.mail.backoff import RetryLimit
from shared.mail.graph_payload import TRIAL_PROPERTY
from shared.mail.key_names import KEY_HEADER, KEY_PROPERTY
from shared.mail.mail import Caller, Mail, MailFilter, MailPage
from shared.mail.message import StoredFile
from shared.mail.message_ids import mail_id_in
from shared.mail.outcome import Copy, GraphAnswer, Sought
from shared.mail.pace import Pace, Timetable
from shared.mail.status import Status
from shared.services.accounts.ports import (
    AccountsSnapshot,
    CheckRecord,
    DisconnectedMailbox,
    Profile,
)
from shared.services.delivery.delivery import Delivery
from shared.services.delivery.delivery_result import DeliveryResult
from shared.services.delivery.ports import AttachedFile, DraftAnswer, Found, MarkedDraft
from shared.services.intake.mail_document import Order, read_json
from shared.services.intake.outbox_message import OutboxMessage, wake_up_for
from shared.services.intake.ports import KeyClaim
from shared.services.intake.submission import Receipt
from shared.services.mails.changes import Changes
from shared.services.mails.packing import unpack
from shared.services.mails.ports import (
    AttentionItem,
    Hour,
    MailSummary,
    Span,
    Versioned,
    WaitingPage,
)
from shared.services.sign_in.ports import CredentialVersion, Destruction, Grant
from shared.services.upkeep.ports import (
    Entry,
    HeldMark,
    Remembered,
    SettledMail,
    SettledPage,
    WaitingSnapshot,
    Watermark,
)
from shared.settings import Settings, StorageSettings
from tests.unit.sign_in_fakes import CLIENT, FakeFlows, FakeIdentity, FakeVault

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
TENANT = "11111111-1111-4111-8111-111111111111"

LOST = AnswerLost("storage", "storage did not answer")
NOT_REACHED = NotSent("storage", "storage was not reached")


class Crash(BaseException):
    """The process dies here. Nothing but the test catches it."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


Trouble = BaseException | Callable[[], object]


class Faults:
    """What goes wrong, and when: keyed by call and its number, counted from the arrangement on."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._planned: dict[tuple[str, str, int], Trouble] = {}
        self._always: dict[str, Trouble] = {}
        self._lock = threading.Lock()

    def before(self, call: str, trouble: Trouble, *, nth: int = 1) -> None:
        """Raise (or call) `trouble` before the nth coming `call` takes effect."""
        self._planned["before", call, self.calls[call] + nth] = trouble

    def after(self, call: str, trouble: Trouble, *, nth: int = 1) -> None:
        """Raise (or call) `trouble` once the nth coming `call` has taken effect."""
        self._planned["after", call, self.calls[call] + nth] = trouble

    def always(self, call: str, trouble: Trouble | None) -> None:
        """Raise `trouble` before every `call`, until None is given."""
        if trouble is None:
            self._always.pop(call, None)
        else:
            self._always[call] = trouble

    def forget(self) -> None:
        """From here on nothing goes wrong."""
        self._planned.clear()
        self._always.clear()

    @contextmanager
    def around(self, call: str) -> Iterator[None]:
        """Stands around the effect of one call."""
        with self._lock:
            self.calls[call] += 1
            number = self.calls[call]
        self._strike(self._always.get(call))
        self._strike(self._planned.pop(("before", call, number), None))
        yield
        self._strike(self._planned.pop(("after", call, number), None))

    @staticmethod
    def _strike(trouble: Trouble | None) -> None:
        if isinstance(trouble, BaseException):
            raise trouble
        if trouble is not None:
            trouble()


class MemoryLedger:
    """Fulfils `mails.ports.Ledger`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._lock = threading.RLock()
        self._rows: dict[str, Versioned] = {}
        self._writes = 0

    def insert(self, mail: Mail) -> str:
        with self._faults.around("ledger.insert"), self._lock:
            if mail.mail_id in self._rows:
                raise AlreadyExists("writing a new mail: it is there already")
            return self._put(mail)

    def get(self, mail_id: str) -> Versioned | None:
        with self._faults.around("ledger.get"), self._lock:
            return self._rows.get(mail_id)

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        with self._faults.around("ledger.update"), self._lock:
            found = self._rows.get(mail.mail_id)
            if found is None or found.etag != etag:
                raise LostRace("changing a mail: it was changed or removed meanwhile")
            if mail.payload.inline is not None and not new_payload:
                mail = replace(mail, payload=found.mail.payload)
            return self._put(mail)

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        with self._faults.around("ledger.page"), self._lock:
            last = _read_cursor(cursor)
            matching = [
                replace(row.mail, payload=replace(row.mail.payload, inline=None))
                for mail_id, row in sorted(self._rows.items(), reverse=True)
                if (last is None or mail_id < last) and _matches(row.mail, wanted)
            ]
        page = matching[:size]
        more = len(matching) > size
        return MailPage(page, _cursor(page[-1].mail_id) if more else None)

    def summary(self, mail_id: str) -> MailSummary | None:
        with self._faults.around("ledger.summary"), self._lock:
            found = self._rows.get(mail_id)
            return _glimpse(found.mail) if found else None

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        with self._faults.around("ledger.waiting"), self._lock:
            found = [
                _glimpse(row.mail)
                for mail_id, row in sorted(self._rows.items(), reverse=True)
                if (cursor is None or mail_id < cursor) and _is_of(row.mail, span, held_for)
            ]
        page = found[:most]
        return WaitingPage(page, page[-1].mail_id if len(found) > most else None)

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        with self._faults.around("ledger.settled"), self._lock:
            found = [
                SettledMail(mail_id, row.mail.status, row.mail.payload.blobs, row.etag)
                for mail_id, row in sorted(self._rows.items())
                if row.mail.status in statuses
                and since <= row.mail.updated_at < before
                and (cursor is None or mail_id > cursor)
            ]
        return SettledPage(found[:3], found[2].mail_id if len(found) > 3 else None)

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        with self._faults.around("ledger.remove"), self._lock:
            gone = [
                mail
                for mail in mails
                if mail.mail_id in self._rows and self._rows[mail.mail_id].etag == mail.etag
            ]
            for mail in gone:
                del self._rows[mail.mail_id]
            return gone

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        counts = Counter(
            mail.status for mail in self.mails if since <= ids.time_of(mail.mail_id) < until
        )
        return Hour(since, counts)

    @property
    def mails(self) -> list[Mail]:
        """All of them, oldest first, without counting as a call."""
        return [row.mail for _, row in sorted(self._rows.items())]

    def mail(self, mail_id: str) -> Mail:
        """One of them, without counting as a call."""
        return self._rows[mail_id].mail

    def overwrite(self, mail: Mail) -> None:
        """Write past every condition, as a person with a storage explorer could."""
        with self._lock:
            self._put(mail)

    def _put(self, mail: Mail) -> str:
        self._writes += 1
        etag = f'W/"{self._writes}"'
        self._rows[mail.mail_id] = Versioned(mail, etag)
        return etag


def _glimpse(mail: Mail) -> MailSummary:
    return MailSummary(mail.mail_id, mail.status, mail.account, mail.next_check_at)


def _is_of(mail: Mail, span: Span, held_for: str | None) -> bool:
    made = ids.time_of(mail.mail_id)
    if mail.next_check_at is None or made < _milliseconds(span.since):
        return False
    if held_for is not None:
        return mail.status is Status.HELD and mail.account == held_for
    return made < _milliseconds(span.before) or span.after < mail.next_check_at <= span.until


def _milliseconds(moment: datetime) -> datetime:
    return ids.time_of(ids.new_id(moment, bytes))


class MemoryWaiting:
    """Fulfils `upkeep.ports.Waiting`."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self._lock = threading.RLock()
        self._writes = 0
        self._looks: dict[tuple[datetime, str], Entry] = {}
        self._held: dict[tuple[str, str], Entry] = {}
        self._marks: dict[str, HeldMark] = {}
        self.watermark: Watermark | None = None
        self.bookmarks: dict[str, str | None] = {}

    def note(self, mail_id: str, due_at: datetime) -> None:
        with self._faults.around("waiting.note"), self._lock:
            self._look(mail_id, due_at)

    def note_all(self, search_count: Mapping[str, datetime]) -> None:
        # Its transactions are single steps, and the process may die between them.
        for mail_id, due_at in search_count.items():
            with self._faults.around("waiting.note_all"), self._lock:
                self._look(mail_id, due_at)

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        if not mail_ids:
            return
        with self._faults.around("waiting.mark"), self._lock:
            self._marks[alias] = HeldMark(alias, self._clock(), self._etag())
        for mail_id in mail_ids:
            with self._faults.around("waiting.hold_all"), self._lock:
                self._held[alias, mail_id] = Entry(
                    mail_id, self._clock(), self._etag(), held_for=alias
                )

    def snapshot(self, now: datetime, most: int) -> WaitingSnapshot:
        with self._faults.around("waiting.snapshot"), self._lock:
            due = [entry for key, entry in sorted(self._looks.items()) if key[0] <= now]
            marks = [mark for _, mark in sorted(self._marks.items())]
            return WaitingSnapshot(self.watermark, marks, due[:most])

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        with self._faults.around("waiting.of_account"), self._lock:
            return [entry for key, entry in sorted(self._held.items()) if key[0] == alias][:most]

    def drop(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            with self._faults.around("waiting.drop"), self._lock:
                rows: dict[Any, Entry] = self._held if entry.due_at is None else self._looks
                key = (entry.held_for or entry.due_at, entry.mail_id)
                if key in rows and rows[key].etag == entry.etag:
                    del rows[key]

    def unmark(self, mark: HeldMark) -> None:
        with self._faults.around("waiting.unmark"), self._lock:
            if self._marks.get(mark.alias) == mark:
                del self._marks[mark.alias]

    def advance(self, watermark: Watermark) -> Watermark:
        with self._faults.around("waiting.advance"), self._lock:
            if (self.watermark.etag if self.watermark else None) != watermark.etag:
                raise LostRace("moving the watermark: another sweep was first")
            self.watermark = replace(watermark, etag=self._etag())
            return self.watermark

    def mail_ids(self) -> Iterator[str]:
        with self._faults.around("waiting.mail_ids"), self._lock:
            return iter([key[1] for key in (*self._looks, *self._held)])

    def bookmark(self, name: str) -> str | None:
        with self._faults.around("waiting.bookmark"):
            return self.bookmarks.get(name)

    def set_bookmark(self, name: str, place: str | None) -> None:
        with self._faults.around("waiting.set_bookmark"):
            self.bookmarks[name] = place

    @property
    def noted(self) -> set[str]:
        """Every mail that a sweep can find here, without counting as a call."""
        led_to = {mail_id for alias, mail_id in self._held if alias in self._marks}
        return {mail_id for _, mail_id in self._looks} | led_to

    def _look(self, mail_id: str, due_at: datetime) -> None:
        self._looks[due_at, mail_id] = Entry(mail_id, self._clock(), self._etag(), due_at=due_at)

    def _etag(self) -> str:
        self._writes += 1
        return f'W/"{self._writes}"'


def _matches(mail: Mail, wanted: MailFilter) -> bool:
    return (
        (not wanted.statuses or mail.status in wanted.statuses)
        and wanted.account in (None, mail.account)
        and wanted.reason in (None, mail.reason)
        and wanted.admits(mail)
        and (wanted.since is None or mail.accepted_at >= wanted.since)
        and (wanted.until is None or mail.accepted_at < wanted.until)
    )


def _cursor(mail_id: str) -> str:
    return base64.urlsafe_b64encode(mail_id.encode()).decode()


def _read_cursor(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    return base64.urlsafe_b64decode(cursor.encode("ascii")).decode()


class MemoryAttentionIndex:
    """Fulfils `mails.ports.AttentionIndex`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._open: dict[tuple[str, Status], AttentionItem] = {}

    def open(self, case: AttentionItem) -> None:
        with self._faults.around("attention.open"):
            self._open[case.mail_id, case.status] = case

    def close(self, mail_id: str, status: Status) -> None:
        with self._faults.around("attention.close"):
            self._open.pop((mail_id, status), None)

    def newest(self, most: int) -> Sequence[AttentionItem]:
        with self._faults.around("attention.newest"):
            return [case for _, case in sorted(self._open.items(), reverse=True)][:most]


class MemoryPayloads:
    """Fulfils `mails.ports.Payloads`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.blobs: dict[str, bytes] = {}
        self.written_at: dict[str, datetime] = {}

    def put(self, name: str, content: bytes) -> None:
        with self._faults.around("payloads.put"):
            self.blobs.setdefault(name, content)

    def get(self, name: str) -> bytes:
        with self._faults.around("payloads.get"):
            if name not in self.blobs:
                raise RemoteRefused("storage", "the payload is gone")
            return self.blobs[name]

    def delete(self, name: str) -> None:
        with self._faults.around("payloads.delete"):
            self.blobs.pop(name, None)

    def older_than(self, moment: datetime) -> Iterator[str]:
        with self._faults.around("payloads.older_than"):
            # What a test has not dated is as old as can be.
            return iter([n for n in sorted(self.blobs) if self.written_at.get(n, NOW) < moment])


class MemoryFiles:
    """Fulfils `mails.ports.Files`: container `payloads` is that of the payloads."""

    def __init__(self, faults: Faults, payloads: MemoryPayloads) -> None:
        self._faults = faults
        self.blobs = {"attachments": dict[str, bytes](), "payloads": payloads.blobs}
        self.read: list[int] = []
        """Bytes of each chunk that was given out."""

    def head(self, container: str, name: str) -> StoredFile | None:
        with self._faults.around("files.head"):
            return self._stored(container, name)

    def keep(self, name: str, content: bytes) -> StoredFile:
        with self._faults.around("files.keep"):
            self.blobs["payloads"].setdefault(name, content)
            found = self._stored("payloads", name)
            assert found is not None
            return found

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        for start in range(0, file.size, chunk_bytes):
            with self._faults.around("files.chunk"):
                found = self._stored(file.container, file.name)
                if found != file:
                    raise FileChanged(gone=found is None)
                chunk = self.blobs[file.container][file.name][start : start + chunk_bytes]
                self.read.append(len(chunk))
            yield chunk

    def _stored(self, container: str, name: str) -> StoredFile | None:
        content = self.blobs[container].get(name)
        if content is None:
            return None
        return StoredFile(container, name, len(content), hashlib.sha256(content).hexdigest())


class MemoryKeys:
    """Fulfils `intake.ports.IdempotencyKeys`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self.claims: dict[str, KeyClaim] = {}

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        with self._faults.around("keys.claim"), self._lock:
            holder = self.claims.get(key)
            if holder is None or not holder.holds_at(claim.claimed_at):
                self.claims[key] = holder = claim
            return holder

    def find(self, key: str) -> KeyClaim | None:
        with self._faults.around("keys.find"), self._lock:
            return self.claims.get(key)

    def forget_expired(self, now: datetime, most: int) -> int:
        with self._faults.around("keys.forget_expired"), self._lock:
            old = [k for k, c in self.claims.items() if now - c.claimed_at > timedelta(hours=25)]
            for key in old:
                del self.claims[key]
            return len(old)


@dataclass(frozen=True)
class WakeUp:
    """One message on the queue."""

    mail_id: str
    after_seconds: float
    visible_at: datetime


class MemoryWakeUps:
    """Fulfils `intake.ports.WakeUps`."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self.enqueued: list[WakeUp] = []

    def enqueue(self, mail_id: str, after_seconds: float = 0) -> None:
        with self._faults.around("wake_ups.enqueue"):
            # The storage queue refuses a longer delay.
            if not 0 <= after_seconds <= 7 * 24 * 3600:
                raise RemoteRefused("storage", "ringing: storage answered 400")
            visible_at = self._clock() + timedelta(seconds=after_seconds)
            self.enqueued.append(WakeUp(mail_id, after_seconds, visible_at))

    def take_due(self) -> list[WakeUp]:
        """Remove and return what a worker would see now."""
        due = [ring for ring in self.enqueued if ring.visible_at <= self._clock()]
        self.enqueued = [ring for ring in self.enqueued if ring not in due]
        return due


class MemoryAccounts:
    """Fulfils `accounts.ports.Accounts`. What is cached grows old until someone asks for fresh rows."""

    def __init__(self, faults: Faults, *accounts: Account) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self._writes = 0
        self.rows: dict[str, Account] = {}
        self.disconnected: dict[str, DisconnectedMailbox] = {}
        for account in accounts:
            self.put(account)
        self._cached: AccountList | None = with_holders(self.rows.values())

    def all(self, *, fresh: bool = False) -> AccountList:
        with self._faults.around("accounts.fresh" if fresh else "accounts.all"), self._lock:
            if fresh or self._cached is None:
                self._cached = with_holders(self.rows.values())
            return self._cached

    def save(self, account: Account) -> Account:
        with self._faults.around("accounts.save"), self._lock:
            found = self.rows.get(account.alias)
            if (found.etag if found else None) != account.etag:
                raise LostRace("changing an account: it was changed or removed meanwhile")
            self._cached = None
            return self.put(account)

    def snapshot(self) -> AccountsSnapshot:
        with self._faults.around("accounts.snapshot"), self._lock:
            rows = with_holders(self.rows.values())
            return AccountsSnapshot(rows, self._version(), tuple(self.disconnected.values()))

    def register(self, account: Account, snapshot: AccountsSnapshot, *beside: Account) -> Account:
        with self._faults.around("accounts.register"), self._lock:
            if snapshot.version != self._version():
                raise LostRace("enrolling an account: another was enrolled meanwhile")
            self._cached = None
            for other in beside:
                self.put(other)
            return self.put(account)

    def _version(self) -> str:
        return f"r{self._writes}"

    def remove_account(
        self, account: Account, snapshot: AccountsSnapshot, new_default: str | None, now: datetime
    ) -> None:
        with self._faults.around("accounts.remove_account"), self._lock:
            found = self.rows.get(account.alias)
            if found is None or found.etag != account.etag or snapshot.version != self._version():
                raise LostRace("the accounts were changed meanwhile")
            del self.rows[account.alias]
            self.disconnected[account.alias] = DisconnectedMailbox.of(account, now)
            self._cached = None
            self._writes += 1
            if new_default is not None:
                self.put(replace(self.rows[new_default], is_default=True))

    def put(self, account: Account) -> Account:
        """Write as another instance would: what is cached here does not know of it."""
        self._writes += 1
        stored = replace(account, etag=f'W/"{self._writes}"')
        self.rows[account.alias] = stored
        return stored

    def remember(self, *accounts: Account) -> None:
        """Let the cache be as old as these rows."""
        self._cached = AccountList(accounts)

    def change(self, alias: str, **changes: object) -> Account:
        """Change a row as another instance would."""
        return self.put(replace(self.rows[alias], **changes))


class MemoryTokens:
    """Fulfils `accounts.ports.Tokens`; a new token after each one that was forgotten."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.forgotten: list[str] = []
        self.asked: list[Account] = []
        self.renewed: list[Account] = []
        self.granted: dict[str, frozenset[str]] = {}
        """What a new token holds, by alias; else what the account was set up with."""

    def access_token(self, account: Account) -> str:
        self.asked.append(account)
        with self._faults.around("tokens.access_token"):
            return f"token-{account.alias}-{len(self.forgotten) + 1}"

    def forget(self, account: Account, access_token: str) -> None:
        with self._faults.around("tokens.forget"):
            self.forgotten.append(access_token)

    @property
    def renewed_last(self) -> str:
        """The alias of the account whose token was asked for last."""
        return self.renewed[-1].alias

    def renew(self, account: Account) -> Grant:
        self.renewed.append(account)
        with self._faults.around("tokens.renew"):
            token = f"token-{account.alias}-{len(self.forgotten) + 1}"
            return Grant(token, None, self.granted.get(account.alias, account.scopes), 3600, None)


@dataclass(frozen=True)
class Post:
    """One request that reached Graph."""

    token: str
    content_type: str
    body: bytes
    mailbox: str = "/me"

    @property
    def mail_id(self) -> str:
        """The key that it carries."""
        if self.content_type == "application/json":
            (prop,) = self.message["singleValueExtendedProperties"]
            assert prop["id"] == KEY_PROPERTY
            return str(prop["value"])
        raw = base64.b64decode(self.body, validate=True)
        return str(email.message_from_bytes(raw)[KEY_HEADER])

    @property
    def message(self) -> dict[str, list[dict[str, object]]]:
        """The `message` of a JSON request."""
        found: dict[str, list[dict[str, object]]] = json.loads(self.body)["message"]
        return found


Answer = GraphAnswer | BaseException | Callable[[], GraphAnswer]
ACCEPTED = GraphAnswer(202, request_id="req-1")


class MemoryGraph:
    """Fulfils `delivery.ports.MailService`. Gives `default` where no other answer is waiting."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._lock = threading.Lock()
        self.answers: list[Answer] = []
        self.default: Answer = ACCEPTED
        self.profiles: dict[str, Profile] = {}
        self.posts: list[Post] = []

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        with self._faults.around("graph.send_mail"):
            with self._lock:
                self.posts.append(Post(access_token, content_type, body, mailbox))
                answer: Answer = self.answers.pop(0) if self.answers else self.default
            if isinstance(answer, BaseException):
                raise answer
            return answer if isinstance(answer, GraphAnswer) else answer()

    def me(self, access_token: str) -> Profile:
        return self.user(access_token, "/me")

    def user(self, access_token: str, mailbox: str) -> Profile:
        with self._faults.around("graph.user"):
            return self.profiles.get(mailbox, Profile("oid", "billing@contoso.com", "Billing"))


@dataclass
class Letter:
    """One message in the mailbox behind `MemoryDrafts`."""

    draft_id: str
    content_type: str
    body: bytes
    created_at: datetime
    key: str | None = None
    """What it shows as its key."""
    is_draft: bool = True
    visible: bool = True
    """Whether lists show it, once it is sent."""
    message_id: str | None = None
    source_key: str | None = None
    """The mail that its source tells, where it shows no key."""
    sent_at: datetime | None = None
    files: list[bytes] = field(default_factory=list)

    @property
    def is_trial(self) -> bool:
        """Whether a check made it."""
        return TRIAL_PROPERTY.encode() in self.body


class MemoryDrafts:
    """Fulfils `delivery.ports.Drafts`: a mailbox. Answers of `answers[call]` come before the real one, and
    then nothing is done."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock
        self.answers: dict[str, list[GraphAnswer]] = {}
        self.letters: list[Letter] = []
        self.sends: list[str] = []
        """The draft of every request to send, in order."""
        self.sent: list[Letter] = []
        """What went out."""
        self.removed: list[str] = []
        self.asked: list[tuple[str, str]] = []
        """Each call, and the mailbox it was for."""
        self._drafts_made = 0
        self.keeps_header = True
        """Whether the mailbox knows the name of our header in MIME, and keeps it."""
        self.renames: Literal["draft", "send"] | None = None
        """Where MIME gets another Message-ID than its own."""

    def create(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> DraftAnswer:
        with self._at("create", mailbox):
            answer = self._planned("create")
            if answer is not None:
                return DraftAnswer(answer)
            self._drafts_made += 1
            letter = self._made(f"draft-{self._drafts_made}", content_type, body)
            self.letters.append(letter)
            return DraftAnswer(GraphAnswer(201), letter.draft_id, letter.message_id)

    def _made(self, draft_id: str, content_type: str, body: bytes) -> Letter:
        now = self._clock()
        exchanges = f"<{draft_id}@prod.outlook.com>"
        if content_type == "application/json":
            key = _key_in(body)
            return Letter(draft_id, content_type, body, now, key, message_id=exchanges)
        head = email.message_from_bytes(base64.b64decode(body, validate=True))
        key = str(head[KEY_HEADER])
        return Letter(
            draft_id,
            content_type,
            body,
            now,
            key if self.keeps_header else None,
            message_id=exchanges if self.renames == "draft" else str(head["Message-ID"]),
            source_key=key,
        )

    def attach(self, access_token: str, mailbox: str, draft_id: str, body: bytes) -> GraphAnswer:
        with self._at("attach", mailbox):
            answer = self._planned("attach")
            if answer is None:
                content = base64.b64decode(json.loads(body)["contentBytes"])
                self._draft(draft_id).files.append(content)
            return answer or GraphAnswer(201)

    def upload(
        self,
        access_token: str,
        mailbox: str,
        draft_id: str,
        session: bytes,
        file: AttachedFile,
        keep_alive: Callable[[], None],
    ) -> GraphAnswer:
        with self._at("upload", mailbox):
            answer = self._planned("upload")
            if answer is not None:
                return answer
            content = b""
            for chunk in file.chunks(1_000_000):
                keep_alive()
                content += chunk
                with self._faults.around("drafts.chunk"):
                    pass
            self._draft(draft_id).files.append(content)
            return GraphAnswer(201)

    def send(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        with self._at("send", mailbox):
            self.sends.append(draft_id)
            answer = self._planned("send")
            if answer is not None:
                return answer
            letter = next((one for one in self.letters if one.draft_id == draft_id), None)
            if letter is None or not letter.is_draft:
                return GraphAnswer(404, "ErrorItemNotFound")
            letter.is_draft = False
            letter.sent_at = self._clock()
            if self.renames == "send" and letter.content_type == "text/plain":
                letter.message_id = f"<sent-{draft_id}@prod.outlook.com>"
            self.sent.append(letter)
            return ACCEPTED

    def find(self, access_token: str, mailbox: str, sought: Sought) -> Found:
        with self._at("find", mailbox):
            answer = self._planned("find")
            copies = [
                Copy(
                    one.draft_id if one.is_draft else f"sent-{one.draft_id}",
                    one.is_draft,
                    one.key or _key_of_source(one, sought),
                    one.sent_at,
                )
                for one in self.letters
                if one.visible
                and (
                    one.key == sought.key
                    or (sought.message_id is not None and one.message_id == sought.message_id)
                    or (one.is_draft and one.draft_id == sought.draft_id)
                )
            ]
            return Found(answer) if answer else Found(GraphAnswer(200), copies)

    def trials(self, access_token: str, mailbox: str) -> Found:
        with self._faults.around("drafts.trials"):
            copies = [Copy(one.draft_id, one.is_draft) for one in self.letters if one.is_trial]
            return Found(GraphAnswer(200), copies)

    def marked(
        self, access_token: str, mailbox: str, before: datetime, since: datetime | None = None
    ) -> Sequence[MarkedDraft]:
        with self._at("marked", mailbox):
            return [
                MarkedDraft(one.draft_id, key, one.created_at)
                for one in self.letters
                if one.is_draft
                and (key := one.key or one.source_key)
                and one.created_at < before
                and (since is None or one.created_at >= since)
            ]

    def remove(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        with self._at("remove", mailbox):
            answer = self._planned("remove")
            there = [one.is_draft for one in self.letters if one.draft_id == draft_id]
            # Sending gives a message another id.
            if there == [False] or (answer is None and not there):
                return GraphAnswer(404, "ErrorItemNotFound")
            if answer is None:
                self.removed.append(draft_id)
                self.letters = [one for one in self.letters if one.draft_id != draft_id]
            return answer or GraphAnswer(204)

    @contextmanager
    def _at(self, call: str, mailbox: str) -> Iterator[None]:
        self.asked.append((call, mailbox))
        with self._faults.around(f"drafts.{call}"):
            yield

    def _planned(self, call: str) -> GraphAnswer | None:
        waiting = self.answers.get(call, [])
        return waiting.pop(0) if waiting else None

    def _draft(self, draft_id: str) -> Letter:
        return next(one for one in self.letters if one.draft_id == draft_id)


def _key_of_source(letter: Letter, sought: Sought) -> str | None:
    """The key that a look finds in a source where Exchange has dropped the header: that of the
    Message-ID which Postroom gave and Exchange kept, at least as the original one."""
    if sought.is_told_by_message_id or letter.source_key is None or letter.is_draft:
        return None
    head = email.message_from_bytes(base64.b64decode(letter.body))
    return mail_id_in(head["Message-ID"])


def _key_in(body: bytes) -> str | None:
    """The key that a JSON body carries; MIME carries none as a property."""
    try:
        (prop,) = json.loads(body)["singleValueExtendedProperties"]
    except ValueError:
        return None
    if prop["id"] == TRIAL_PROPERTY:
        return None
    assert prop["id"] == KEY_PROPERTY
    return str(prop["value"])


@dataclass
class FreeClaim:
    """Fulfils `sending.Claim` for a mail that nobody else wants."""

    mail: Mail
    ours: bool = True
    renewals: int = 0

    def still_ours(self) -> bool:
        return self.ours

    def renew(self) -> None:
        self.renewals += 1

    def keep_draft(self, draft_id: str, message_id: str | None) -> None:
        self.mail = replace(self.mail, draft_id=draft_id, message_id=message_id)


def mail_of(mail_id: str, **changes: object) -> Mail:
    """A mail that a worker has claimed."""
    mail = Mail(
        mail_id=mail_id,
        status=Status.SENDING,
        accepted_at=NOW,
        updated_at=NOW,
        due_at=NOW,
        caller=Caller.HTTP,
        account="billing",
        lease_until=NOW + timedelta(seconds=300),
    )
    return replace(mail, **changes)


def account_of(alias: str = "billing", **changes: object) -> Account:
    """A signed-in work account."""
    account = Account(
        alias=alias,
        account_id=f"id-{alias}",
        tenant_id=TENANT,
        object_id=f"oid-{alias}",
        address=f"{alias}@contoso.com",
        display_name=alias.title(),
        kind=AccountKind.WORK,
        authority=TENANT,
        scopes=frozenset({"Mail.Send", "User.Read"}),
        signed_in_at=NOW - timedelta(days=30),
    )
    return replace(account, **changes)


def document_of(**fields: object) -> dict[str, object]:
    """A small mail as callers write it."""
    return {"to": "Ada <ada@example.com>", "subject": "Your invoice", "text": "Hello", **fields}


def queue_message(
    body: bytes,
    message_id: str | None = "message-1",
    inserted_at: datetime | None = NOW,
    *,
    dequeue_count: int = 1,
) -> func.QueueMessage:
    """A message as the queue trigger hands it over."""
    return QueueMessage(  # type: ignore[no-untyped-call]
        id=message_id, body=body, insertion_time=inserted_at, dequeue_count=dequeue_count
    )


def order_of(**fields: object) -> Order:
    """A small order."""
    return read_json(json.dumps(document_of(**fields)).encode(), NOW)


class MemoryTimetables:
    """Fulfils `delivery.ports.Timetables`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.rows: dict[str, tuple[Timetable, str]] = {}
        self._writes = 0

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        with self._faults.around("timetables.read"):
            return self.rows.get(account_id, (Timetable(), None))

    def forget(self, account_id: str) -> None:
        with self._faults.around("timetables.forget"):
            self.rows.pop(account_id, None)

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        with self._faults.around("timetables.write"):
            if self.rows.get(account_id, (None, None))[1] != etag:
                raise LostRace("another instance was first")
            self._writes += 1
            self.rows[account_id] = timetable, f"t{self._writes}"
            return f"t{self._writes}"


class MemoryChecks:
    """Fulfils `accounts.ports.Checks`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._writes = 0
        self.rows: dict[str, CheckRecord] = {}

    def find(self, account_id: str) -> CheckRecord | None:
        with self._faults.around("checks.find"):
            return self.rows.get(account_id)

    def all(self) -> Sequence[CheckRecord]:
        with self._faults.around("checks.all"):
            return list(self.rows.values())

    def save(self, record: CheckRecord) -> CheckRecord:
        with self._faults.around("checks.save"):
            found = self.rows.get(record.check.account_id)
            if (found.etag if found else None) != record.etag:
                raise LostRace("another check was first")
            self._writes += 1
            stored = replace(record, etag=f"c{self._writes}")
            self.rows[record.check.account_id] = stored
            return stored

    def remove(self, account_id: str) -> None:
        with self._faults.around("checks.remove"):
            self.rows.pop(account_id, None)


class MemoryShredder:
    """Fulfils `sign_in.ports.Shredder`: the names of secrets that are there."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.names: set[str] = set()
        self.done = Destruction(purged=True)

    def destroy(self, name: str) -> Destruction:
        with self._faults.around("vault.destroy"):
            self.names.discard(name)
            return self.done


class MemoryOfWatch:
    """Fulfils `upkeep.ports.WatchMemory`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._writes = 0
        self.remembered = Remembered()

    def recall(self) -> Remembered:
        with self._faults.around("memory.recall"):
            return self.remembered

    def remember(self, remembered: Remembered) -> Remembered:
        with self._faults.around("memory.remember"):
            if remembered.etag != self.remembered.etag:
                raise LostRace("another run was first")
            self._writes += 1
            self.remembered = replace(remembered, etag=f"w{self._writes}")
            return self.remembered


@dataclass
class FakeCredential:
    """What proves the app: one client secret, as long as a test does not say otherwise."""

    versions: list[CredentialVersion] = field(
        default_factory=lambda: [
            CredentialVersion(
                "secret", "0f3c9a1b", True, True, NOW + timedelta(days=180), in_use=True
            )
        ]
    )
    trouble: Exception | None = None

    def describe(self) -> Sequence[CredentialVersion]:
        if self.trouble:
            raise self.trouble
        return self.versions


class MemoryHours:
    """Fulfils `mails.ports.Hours`."""

    def __init__(self) -> None:
        self.kept: dict[datetime, Hour] = {}

    def read(self, since: datetime) -> Sequence[Hour]:
        return [hour for begins, hour in sorted(self.kept.items()) if begins >= since]

    def write(self, hour: Hour) -> None:
        self.kept[hour.begins] = hour

    def forget(self, before: datetime) -> None:
        self.kept = {begins: hour for begins, hour in self.kept.items() if begins >= before}


class MemoryVault(FakeVault):
    """Key Vault, with the removal of a version's every copy."""

    def __init__(self, clock: Clock, shredder: MemoryShredder) -> None:
        super().__init__(clock)
        self.destroy = shredder.destroy


class Outside:
    """Fulfils `shared.services.adapters.Adapters` in memory. `FakeServices` that share it are instances of
    one app."""

    def __init__(self, *accounts: Account) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.ledger = MemoryLedger(self.faults)
        self.attention = MemoryAttentionIndex(self.faults)
        self.waiting = MemoryWaiting(self.faults, self.clock)
        self.hours = MemoryHours()
        self.payloads = MemoryPayloads(self.faults)
        self.files = MemoryFiles(self.faults, self.payloads)
        self.keys = MemoryKeys(self.faults)
        self.wake_ups = MemoryWakeUps(self.faults, self.clock)
        self.accounts = MemoryAccounts(self.faults, *(accounts or (account_of(),)))
        self.tokens = MemoryTokens(self.faults)
        self.identity = FakeIdentity()
        self.flows = FakeFlows()
        self.graph = MemoryGraph(self.faults)
        self.drafts = MemoryDrafts(self.faults, self.clock)
        self.timetables = MemoryTimetables(self.faults)
        self.checks = MemoryChecks(self.faults)
        self.watch_memory = MemoryOfWatch(self.faults)
        self.shredder = MemoryShredder(self.faults)
        self.vault = MemoryVault(self.clock, self.shredder)
        self.credential = FakeCredential()
        self.probes: Mapping[str, Callable[[], object]] = {
            "ledger": lambda: self.waiting.snapshot(self.clock(), 0)
        }

    @property
    def mails(self) -> MemoryLedger:
        """The ledger, without the index of what needs a person."""
        return self.ledger


SETTINGS = Settings(
    tenant=TENANT,
    client_id=CLIENT,
    vault_url="https://contoso.vault.azure.net",
    redirect_uri="https://postroom.example/api/auth/callback",
    storage=StorageSettings(),
    worker_threads=2,
)


class FakeServices(Services):
    """The services of the app over memory, and what a test looks into."""

    def __init__(
        self,
        *accounts: Account,
        seed: int = 7,
        mask: bool = False,
        patience: RetryLimit | None = None,
        max_bytes: int = 8 * 1024 * 1024,
        mails_per_minute: int = 0,
        max_mail_bytes: int = 35 * 1024 * 1024,
        send_unknown_again: bool = False,
        operators: Sequence[str] = (),
        outside: Outside | None = None,
    ) -> None:
        self.outside = outside = outside or Outside(*accounts)
        patience = patience or RetryLimit(30, 48 * 3600)
        settings = replace(
            SETTINGS,
            mask_ledger=mask,
            max_attempts=patience.max_attempts,
            give_up_after_seconds=patience.give_up_after_seconds,
            max_request_bytes=max_bytes,
            mails_per_minute=mails_per_minute,
            max_mail_bytes=max_mail_bytes,
            unknown="send-again" if send_unknown_again else "leave",
            operators=tuple(operators),
        )
        self.random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._lock = threading.Lock()
        self._messages = 0
        self.clock: Clock = outside.clock
        super().__init__(
            outside,
            settings,
            clock=outside.clock,
            random=self._bytes,
            jitter=lambda: 0.5,
            sleep=lambda seconds: outside.clock.forward(seconds=seconds),
        )
        self.faults = outside.faults
        self.accounts = outside.accounts
        self.attention = outside.attention
        self.checks = outside.checks
        self.credential = outside.credential
        self.drafts = outside.drafts
        self.files = outside.files
        self.graph = outside.graph
        self.keys = outside.keys
        self.ledger: MemoryLedger = outside.ledger
        self.pace = Pace(mails_per_minute)
        self.payloads = outside.payloads
        self.shredder = outside.shredder
        self.timetables = outside.timetables
        self.waiting = outside.waiting
        self.wake_ups = outside.wake_ups
        self.watch_memory = outside.watch_memory
        self.tokens: MemoryTokens = outside.tokens

    def worker(self, patience: RetryLimit) -> Delivery:
        """Another worker on the same storage, which tries mails for another time."""
        return FakeServices(outside=self.outside, patience=patience, seed=8).delivery

    def person(self) -> Changes:
        """Another caller who changes mails of the same storage."""
        return FakeServices(outside=self.outside, seed=9).changes

    def accept(self, **fields: object) -> Receipt:
        """Accept a small mail over HTTP."""
        return self.submission.accept(order_of(**fields))

    def accepted(self, **fields: object) -> str:
        """Accept a small mail over HTTP; its id."""
        return self.accept(**fields).mail.mail_id

    def message(self, body: bytes | dict[str, object], message_id: str = "") -> OutboxMessage:
        """A storage message, put on the queue just now."""
        self._messages += 1
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return OutboxMessage(message_id or f"message-{self._messages}", self.clock(), raw)

    def handle(self, mail_id: str) -> DeliveryResult:
        """A worker gets the wake-up of a mail."""
        return self.outbox.handle(self.message(wake_up_for(mail_id).encode()))

    def payload_text(self, mail: Mail) -> str:
        """The text of a mail that was not sent yet."""
        content = mail.payload.inline or self.payloads.blobs[str(mail.payload.blob)]
        message = unpack(content).message
        return (message.text if message else None) or ""

    def status(self, mail_id: str) -> Status:
        """Where a mail stands."""
        return self.ledger.mail(mail_id).status

    def _bytes(self, count: int) -> bytes:
        with self._lock:
            return self.random.randbytes(count)
