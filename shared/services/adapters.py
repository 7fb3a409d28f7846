"""Everything outside of Postroom that its services need: storage, Key Vault, Entra, Graph.

`shared.bootstrap` connects the real adapters; tests build the same services over memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from shared.services.accounts.ports import AccountRegister, AccountRemoval, Accounts, Checks
from shared.services.delivery.ports import Drafts, MailService, Timetables
from shared.services.intake.ports import IdempotencyKeys, WakeUps
from shared.services.mails.ports import (
    AttentionIndex,
    Files,
    Hours,
    Ledger,
    MailCounter,
    Payloads,
)
from shared.services.sign_in.ports import (
    AppCredentialStatus,
    Flows,
    IdentityPlatform,
    Shredder,
    StoredSecret,
    Vault,
)
from shared.services.upkeep.ports import (
    Archive,
    Expiring,
    SecretShelf,
    StoredPayloads,
    WaitingIndex,
    WatchMemory,
)

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone, as the ports are.
    Protocol = object


class MailsAdapter(Ledger, Archive, MailCounter, Protocol):
    """Table `mails`, for every use."""


class PayloadsAdapter(Payloads, StoredPayloads, Protocol):
    """Container `payloads`, for every use."""


class AccountsAdapter(Accounts, AccountRegister, AccountRemoval, Protocol):
    """Table `accounts`, for every use."""


class KeysAdapter(IdempotencyKeys, Expiring, Protocol):
    """Table `keys`, for every use."""


class FlowsAdapter(Flows, Expiring, Protocol):
    """Table `flows`, for every use."""


class VaultAdapter(Vault, Shredder, SecretShelf, Protocol):
    """Key Vault, for every use."""

    def set(
        self,
        name: str,
        value: str,
        tags: Mapping[str, str] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> StoredSecret:
        """See `sign_in.ports.Vault`; with the time after which the value does not work any more."""
        ...


class Adapters(Protocol):
    """One adapter of each kind. Building them makes no remote call."""

    @property
    def mails(self) -> MailsAdapter:
        """The table of mails."""
        ...

    @property
    def attention(self) -> AttentionIndex:
        """The mails that need a person."""
        ...

    @property
    def waiting(self) -> WaitingIndex:
        """The mails that wait."""
        ...

    @property
    def hours(self) -> Hours:
        """How many mails there were in each hour."""
        ...

    @property
    def wake_ups(self) -> WakeUps:
        """The queue `outbox`."""
        ...

    @property
    def payloads(self) -> PayloadsAdapter:
        """The content of mails that is too large for a row."""
        ...

    @property
    def files(self) -> Files:
        """The callers' files, and large attachments."""
        ...

    @property
    def keys(self) -> KeysAdapter:
        """Idempotency keys."""
        ...

    @property
    def accounts(self) -> AccountsAdapter:
        """The accounts."""
        ...

    @property
    def timetables(self) -> Timetables:
        """The slots of each mailbox."""
        ...

    @property
    def checks(self) -> Checks:
        """The results of checks."""
        ...

    @property
    def watch_memory(self) -> WatchMemory:
        """What the watch announced last."""
        ...

    @property
    def flows(self) -> FlowsAdapter:
        """Sign-ins under way."""
        ...

    @property
    def vault(self) -> VaultAdapter:
        """Key Vault."""
        ...

    @property
    def credential(self) -> AppCredentialStatus:
        """The credential that proves the app's identity to Entra."""
        ...

    @property
    def identity(self) -> IdentityPlatform:
        """Entra."""
        ...

    @property
    def graph(self) -> MailService:
        """Microsoft Graph."""
        ...

    @property
    def drafts(self) -> Drafts:
        """Microsoft Graph, for drafts."""
        ...

    @property
    def probes(self) -> Mapping[str, Callable[[], object]]:
        """For each remote system, a call that raises if it does not work."""
        ...
