"""What connecting a mailbox needs: Microsoft Entra, the flows under way, and Key Vault.

Interfaces, which `shared.adapters` fulfils. Every implementation raises only errors of
`shared.errors`: NotSent where a call had no effect, AnswerLost where that is not known, LostRace
where a condition did not hold.
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


class SignInRequest(msgspec.Struct, frozen=True):
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

    sign_in_request: SignInRequest = msgspec.field(name="wish")
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

    sign_in_request: SignInRequest = msgspec.field(name="wish")
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
        """Exchange the code that came back. Raises RequestRejected for what a person can mend."""
        ...

    def begin_device(self, authority: str, scopes: Sequence[str]) -> DeviceCode:
        """Ask for a code that a person types at Microsoft, in any browser."""
        ...

    def poll_device(self, authority: str, code: DeviceCode) -> Grant:
        """Ask once whether the person has finished.

        Raises NotFinishedYet while they have not, SignInRejected where they cannot any more.
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
