"""The documents that the API answers with; `openapi.py` describes them from these very types."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Links(msgspec.Struct, rename={"self_": "self"}, omit_defaults=True):
    """Where to look next."""

    self_: str
    raw: str | None = None
    """The text of a queue message that did not become a mail."""


class Accepted(msgspec.Struct, omit_defaults=True):
    """The answer to a send: durable with Postroom from here on."""

    id: str
    status: str
    links: Links
    delivery: str
    expected_at: datetime | None = None
    delivery_note: str | None = None
    reason: str | None = None
    help: str | None = None
    warnings: list[ProblemField] = []


class Signature(msgspec.Struct, omit_defaults=True):
    """The account's signature, as it is put under the text and under the html of a mail."""

    text: str | None = None
    html: str | None = None


class Checked(msgspec.Struct, omit_defaults=True):
    """The answer to a dry run: the mail would have been accepted; nothing was stored. With the
    account's defaults where the mail says nothing else."""

    dry_run: bool
    account: str
    sender: str = msgspec.field(name="from")
    recipient_count: int
    delivery: str
    save_to_sent_items: bool
    delivery_note: str | None = None
    reply_to: list[str] = []
    signature: Signature | None = None
    warnings: list[ProblemField] = []
    replay_of: str | None = None
    """The id of the mail that the idempotency key stands for already: a send answers with that mail."""


class MailEvent(msgspec.Struct, omit_defaults=True):
    """One event of a mail's history."""

    at: datetime
    status: str
    reason: str | None = None


class MailView(msgspec.Struct, omit_defaults=True):
    """A mail and its history."""

    id: str
    status: str
    accepted_at: datetime
    updated_at: datetime
    due_at: datetime
    caller: str
    attempts: int
    recipients: list[str]
    recipient_count: int
    subject: str
    delivery: str
    former_recipients: list[str] = []
    delivery_note: str | None = None
    account: str | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    tags: list[str] = []
    metadata: dict[str, str] = {}
    expected_at: datetime | None = None
    sent_at: datetime | None = None
    message_id: str | None = None
    next_look_at: datetime | None = None
    reason: str | None = None
    help: str | None = None
    request_id: str | None = None
    idempotency_key: str | None = None
    events: list[MailEvent] = []
    links: Links | None = None


class MailList(msgspec.Struct, omit_defaults=True):
    """One page of mails, newest first."""

    mails: list[MailView]
    next_cursor: str | None = None


class BatchItem(msgspec.Struct, omit_defaults=True):
    """What became of one mail of a batch: it has an id, or a problem."""

    index: int
    id: str | None = None
    status: str | None = None
    replayed: bool = False
    links: Links | None = None
    problem: Problem | None = None
    warnings: list[ProblemField] = []


class BatchView(msgspec.Struct):
    """What became of a batch, mail by mail, in the order of the request."""

    accepted: int
    refused: int
    results: list[BatchItem]


class Released(msgspec.Struct):
    """How many mails of an account were let go."""

    released: int


class Trouble(msgspec.Struct):
    """Why an account cannot send: a row of the catalogue in docs/errors.md."""

    code: str
    meaning: str
    who: str
    """Who has to act, in words."""
    step: str
    """What exactly they do."""
    retryable: bool
    """Whether it may pass without anybody acting."""


class DefaultsView(msgspec.Struct):
    """What mails of an account have unless their callers say otherwise."""

    display_name: str | None
    reply_to: list[str]
    signature_text: str | None
    signature_html: str | None
    save_to_sent_items: bool
    daily_cap: int | None
    overridable: list[str]


class AccountView(msgspec.Struct, omit_defaults=True):
    """A mailbox that is signed in."""

    alias: str
    address: str
    display_name: str
    kind: str
    state: str
    scopes: list[str]
    default: bool
    allowed_from: list[str] = []
    defaults: DefaultsView | None = None
    """Left out where many are listed."""
    reason: str | None = None
    trouble: Trouble | None = None
    held_until: datetime | None = None
    signed_in_at: datetime | None = None
    through: str | None = None
    """Of a shared mailbox: the alias of the account that it is reached by."""


class AddedView(msgspec.Struct):
    """A mailbox that was added, and what could not be found out about it."""

    account: AccountView
    notes: list[str]


class DisconnectedView(msgspec.Struct, omit_defaults=True):
    """What disconnecting an account has done."""

    alias: str
    done: bool
    waiting: str
    cancelled: int
    left: int
    secret_purged: bool | None = None
    secret_gone_at: datetime | None = None
    secret_note: str | None = None
    grant_note: str = ""
    disconnected_too: list[str] = []
    default: str | None = None
    default_note: str | None = None


class Finding(msgspec.Struct, omit_defaults=True):
    """One thing that a check asked, and what came of it."""

    what: str
    result: str
    meaning: str
    subject: str | None = None
    code: str | None = None
    who: str | None = None
    step: str | None = None


class CheckView(msgspec.Struct):
    """What a check of an account found."""

    alias: str
    result: str
    checked_at: datetime
    ms: int
    findings: list[Finding]


class AccountList(msgspec.Struct):
    """All accounts."""

    accounts: list[AccountView]


class Health(msgspec.Struct):
    """Alive or not."""

    status: str


class Dependency(msgspec.Struct, omit_defaults=True):
    """One thing that Postroom needs, and whether it answered just now."""

    name: str
    ok: bool
    ms: int
    problem: str | None = None


class CredentialView(msgspec.Struct, omit_defaults=True):
    """One version of what proves to Microsoft who the app is."""

    kind: str
    version: str
    """Its first eight characters."""
    enabled: bool
    newest: bool
    in_use: bool
    """Whether Microsoft took it the last time that this instance asked."""
    expires_at: datetime | None = None
    days_left: int | None = None
    """0 or less once it has expired; absent where it does not, or nobody wrote down when."""


class CheckLine(msgspec.Struct, omit_defaults=True):
    """The last check of an account, and what is wrong with it."""

    alias: str
    result: str
    checked_at: datetime
    troubles: list[str] = []


class HealthDetails(msgspec.Struct):
    """Each dependency, the app's credential, each account and its last check."""

    status: str
    dependencies: list[Dependency]
    credential: list[CredentialView]
    accounts: list[AccountView]
    checks: list[CheckLine]


class ProblemField(msgspec.Struct):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457, with a stable code, the fields, and what to do."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    help: str
    errors: list[ProblemField] = []
    request_id: str | None = None
    mail_status: str | None = None
    accepted: int | None = None
    refused: int | None = None
    results: list[BatchItem] = []


GRANT_NOTE = (
    "The grant itself does not end by this: the mailbox's owner revokes Postroom's permissions at "
    "https://myapps.microsoft.com (personal accounts: https://account.live.com/consent/Manage), or an "
    "administrator does in Entra, under Enterprise applications, Permissions."
)
