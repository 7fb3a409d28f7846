"""A proof of the app that is stored in Key Vault, in versions: several can be valid at the same
time.

The newest enabled version is used, and an older one if Entra refuses it: a renewed secret can be in
the vault before every part of Entra knows it, or it can be mistyped. The vault is asked every few
minutes, when a token is fetched, so that Postroom starts to use a renewed secret while the old one
still works. A mail that is sent with a cached token does not wait for this.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from threading import Lock

from shared import telemetry
from shared.adapters.entra.app_credential import Proof, RefusedProof
from shared.errors import CredentialRefused, RemoteError, RemoteRefused
from shared.services.sign_in.ports import (
    CredentialVersion,
    SecretVersion,
    StoredSecret,
    VaultHistory,
)

CLIENT_SECRET = "postroom-client-secret"  # noqa: S105 - its name in the vault
MOST_VERSIONS = 3
READ_AGAIN_SECONDS = 300.0


class VaultCredential(ABC):
    """Implements `AppCredential` with the versions of one secret of the vault."""

    kind: str
    secret_name: str
    turned_around: frozenset[str]
    """Refusals that another version can avoid."""

    def __init__(self, vault: VaultHistory, now: Callable[[], float] = time.monotonic) -> None:
        self._vault = vault
        self._now = now
        self._lock = Lock()
        self._in_use: Proof | None = None
        self._read_again_at = 0.0
        self._answered: str | None = None

    @abstractmethod
    def _for_msal(self, stored: StoredSecret) -> object:
        """The value for MSAL. Raises CredentialRefused if the content cannot be used."""

    @abstractmethod
    def _missing(self) -> CredentialRefused:
        """The error if the vault has no version."""

    def _expiry(self, stored: SecretVersion) -> datetime | None:
        """When a version that the app can read expires."""
        return stored.expires_at

    def proof(self) -> Proof:
        """See `AppCredential`."""
        with self._lock:
            if self._in_use is None:
                self._in_use = self._first()
            elif self._now() >= self._read_again_at:
                self._in_use = self._newer(self._in_use)
            return self._in_use

    def after(self, refused: Sequence[RefusedProof]) -> Proof:
        """See `AppCredential`. Reads the vault again; no version is tried twice."""
        if refused[-1].error.code in self.turned_around:
            with self._lock:
                self._in_use = self._another({one.proof.version for one in refused})
                if self._in_use is not None:
                    return self._in_use
        raise _most_telling(refused).error

    def worked(self, proof: Proof) -> None:
        """See `AppCredential`. Logs which version Entra accepted, once and at each change."""
        with self._lock:
            # A request may have been sent before the version changed: its answer shows no change.
            current = self._in_use is not None and self._in_use.version == proof.version
            if not current or self._answered == proof.version:
                return
            self._answered = proof.version
        telemetry.event(
            "app_credential_answers",
            level=logging.INFO if proof.newest else logging.WARNING,
            kind=self.kind,
            version=shown(proof.version),
            reason="newest" if proof.newest else "older",
        )

    def describe(self) -> Sequence[CredentialVersion]:
        """See `AppCredential`."""
        answered = self._answered
        found = self._vault.versions(self.secret_name)
        usable = [one for one in found if one.enabled][:MOST_VERSIONS]
        return [
            CredentialVersion(
                self.kind,
                shown(one.version),
                one.enabled,
                newest=one is found[0],
                expires_at=self._expiry(one) if one.enabled else one.expires_at,
                in_use=one.version == answered,
            )
            for one in found
            if one in usable or one is found[0]
        ]

    def _first(self) -> Proof:
        """The newest version that can be used."""
        unusable: CredentialRefused | None = None
        try:
            for stored, newest in self._versions():
                try:
                    proof = self._proof(stored, newest)
                except CredentialRefused as error:
                    unusable = unusable or error
                    continue
                self._read_again_at = self._now() + READ_AGAIN_SECONDS
                return proof
        except RemoteRefused as error:
            if unusable is None:
                raise CredentialRefused(error.code or "vault_refused", str(error)) from error
        raise unusable or self._missing()

    def _another(self, tried: Collection[str]) -> Proof | None:
        try:
            for stored, newest in self._versions(tried):
                try:
                    return self._proof(stored, newest)
                except CredentialRefused:
                    continue
        except RemoteRefused:
            # The reason is what Entra said, not that the vault does not list versions.
            pass
        return None

    def _newer(self, known: Proof) -> Proof:
        """The newest version now; the known one if the vault cannot be read or is empty."""
        self._read_again_at = self._now() + READ_AGAIN_SECONDS
        try:
            return self._first()
        except (RemoteError, CredentialRefused):
            telemetry.event(
                "app_credential_not_read", level=logging.WARNING, kind=self.kind, system="vault"
            )
            return known

    def _versions(self, tried: Collection[str] = ()) -> Iterator[tuple[StoredSecret, bool]]:
        """The newest enabled versions that were not tried, newest first, each with whether it is
        the newest of all. The vault is asked for the list only if the first version is not enough.
        """
        first = self._vault.get(self.secret_name)
        if first is not None and first.version not in tried:
            yield first, True
        enabled = [one.version for one in self._vault.versions(self.secret_name) if one.enabled]
        for version in enabled[:MOST_VERSIONS]:
            if version not in tried and (first is None or version != first.version):
                stored = self._vault.get_version(self.secret_name, version)
                if stored is not None:
                    yield stored, False

    def _proof(self, stored: StoredSecret, newest: bool) -> Proof:
        return Proof(self._for_msal(stored), stored.version, newest)


class ClientSecret(VaultCredential):
    """A client secret of the app registration."""

    kind = "secret"
    secret_name = CLIENT_SECRET
    turned_around = frozenset({"AADSTS7000215", "AADSTS7000222"})

    def _for_msal(self, stored: StoredSecret) -> object:
        return stored.value

    def _missing(self) -> CredentialRefused:
        return CredentialRefused(
            "no_client_secret",
            "The client secret is missing: create one in the app registration and store its value "
            f"in Key Vault as {CLIENT_SECRET}.",
        )


def shown(version: str) -> str:
    """A version in the short form that logs and pages show."""
    return version[:8]


def _most_telling(refused: Sequence[RefusedProof]) -> RefusedProof:
    """The refusal of the newest version: that version is the one to repair."""
    return next((one for one in reversed(refused) if one.proof.newest), refused[0])
