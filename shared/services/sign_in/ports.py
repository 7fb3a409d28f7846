"""Interfaces for connecting a mailbox: Microsoft Entra, the flows under way, and Key Vault.

`shared.adapters` implements them. Every implementation raises only errors of `shared.errors`:
NotSent if a call had no effect, AnswerLost if that is not known, LostRace if a condition did not
hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from shared.mail.permissions import Choices

if TYPE_CHECKING:
    from typing import Protocol
else:
    # For the type checker alone: real protocols cost time at each cold start.
    Protocol = object


class StoredSecret(msgspec.Struct, frozen=True):
    """One version of a Key Vault secret."""

    value: str
    version: str
    created_at: datetime
    expires_at: datetime | None = None
    """The expiry that was stored with it. The vault still returns the value after that time."""
    content_type: str | None = None

    def __repr__(self) -> str:
        return f"StoredSecret(version={self.version!r})"


class SecretVersion(msgspec.Struct, frozen=True):
    """The vault's properties of one version of a secret, without its value."""

    version: str
    enabled: bool
    created_at: datetime
    expires_at: datetime | None


class Vault(Protocol):
    """Key Vault secrets. Their names start with `postroom-` and contain nothing personal."""

    def get(self, name: str) -> StoredSecret | None:
        """The newest version; None if there is no such secret, or it is disabled."""
        ...

    def set(self, name: str, value: str, tags: Mapping[str, str] | None = None) -> StoredSecret:
        """Write a new version. A soft-deleted secret of that name is recovered first."""
        ...

    def remove(self, name: str) -> None:
        """Disable every version, then delete. Harmless if there is no such secret."""
        ...


class VaultHistory(Protocol):
    """Key Vault secrets with the versions before the newest."""

    def get(self, name: str) -> StoredSecret | None:
        """See `Vault`."""
        ...

    def get_version(self, name: str, version: str) -> StoredSecret | None:
        """One version; None if it does not exist or is disabled."""
        ...

    def versions(self, name: str) -> Sequence[SecretVersion]:
        """All versions, newest first; none for an unknown name."""
        ...


class CredentialVersion(msgspec.Struct, frozen=True):
    """One version of the credential that proves the app's identity to Entra. Nothing in it is
    secret."""

    kind: str
    """`secret`, `certificate` or `managed-identity`."""
    version: str
    """The first eight characters of the vault's version."""
    enabled: bool
    newest: bool
    expires_at: datetime | None
    """None if it does not expire, or if its expiry was not stored."""
    in_use: bool
    """Whether Entra accepted it the last time that this process used it."""


class AppCredentialStatus(Protocol):
    """The app's credential, as the checks of its expiry see it."""

    def describe(self) -> Sequence[CredentialVersion]:
        """Its versions, newest first, down to the oldest that the app would still use. Asks the
        vault each time. Raises RemoteError."""
        ...


class SignInRequest(msgspec.Struct, frozen=True):
    """The mailbox that a sign-in connects, and the permissions that it asks for."""

    alias: str
    authority: str
    """The authority for signing in, redeeming the code and refreshing the grant: a tenant id, a
    domain, `organizations`, `consumers` or `common`."""
    expected_address: str | None = None
    expected_object_id: str | None = None
    replace: bool = False
    """Whether another mailbox may replace the one that has the alias."""
    verified: bool = False
    shared: bool = False

    @property
    def choices(self) -> Choices:
        """The permissions that were ticked."""
        return Choices(self.verified, self.shared)


class Destruction(msgspec.Struct, frozen=True):
    """The result of destroying a secret. None of its versions can be read any more."""

    purged: bool
    gone_at: datetime | None = None
    """When the vault purges the secret by itself, if it could not be purged now; None if the vault
    does not say."""


class Shredder(Protocol):
    """Key Vault, for secrets that must not be recoverable."""

    def destroy(self, name: str) -> Destruction:
        """Disable every version, delete the name, and purge it if the vault and the app's rights
        allow it. Harmless if it is gone. Raises RemoteRefused if the app may not even delete it."""
        ...


class SignInFlow(msgspec.Struct, frozen=True):
    """What MSAL needs to finish a sign-in, and the account that it is for. Secret until it is
    finished."""

    sign_in_request: SignInRequest = msgspec.field(name="wish")
    msal: Mapping[str, object]
    """MSAL's own flow dictionary: state, nonce, PKCE verifier, redirect URI, scopes."""
    expires_at: datetime


class DeviceCode(msgspec.Struct, frozen=True):
    """The code that a person types at Microsoft, and the code that fetches the answer. Secret."""

    user_code: str
    verification_uri: str
    device_code: str
    expires_in_seconds: int
    interval_seconds: int

    def __repr__(self) -> str:
        return f"DeviceCode(interval_seconds={self.interval_seconds})"


class DeviceFlow(msgspec.Struct, frozen=True):
    """A sign-in by code under way, and the account that it is for. Secret until it is finished."""

    sign_in_request: SignInRequest = msgspec.field(name="wish")
    handle: str
    """The name of the flow; only the browser that began knows it."""
    code: DeviceCode
    expires_at: datetime


class Grant(msgspec.Struct, frozen=True):
    """The answer to a token request. Secret."""

    access_token: str
    refresh_token: str | None
    scopes: frozenset[str]
    """Short names of the Graph scopes in the answer."""
    expires_in_seconds: int
    id_token_claims: Mapping[str, object] | None
    tenant_id: str | None = None
    """The directory that answered, if its metadata names it."""

    def __repr__(self) -> str:
        return f"Grant(scopes={sorted(self.scopes)})"


class IdentityPlatform(Protocol):
    """Microsoft Entra. Raises ConsentRequired, CredentialRefused, or NotSent (temporary). Scopes
    are given by their short Graph names, such as `Mail.Send`."""

    def begin(
        self,
        authority: str,
        scopes: Sequence[str],
        *,
        login_hint: str | None = None,
        prompt: str | None = None,
        domain_hint: str | None = None,
    ) -> Mapping[str, object]:
        """Start an authorisation code flow with PKCE. The result holds `auth_uri` and secrets."""
        ...

    def redeem(
        self, authority: str, flow: Mapping[str, object], answer: Mapping[str, str]
    ) -> Grant:
        """Redeem the code that came back. Raises SignInRejected for mistakes that a person can
        correct."""
        ...

    def begin_device(self, authority: str, scopes: Sequence[str]) -> DeviceCode:
        """Get a code that a person types at Microsoft, in any browser."""
        ...

    def poll_device(self, authority: str, code: DeviceCode) -> Grant:
        """Ask once whether the person has finished. Raises NotFinishedYet if not, SignInRejected if
        they cannot finish any more."""
        ...

    def refresh(self, authority: str, refresh_token: str, scopes: Sequence[str]) -> Grant:
        """Exchange a refresh token for an access token, and usually for a newer refresh token."""
        ...

    def app_grant(self, authority: str) -> Grant:
        """An access token in the app's own name (client credentials), for one directory: the
        authority is a tenant id or a domain. The answer does not say which permissions the token
        has."""
        ...


class Flows(Protocol):
    """Table `flows`: each sign-in can be finished once."""

    def open(self, state_hash: str, expires_at: datetime) -> None:
        """Store a sign-in that is under way."""
        ...

    def take(self, state_hash: str) -> datetime | None:
        """Remove the row and return its expiry; None if it does not exist, or was just taken."""
        ...
