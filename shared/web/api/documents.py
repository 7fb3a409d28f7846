"""The documents that the API answers with. The module `openapi` makes its schemas from these
types."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Links(msgspec.Struct, rename={"self_": "self"}, omit_defaults=True):
    """Links to more about the mail."""

    self_: str
    raw: str | None = None
    """The text of a queue message that did not become a mail."""


class Accepted(msgspec.Struct, omit_defaults=True):
    """The answer to a send. Postroom has stored the mail and will not lose it."""

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
    """The answer to a dry run: the mail would be accepted; nothing was stored. The fields contain
    the account's defaults if the mail gives no other values."""

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
    """The id of the mail that has this idempotency key already: a send returns that mail."""


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
    """The result for one mail of a batch: an id or a problem."""

    index: int
    id: str | None = None
    status: str | None = None
    replayed: bool = False
    links: Links | None = None
    problem: Problem | None = None
    warnings: list[ProblemField] = []


class BatchView(msgspec.Struct):
    """The results of a batch, mail by mail, in the order of the request."""

    accepted: int
    refused: int
    results: list[BatchItem]


class Released(msgspec.Struct):
    """How many mails of an account were released."""

    released: int


class Trouble(msgspec.Struct):
    """Why an account cannot send: an entry of the catalogue in docs/errors.md."""

    code: str
    meaning: str
    who: str
    """Who has to act, in words."""
    step: str
    """What exactly they do."""
    retryable: bool
    """Whether it may end though nobody acts."""


class DefaultsView(msgspec.Struct):
    """The values that mails of an account have unless their callers give others."""

    display_name: str | None
    reply_to: list[str]
    signature_text: str | None
    signature_html: str | None
    save_to_sent_items: bool
    daily_cap: int | None
    overridable: list[str]


class AccountView(msgspec.Struct, omit_defaults=True):
    """A connected mailbox."""

    alias: str
    address: str
    display_name: str
    kind: str
    state: str
    scopes: list[str]
    default: bool
    allowed_from: list[str] = []
    defaults: DefaultsView | None = None
    """Left out in lists."""
    reason: str | None = None
    trouble: Trouble | None = None
    held_until: datetime | None = None
    signed_in_at: datetime | None = None
    through: str | None = None
    """For a shared mailbox: the alias of the account that it is reached through."""


class AddedView(msgspec.Struct):
    """A mailbox that was added, and what could not be found out about it."""

    account: AccountView
    notes: list[str]


class DisconnectedView(msgspec.Struct, omit_defaults=True):
    """The result of disconnecting an account."""

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
    """One question of a check, and its answer."""

    what: str
    result: str
    meaning: str
    subject: str | None = None
    code: str | None = None
    who: str | None = None
    step: str | None = None


class CheckView(msgspec.Struct):
    """The findings of a check of an account."""

    alias: str
    result: str
    checked_at: datetime
    ms: int
    findings: list[Finding]


class AccountList(msgspec.Struct):
    """All accounts."""

    accounts: list[AccountView]


class Health(msgspec.Struct):
    """Whether the process runs."""

    status: str


class Dependency(msgspec.Struct, omit_defaults=True):
    """One service that Postroom needs, and whether it answered now."""

    name: str
    ok: bool
    ms: int
    problem: str | None = None


class CredentialView(msgspec.Struct, omit_defaults=True):
    """One version of the secret or certificate that proves the app's identity to Microsoft."""

    kind: str
    version: str
    """The first eight characters of the version."""
    enabled: bool
    newest: bool
    in_use: bool
    """Whether Microsoft accepted it the last time that this instance used it."""
    expires_at: datetime | None = None
    days_left: int | None = None
    """0 or less once it has expired; left out if it does not expire, or if nobody entered the
    date."""


class CheckLine(msgspec.Struct, omit_defaults=True):
    """The last check of an account, and its faults."""

    alias: str
    result: str
    checked_at: datetime
    troubles: list[str] = []


class HealthDetails(msgspec.Struct):
    """Each dependency, the app's credential, and each account with its last check."""

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
    """RFC 9457, with a stable code, the fields, and the remedy."""

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
    "The grant at Microsoft does not end by this: the mailbox's owner revokes Postroom's permissions at "
    "https://myapps.microsoft.com (personal accounts: https://account.live.com/consent/Manage), or an "
    "administrator does in Entra, under Enterprise applications, Permissions."
)
