"""What the use cases need from the outside, as interfaces. `shared.adapters` fulfils them.

Every implementation raises only errors of `shared.errors`: NotSent where a call had no effect,
AnswerLost where that is not known, LostRace where a condition did not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from shared.mail.account import Account, AccountKind
from shared.mail.mail import Mail, MailFilter, MailPage
from shared.mail.message import StoredFile
from shared.mail.outcome import Copy, GraphAnswer, Sought
from shared.mail.pace import Timetable
from shared.mail.permissions import Choices
from shared.mail.status import Status

if TYPE_CHECKING:
    from typing import Protocol

    from shared.mail.expiry import Expiry
    from shared.mail.findings import Check
else:
    # For the type checker alone: two dozen real protocols are a twentieth of a cold start.
    Protocol = object


Clock = Callable[[], datetime]
"""Now, as an aware UTC time."""


class Versioned(msgspec.Struct, frozen=True):
    """A mail as it stands in the ledger, with the ETag that a conditional write needs."""

    mail: Mail
    etag: str


class Span(msgspec.Struct, frozen=True):
    """What one look through the ledger covers: mails whose ids are of `since` or later. Of those
    before `before` every one that waits; of the others those whose `Mail.look_at` is later than
    `after` and not later than `until`."""

    since: datetime
    before: datetime
    after: datetime
    until: datetime


class Glimpse(msgspec.Struct, frozen=True):
    """What a sweep needs to know of a mail."""

    mail_id: str
    status: Status
    account: str | None
    look_at: datetime | None
    """See `Mail.look_at`."""


class WaitingPage(msgspec.Struct, frozen=True):
    """Some mails that wait, and the cursor that leads to more; there may be more after none."""

    mails: Sequence[Glimpse]
    cursor: str | None


class Ledger(Protocol):
    """Table `mails`: the truth about every mail."""

    def insert(self, mail: Mail) -> str:
        """Write a new mail and return its ETag. Raises AlreadyExists."""
        ...

    def get(self, mail_id: str) -> Versioned | None:
        """One mail with its payload, where that is kept in the row."""
        ...

    def update(self, mail: Mail, etag: str, *, new_payload: bool = False) -> str:
        """Replace a mail if nobody changed it since. Returns the new ETag. Raises LostRace.

        A payload in the row stays as it was written first, or goes; only `new_payload` puts
        another one in its place.
        """
        ...

    def page(self, wanted: MailFilter, size: int, cursor: str | None) -> MailPage:
        """Mails without payload, newest first; `size` of them at most, where the cursor goes on also
        fewer or none. Those found by a part of an address have no more than a list shows. Raises
        ValueError for a malformed cursor."""
        ...

    def glimpse(self, mail_id: str) -> Glimpse | None:
        """What a sweep needs to know of one mail."""
        ...

    def waiting(
        self, span: Span, most: int, cursor: str | None = None, *, held_for: str | None = None
    ) -> WaitingPage:
        """Mails of a span that wait, or only those that are held for an account, in no order worth
        a promise; about `most` at a time."""
        ...


class Entry(msgspec.Struct, frozen=True):
    """A row of the index of waiting mails: a hint, for the ledger is the truth.

    Either `due_at` says when somebody must look, or `held_for` which account's recovery it is
    waiting for.
    """

    mail_id: str
    noted_at: datetime
    etag: str
    due_at: datetime | None = None
    held_for: str | None = None


class HeldMark(msgspec.Struct, frozen=True):
    """Says that mails are noted as held for an account."""

    alias: str
    noted_at: datetime
    etag: str


class Watermark(msgspec.Struct, frozen=True):
    """How far the sweep has come. Each mail that waits, and whose id is of a time before
    `noted_before`, is in the index; each whose `Mail.look_at` was not later than `looked_until`
    was looked at. With `under_way` a look has stopped at `cursor` and goes on there."""

    noted_before: datetime
    looked_until: datetime
    under_way: Span | None = None
    cursor: str | None = None
    etag: str | None = None


class Glance(msgspec.Struct, frozen=True):
    """The index at one moment: how far the sweep has come (None before the first one), for which
    accounts mails are noted as held, and what is due, the longest due first."""

    watermark: Watermark | None
    held: Sequence[HeldMark]
    due: Sequence[Entry]


class Waiting(Protocol):
    """Table `waiting`: where to look for mails that wait, so that nobody looks through the ledger.

    Whoever makes a mail wait whose id may lie before the watermark notes it first, and changes the
    ledger within ten minutes (`docs/decisions/0012-index-of-waiting-mails.md`).
    """

    def note(self, mail_id: str, due_at: datetime) -> None:
        """Have somebody look at a mail at a time; doing it again is harmless."""
        ...

    def note_all(self, looks: Mapping[str, datetime]) -> None:
        """`note` for many: when to look, by mail id."""
        ...

    def hold_all(self, alias: str, mail_ids: Sequence[str]) -> None:
        """Have somebody look at mails when their account can send again."""
        ...

    def glance(self, now: datetime, most: int) -> Glance:
        """The watermark, the accounts, and at most so many entries that are due; in one call."""
        ...

    def of_account(self, alias: str, most: int) -> Sequence[Entry]:
        """Mails noted as held for an account, oldest first."""
        ...

    def drop(self, entries: Sequence[Entry]) -> None:
        """Remove entries; one that was noted anew since it was read stays."""
        ...

    def unmark(self, mark: HeldMark) -> None:
        """Remove an account's mark, unless mails were noted as held for it since it was read."""
        ...

    def advance(self, watermark: Watermark) -> Watermark:
        """Write how far the sweep has come, under the ETag that it was read with; returns it with
        the new one. Raises LostRace where another sweep was first."""
        ...

    def mail_ids(self) -> Iterator[str]:
        """Every mail of the index; one that is moved meanwhile may be missed."""
        ...

    def bookmark(self, name: str) -> str | None:
        """Where some work that takes several runs has stopped."""
        ...

    def set_bookmark(self, name: str, place: str | None) -> None:
        """Write down where to go on; None for the beginning."""
        ...


class Case(msgspec.Struct, frozen=True):
    """A mail that waits for a person or for its account, as the index of such mails has it: a hint,
    for the ledger is the truth."""

    mail_id: str
    status: Status
    reason: str | None
    account: str | None


class Cases(Protocol):
    """Table `waiting`: which mails are held, unknown or failed, so that a page need not look
    through the ledger for them."""

    def open(self, case: Case) -> None:
        """Write a case down; doing it again is harmless."""
        ...

    def close(self, mail_id: str, status: Status) -> None:
        """Remove the case of a mail that was in this status; there may be none."""
        ...

    def newest(self, most: int) -> Sequence[Case]:
        """Open cases, the latest mail first."""
        ...


class Hour(msgspec.Struct, frozen=True):
    """How many mails were accepted in one hour, by the status that they had when they were counted."""

    begins: datetime
    counts: Mapping[Status, int]
    whole: bool = True
    """Whether all of them were counted."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class Census(Protocol):
    """Table `mails`, for counting."""

    def count(self, since: datetime, until: datetime, most: int | None = None) -> Hour:
        """Count the mails whose ids are of `since` or later and before `until`, both of one UTC day;
        about `most` of them at most, the newest."""
        ...


class Hours(Protocol):
    """Table `waiting`: what was counted, hour by hour."""

    def read(self, since: datetime) -> Sequence[Hour]:
        """The hours that were counted, from `since` on, oldest first."""
        ...

    def write(self, hour: Hour) -> None:
        """Write an hour down, in the place of an earlier count."""
        ...

    def forget(self, before: datetime) -> None:
        """Remove the hours before a time."""
        ...


class SettledMail(msgspec.Struct, frozen=True):
    """What has to be known of a mail to throw it away."""

    mail_id: str
    status: Status
    blobs: tuple[str, ...]
    """What it has in container `payloads`."""
    etag: str


class SettledPage(msgspec.Struct, frozen=True):
    """Some mails, and the cursor that leads to more; there may be more after none."""

    mails: Sequence[SettledMail]
    cursor: str | None


class Archive(Protocol):
    """Table `mails`, for what is past keeping."""

    def settled(
        self, statuses: frozenset[Status], since: datetime, before: datetime, cursor: str | None
    ) -> SettledPage:
        """Mails in one of these statuses whose last change was at `since` or later, and before
        `before`."""
        ...

    def remove(self, mails: Sequence[SettledMail]) -> Sequence[SettledMail]:
        """Remove rows; one that was changed since it was read stays. Returns those that went, as far
        as that is known."""
        ...


class StoredPayloads(Protocol):
    """Container `payloads`, for what nobody refers to."""

    def older_than(self, moment: datetime) -> Iterator[str]:
        """Names of what was written before a moment, by name."""
        ...

    def delete(self, name: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class Expiring(Protocol):
    """A table whose rows expire."""

    def forget_expired(self, now: datetime, most: int) -> int:
        """Remove about `most` rows that have expired. Returns how many went."""
        ...


class Payloads(Protocol):
    """Container `payloads`: what does not fit into a ledger row."""

    def put(self, name: str, content: bytes) -> None:
        """Write; writing the same name again with the same content is harmless."""
        ...

    def get(self, name: str) -> bytes:
        """Read. Raises RemoteRefused where it is gone."""
        ...

    def delete(self, name: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class Files(Protocol):
    """Files in blob storage: what callers put into container `attachments`, and what came with a
    request and is too large for its payload."""

    def look(self, container: str, name: str) -> StoredFile | None:
        """A file as it stands now, or None where it is not there."""
        ...

    def keep(self, name: str, content: bytes) -> StoredFile:
        """Write a file into container `payloads`; the same name with the same content is harmless."""
        ...

    def chunks(self, file: StoredFile, chunk_bytes: int) -> Iterator[bytes]:
        """The file piece by piece, each but the last of `chunk_bytes`; one at a time in memory.

        Raises FileChanged, before it gives another file's bytes, and RemoteError.
        """
        ...


KEY_LIFETIME = timedelta(hours=24)


class KeyClaim(msgspec.Struct, frozen=True):
    """An idempotency key in use: which mail it stands for, and the document it came with."""

    mail_id: str
    document_hash: str
    claimed_at: datetime

    def holds_at(self, now: datetime) -> bool:
        """Whether the key is still taken: for 24 hours."""
        return now - self.claimed_at <= KEY_LIFETIME


class IdempotencyKeys(Protocol):
    """Table `keys`."""

    def claim(self, key: str, claim: KeyClaim) -> KeyClaim:
        """Take a key. Returns the claim that holds it: ours, or the one that was there first.

        A claim older than 24 hours is replaced.
        """
        ...

    def find(self, key: str) -> KeyClaim | None:
        """The claim that holds a key, however old; None where nobody has taken it."""
        ...


class Bell(Protocol):
    """Queue `outbox`: tells a worker to look at a mail in the ledger."""

    def ring(self, mail_id: str, after_seconds: float = 0) -> None:
        """Ring for a mail, now or later (at most seven days)."""
        ...


class Accounts(Protocol):
    """Table `accounts`."""

    def all(self, *, fresh: bool = False) -> Sequence[Account]:
        """Every account. May be some seconds old unless `fresh`."""
        ...

    def save(self, account: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag; returns it with the new one.

        Raises LostRace where another change came first.
        """
        ...


class Timetables(Protocol):
    """Table `accounts`: the slots of each mailbox, shared by all instances."""

    def read(self, account_id: str) -> tuple[Timetable, str | None]:
        """A mailbox's timetable with its ETag; an empty one and None where there is none yet."""
        ...

    def write(self, account_id: str, timetable: Timetable, etag: str | None) -> str:
        """Insert (`etag` None) or replace under the ETag; returns the new one. Raises LostRace."""
        ...

    def forget(self, account_id: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class CheckRecord(msgspec.Struct, frozen=True):
    """The last check of an account, and what is known to be wrong with it: what was told."""

    check: Check
    known: tuple[str, ...] = ()
    """The names of troubles (`Finding.trouble`)."""
    etag: str | None = None


class Checks(Protocol):
    """Table `accounts`: what checks have found, in rows of their own, so that a check and a sign-in
    do not fight."""

    def find(self, account_id: str) -> CheckRecord | None:
        """The last check of an account."""
        ...

    def all(self) -> Sequence[CheckRecord]:
        """That of every account that was ever checked."""
        ...

    def save(self, record: CheckRecord) -> CheckRecord:
        """Insert (`etag` None) or replace under the ETag; returns it with the new one. Raises
        LostRace."""
        ...

    def remove(self, account_id: str) -> None:
        """Remove; removing what is not there is harmless."""
        ...


class Remembered(msgspec.Struct, frozen=True):
    """What the watch remembers of the app's credential."""

    credential: Expiry | None = None
    """None before the first look, and where there is none that can expire."""
    etag: str | None = None


class WatchMemory(Protocol):
    """Table `accounts`: what the watch has told, whatever process told it."""

    def recall(self) -> Remembered:
        """What was written last."""
        ...

    def remember(self, remembered: Remembered) -> Remembered:
        """Insert (`etag` None) or replace under the ETag; returns it with the new one. Raises
        LostRace."""
        ...


class Departed(msgspec.Struct, frozen=True):
    """Which mailbox had an alias until it was disconnected. Nothing else is kept of it."""

    alias: str
    account_id: str
    """Connected again under the alias, it gets this id back, and with it the mails that wait."""
    tenant_id: str
    object_id: str
    departed_at: datetime
    kind: AccountKind | None = None
    """None in rows of before it was kept, as the hash is empty there."""
    address_hash: str = ""
    """By which a mailbox is known that was never looked up, so that it has no object id."""

    @classmethod
    def of(cls, account: Account, now: datetime) -> Departed:
        """What is kept of an account."""
        return cls(
            account.alias,
            account.account_id,
            account.tenant_id,
            account.object_id,
            now,
            account.kind,
            account.address_hash,
        )


class Roll(msgspec.Struct, frozen=True):
    """Every account as it stood at one moment."""

    accounts: Sequence[Account]
    version: str | None
    """Moves on with every account that is enrolled or departs; None before the first one."""
    departed: Sequence[Departed] = ()


class Departures(Protocol):
    """Table `accounts`, for taking mailboxes out."""

    def roll(self) -> Roll:
        """The accounts as they stand now, never older."""
        ...

    def save(self, account: Account) -> Account:
        """See `Accounts`."""
        ...

    def depart(self, account: Account, roll: Roll, heir: str | None, now: datetime) -> None:
        """In one step: remove the row, keep who had the alias, and make `heir` (an alias of the
        roll) the default.

        Raises LostRace where a row was changed, or any account was enrolled or departed, since the
        roll was read; then nothing was done.
        """
        ...


class Enrolment(Protocol):
    """Table `accounts`, for signing mailboxes in: what holds for all accounts together, such as
    one alias for a mailbox and one default, is decided on a roll that cannot have changed."""

    def roll(self) -> Roll:
        """The accounts as they stand now, never older."""
        ...

    def enrol(self, account: Account, roll: Roll, *beside: Account) -> Account:
        """Insert (`etag` None) or replace under the account's ETag; returns it with the new one.
        Those `beside` it are written along with it, or none is.

        Raises LostRace where the row was changed, or any account was enrolled since the roll was
        read; then nothing was written.
        """
        ...


class StoredSecret(msgspec.Struct, frozen=True):
    """One version of a Key Vault secret."""

    value: str
    version: str
    created_at: datetime
    expires_at: datetime | None = None
    """What the vault was told; it gives the value out all the same."""
    content_type: str | None = None

    def __repr__(self) -> str:
        return f"StoredSecret(version={self.version!r})"


class SecretVersion(msgspec.Struct, frozen=True):
    """What the vault says of one version of a secret, without its value."""

    version: str
    enabled: bool
    created_at: datetime
    expires_at: datetime | None


class Vault(Protocol):
    """Key Vault secrets. Names start with `postroom-` and hold nothing personal."""

    def get(self, name: str) -> StoredSecret | None:
        """The newest version, or None where there is no such secret, or it is disabled."""
        ...

    def set(self, name: str, value: str, tags: Mapping[str, str] | None = None) -> StoredSecret:
        """Write a new version; recovers a soft-deleted secret of that name first."""
        ...

    def remove(self, name: str) -> None:
        """Disable every version, then delete; removing what is not there is harmless."""
        ...


class ListedSecret(msgspec.Struct, frozen=True):
    """What the vault's list says of a secret: nothing of its value."""

    name: str
    changed_at: datetime | None
    """When a version was last written or changed; None where the vault does not say."""


class SecretShelf(Protocol):
    """Key Vault, for secrets that nobody refers to."""

    def listed(self, prefix: str) -> Iterator[ListedSecret]:
        """Every secret whose name begins with this, without those that are deleted. Raises
        RemoteRefused where the app may not list them, and NotSent."""
        ...

    def remove(self, name: str) -> None:
        """See `Vault`."""
        ...


class VaultHistory(Protocol):
    """Key Vault secrets with the versions before the newest."""

    def get(self, name: str) -> StoredSecret | None:
        """See `Vault`."""
        ...

    def get_version(self, name: str, version: str) -> StoredSecret | None:
        """One version, or None where it is not there, or disabled."""
        ...

    def versions(self, name: str) -> Sequence[SecretVersion]:
        """Every version, newest first; none of an unknown name."""
        ...


class CredentialVersion(msgspec.Struct, frozen=True):
    """One version of what proves to Entra who the app is. Nothing secret."""

    kind: str
    """`secret`, `certificate` or `managed-identity`."""
    version: str
    """The first eight characters of the vault's version."""
    enabled: bool
    newest: bool
    expires_at: datetime | None
    """None where it does not expire, or nobody wrote down when."""
    in_use: bool
    """Whether Entra took it the last time that this process asked."""


class AppCredentialStatus(Protocol):
    """How the app proves who it is, for those who watch over it."""

    def describe(self) -> Sequence[CredentialVersion]:
        """Its versions, newest first; those that the app would still fall back on, and no older.

        Asks the vault each time. Raises RemoteError.
        """
        ...


class Wish(msgspec.Struct, frozen=True):
    """Which mailbox a sign-in is to link, and with which permissions."""

    alias: str
    authority: str
    """Where the person signs in, the code is redeemed and the grant refreshed: a tenant id, a
    domain, `organizations`, `consumers` or `common`."""
    expected_address: str | None = None
    expected_object_id: str | None = None
    replace: bool = False
    """Whether another mailbox may take the place of the one that has the alias."""
    verified: bool = False
    shared: bool = False

    @property
    def choices(self) -> Choices:
        """The permissions that were ticked."""
        return Choices(self.verified, self.shared)


class Destruction(msgspec.Struct, frozen=True):
    """What became of a secret that was to be destroyed. No version of it can be read any more."""

    purged: bool
    gone_at: datetime | None = None
    """When the vault purges by itself what could not be purged now; None where it does not say."""


class Shredder(Protocol):
    """Key Vault, for secrets that must not come back."""

    def destroy(self, name: str) -> Destruction:
        """Disable every version, delete the name, and purge it where the vault and the app's rights
        allow; harmless where it is gone. Raises RemoteRefused where it may not even be deleted."""
        ...


class SignInFlow(msgspec.Struct, frozen=True):
    """What MSAL needs to finish a sign-in, plus whom it is for. Secret while it lasts."""

    wish: Wish
    msal: Mapping[str, object]
    """MSAL's own flow dictionary: state, nonce, PKCE verifier, redirect URI, scopes."""
    expires_at: datetime


class DeviceCode(msgspec.Struct, frozen=True):
    """What a person types at Microsoft, and what the answer is fetched with. Secret."""

    user_code: str
    verification_uri: str
    device_code: str
    expires_in_seconds: int
    interval_seconds: int

    def __repr__(self) -> str:
        return f"DeviceCode(interval_seconds={self.interval_seconds})"


class DeviceFlow(msgspec.Struct, frozen=True):
    """A sign-in by code under way, and whom it is for. Secret while it lasts."""

    wish: Wish
    handle: str
    """Names the flow; known to the browser that began it only."""
    code: DeviceCode
    expires_at: datetime


class Grant(msgspec.Struct, frozen=True):
    """What a token request gave. Secret."""

    access_token: str
    refresh_token: str | None
    scopes: frozenset[str]
    """Short names of the Graph scopes in the answer."""
    expires_in_seconds: int
    id_token_claims: Mapping[str, object] | None
    tenant_id: str | None = None
    """The directory that answered, where its metadata says so."""

    def __repr__(self) -> str:
        return f"Grant(scopes={sorted(self.scopes)})"


class IdentityPlatform(Protocol):
    """Entra. Raises ConsentRequired, CredentialRefused, NotSent (transient) for refusals.

    Scopes go in by their short Graph names, such as `Mail.Send`.
    """

    def begin(
        self,
        authority: str,
        scopes: Sequence[str],
        *,
        login_hint: str | None = None,
        prompt: str | None = None,
        domain_hint: str | None = None,
    ) -> Mapping[str, object]:
        """Start an authorisation-code flow with PKCE; the result holds `auth_uri` and secrets."""
        ...

    def redeem(
        self, authority: str, flow: Mapping[str, object], answer: Mapping[str, str]
    ) -> Grant:
        """Exchange the code that came back. Raises Refused for what a person can mend."""
        ...

    def begin_device(self, authority: str, scopes: Sequence[str]) -> DeviceCode:
        """Ask for a code that a person types at Microsoft, in any browser."""
        ...

    def poll_device(self, authority: str, code: DeviceCode) -> Grant:
        """Ask once whether the person has finished.

        Raises NotFinishedYet while they have not, SignInRefused where they cannot any more.
        """
        ...

    def refresh(self, authority: str, refresh_token: str, scopes: Sequence[str]) -> Grant:
        """Trade a refresh token for an access token (and usually a newer refresh token)."""
        ...

    def app_grant(self, authority: str) -> Grant:
        """An access token in the app's own name (client credentials), for one directory: the
        authority is a tenant id or a domain. Which permissions it carries is not said."""
        ...


class Flows(Protocol):
    """Table `flows`: each sign-in can be finished once."""

    def open(self, state_hash: str, expires_at: datetime) -> None:
        """Write down that a sign-in is under way."""
        ...

    def take(self, state_hash: str) -> datetime | None:
        """Remove the row and return its expiry; None where it is not there (or was just taken)."""
        ...


class Profile(msgspec.Struct, frozen=True):
    """Who a token speaks for, from `GET /me`."""

    object_id: str
    address: str
    display_name: str


class MailService(Protocol):
    """Microsoft Graph. `mailbox`, here and below, is an account's `graph_path`."""

    def send_mail(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> GraphAnswer:
        """`POST {mailbox}/sendMail`. Raises NotSent or AnswerLost where no whole answer came back."""
        ...

    def me(self, access_token: str) -> Profile:
        """`GET /me`. Raises NotSent, or RemoteRefused where Graph says no."""
        ...

    def user(self, access_token: str, mailbox: str) -> Profile:
        """`GET {mailbox}`. Raises as `me` does; of others' mailboxes a directory may say nothing."""
        ...


class AttachedFile(Protocol):
    """One attachment, read from where it lies piece by piece."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def chunks(self, size: int) -> Iterator[bytes]:
        """The content from the start, in pieces of `size` bytes, the last one shorter.

        Raises FileChanged and RemoteError, as `Files.chunks` does.
        """
        ...


class DraftAnswer(msgspec.Struct, frozen=True):
    """Graph's answer to making a draft, with its id where it was made (201)."""

    answer: GraphAnswer
    draft_id: str | None = None
    message_id: str | None = None
    """The Message-ID that the draft has, where the answer names a usable one."""


class Found(msgspec.Struct, frozen=True):
    """Graph's answer to looking for a mail, with what was found where it looked (200)."""

    answer: GraphAnswer
    copies: Sequence[Copy] = ()


class MarkedDraft(msgspec.Struct, frozen=True):
    """A message in Drafts that was made for a mail. No stray as long as its mail refers to it."""

    draft_id: str
    mail_id: str
    created_at: datetime


class Drafts(Protocol):
    """Microsoft Graph, with Mail.ReadWrite: messages as drafts. No call is repeated in here.

    Every call raises NotSent or AnswerLost where no whole answer came back.
    """

    def create(
        self, access_token: str, mailbox: str, content_type: str, body: bytes
    ) -> DraftAnswer:
        """`POST {mailbox}/messages`."""
        ...

    def attach(self, access_token: str, mailbox: str, draft_id: str, body: bytes) -> GraphAnswer:
        """`POST {mailbox}/messages/{id}/attachments`: below 3 MB; done is 201."""
        ...

    def upload(
        self,
        access_token: str,
        mailbox: str,
        draft_id: str,
        session: bytes,
        file: AttachedFile,
        going_on: Callable[[], None],
    ) -> GraphAnswer:
        """Add a file of 3 MB or more by an upload session, in chunks; done is 201.

        `session` is the body that opens it. `going_on` is called before each chunk and may raise
        LostRace. A chunk whose answer was lost is taken up where Graph says. On whatever else than
        201 the upload is cancelled and the draft is not to be used. Raises RemoteRefused where the
        session is not on Microsoft's own host.
        """
        ...

    def send(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """`POST {mailbox}/messages/{id}/send`; done is 202."""
        ...

    def find(self, access_token: str, mailbox: str, sought: Sought) -> Found:
        """The messages of a mail, in any folder: by its key, as JSON and as MIME carry it, by its
        Message-ID, and its draft by the draft's own id.

        The mail's own draft is among them only where Graph gives it out under that id.
        """
        ...

    def trials(self, access_token: str, mailbox: str) -> Found:
        """The drafts that checks of the account have left behind."""
        ...

    def marked(
        self, access_token: str, mailbox: str, before: datetime, since: datetime | None = None
    ) -> Sequence[MarkedDraft]:
        """What lies in Drafts, was created in that time, and was made for a mail; some hundreds at
        most. A few of those that show no key, the youngest, are known by their source.

        Raises NotSent where Graph did not answer, RemoteRefused where it said no.
        """
        ...

    def remove(self, access_token: str, mailbox: str, draft_id: str) -> GraphAnswer:
        """`DELETE {mailbox}/messages/{id}`; done is 204, and 404 where it was not there."""
        ...


class Tokens(Protocol):
    """Access tokens for accounts; the hot path costs nothing remote."""

    def access_token(self, account: Account) -> str:
        """A token that is good for at least some minutes.

        Raises ConsentRequired, CredentialRefused, or NotSent (transient).
        """
        ...

    def forget(self, account: Account, access_token: str) -> None:
        """Drop a token that Graph refused, so that the next call gets another."""
        ...

    def renew(self, account: Account) -> Grant:
        """Ask Microsoft for a token now, whatever is at hand or was refused a moment ago, and keep
        the grant alive by it. Raises as `access_token` does."""
        ...
