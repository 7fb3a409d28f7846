"""One vault: the caller's rights, the secrets, and the deleted secrets that can be recovered.

https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local.simulator.clock import Clock
from local.simulator.entra.tokens import VAULT_AUDIENCE, AccessTokens, ExpiredToken, TokenProblem
from local.simulator.entra.tokens import WrongAudience as TokenWrongAudience
from local.simulator.key_vault.backup import Backups
from local.simulator.key_vault.errors import (
    BadParameter,
    ForbiddenByRbac,
    IsBeingDeleted,
    IsBeingRecovered,
    IsDeleted,
    IsInUse,
    SecretDisabled,
    SecretNotFound,
    Throttled,
    Unauthorized,
)
from local.simulator.key_vault.secret import Secret, Version, check_name, new_version
from local.simulator.options import Options

API_VERSIONS = (
    "2026-04-01",
    "2025-07-01",
    "7.6",
    "7.5",
    "7.4",
    "7.3",
    "7.2",
    "7.1",
    "7.0",
    "2016-10-01",
)
"""Newest first (entra-oauth.md 6.1)."""
WITHOUT_RECOVERABLE_DAYS = ("7.0", "2016-10-01")
"""The versions whose attributes have no `recoverableDays`
(https://learn.microsoft.com/rest/api/keyvault/)."""
ACTIONS = {"get": "getSecret", "set": "setSecret", "list": "readMetadata"}
"""Names of actions in a role that are not those of the operation
(https://learn.microsoft.com/azure/role-based-access-control/permissions/security)."""
RECOVERABLE_DAYS = 90
DAY = 24 * 3600
THROTTLE_WINDOW_SECONDS = 10.0


_CONFLICT = (
    "There was a conflict restoring the secret '{}'. This can happen if either: a second secret with "
    "the same name was created after the first secret was deleted; thus trying to restore a secret "
    "whose name is already in use. To fix this, rename the second secret to something else so that "
    "the restore works. The second probable cause of this exception is when multiple operations are "
    "performed in parallel against the secret. To avoid this error, perform operations against a "
    "secret in a sequential manner."
)


@dataclass(frozen=True)
class VaultOptions(Options):
    """Switches of the vault."""

    vault_requests_per_10s: int = 4000
    vault_denied: Sequence[str] = ()
    """Actions that the caller's role lacks: get, set, list, update, delete, recover, purge, backup,
    restore."""
    vault_purge_protection: bool = False
    vault_deletion_seconds: float = 0.0
    """How long a deletion takes to finish."""
    vault_recovery_seconds: float = 0.0


class VaultState:
    """Secrets by lower-case name. Every method raises a VaultError if the vault would refuse."""

    def __init__(self, clock: Clock, tokens: AccessTokens) -> None:
        self._clock = clock
        self._tokens = tokens
        self._lock = threading.RLock()
        self._backups = Backups()
        self.reset()

    def reset(self) -> None:
        """An empty vault with default switches."""
        with self._lock:
            self.options = VaultOptions()
            self._secrets: dict[str, Secret] = {}
            self._recent: deque[float] = deque()

    # Rights

    def authorize(self, token: str | None, action: str) -> None:
        """Refuse a missing or wrong token, and an action that the caller's role lacks."""
        if not token:
            raise Unauthorized
        try:
            self._tokens.find(token, VAULT_AUDIENCE)
        except TokenWrongAudience as error:
            raise Unauthorized("AKV10022: Invalid audience.") from error
        except ExpiredToken as error:
            raise Unauthorized("AKV10033: The token is expired.") from error
        except TokenProblem as error:
            raise Unauthorized("AKV10032: Invalid issuer.") from error
        if action in self.options.vault_denied:
            raise ForbiddenByRbac(
                "Caller is not authorized to perform action on resource. Action: "
                f"'Microsoft.KeyVault/vaults/secrets/{ACTIONS.get(action, action)}/action'"
            )

    def admit(self) -> None:
        """Count a request against the vault's rate. Raises Throttled."""
        now = self._clock.time()
        with self._lock:
            while self._recent and not now - THROTTLE_WINDOW_SECONDS < self._recent[0] <= now:
                self._recent.popleft()
            self._recent.append(now)
            if len(self._recent) > self.options.vault_requests_per_10s:
                raise Throttled

    def check_version(self, api_version: str | None) -> None:
        """`api-version` is mandatory. The answer to an unknown one is UNCONFIRMED (entra-oauth.md
        10)."""
        if not api_version:
            raise BadParameter("The request is missing the required parameter 'api-version'.")
        if api_version not in API_VERSIONS:
            raise BadParameter(
                f"The specified version ({api_version}) is not recognized. Consider using the latest "
                f"supported version ({API_VERSIONS[0]})."
            )

    # Secrets

    def set(self, name: str, document: Any) -> tuple[Secret, Version]:
        """Write a secret: always a new version."""
        check_name(name)
        with self._lock:
            version = new_version(document, self._now())
            secret = self._secrets.get(name.lower())
            if secret is None or self._is_over(secret):
                secret = self._secrets[name.lower()] = Secret(name)
            self._refuse_unsettled(secret)
            secret.versions.append(version)
            return secret, version

    def get(self, name: str, identifier: str = "") -> tuple[Secret, Version]:
        """The newest version, or the named one; a disabled version cannot be read."""
        with self._lock:
            secret = self._live(name)
            version = secret.version(identifier)
            if not version.enabled:
                raise SecretDisabled
            return secret, version

    def update(self, name: str, identifier: str, document: Any) -> tuple[Secret, Version]:
        """Change properties of a version, disabled or not."""
        if not isinstance(document, dict):
            raise BadParameter("The request body must be a JSON object.")
        with self._lock:
            secret = self._live(name)
            version = secret.version(identifier)
            version.update(document, self._now())
            return secret, version

    def secrets(self) -> list[Secret]:
        """All live secrets by name."""
        with self._lock:
            live = [s for s in self._secrets.values() if s.deleted_at is None]
            return sorted(live, key=lambda secret: secret.name.lower())

    def versions(self, name: str) -> tuple[Secret, list[Version]]:
        """All versions, oldest first; an unknown name has none (Azure/azure-powershell#14823)."""
        with self._lock:
            try:
                secret = self._live(name)
            except SecretNotFound:
                secret = Secret(name)
            return secret, list(secret.versions)

    # Backups

    def backup(self, name: str) -> str:
        """A secret with all its versions, disabled or not, as one text."""
        with self._lock:
            return self._backups.seal(self._live(name))

    def restore(self, document: Any, address: Callable[[Secret, Version], str]) -> Secret:
        """Bring the secret of a backup back under its name, with its versions. `address` is the
        identifier of a version, for the error."""
        found = self._backups.open(document.get("value") if isinstance(document, dict) else None)
        with self._lock:
            present = self._secrets.get(found.name.lower())
            if present is not None and not self._is_over(present):
                self._refuse_unsettled(present)
                raise IsInUse(_CONFLICT.format(address(found, found.version())))
            self._secrets[found.name.lower()] = found
            return found

    # Deleted secrets

    def delete(self, name: str) -> Secret:
        """Soft delete: the secret leaves the list at once, and can be recovered for ninety days."""
        with self._lock:
            secret = self._live(name)
            secret.deleted_at = self._clock.time()
            secret.settles_at = secret.deleted_at + self.options.vault_deletion_seconds
            return secret

    def deleted(self, name: str) -> Secret:
        """A deleted secret, once its deletion has finished."""
        with self._lock:
            secret = self._deleted(name)
            if self._unsettled(secret):
                raise SecretNotFound(f"Deleted Secret not found: {name}")
            return secret

    def deleted_secrets(self) -> list[Secret]:
        """All secrets that can be recovered, by name."""
        with self._lock:
            gone = [s for s in self._secrets.values() if s.deleted_at and not self._is_over(s)]
            return sorted(gone, key=lambda secret: secret.name.lower())

    def recover(self, name: str) -> Secret:
        """Bring a deleted secret back with all its versions."""
        with self._lock:
            secret = self._deleted(name)
            if self._unsettled(secret):
                raise IsBeingDeleted(f"Secret {name} is currently being deleted.")
            secret.deleted_at = None
            secret.settles_at = self._clock.time() + self.options.vault_recovery_seconds
            return secret

    def purge(self, name: str) -> None:
        """Remove a deleted secret for good."""
        with self._lock:
            secret = self._deleted(name)
            if self.options.vault_purge_protection:
                raise ForbiddenByRbac('Operation "purge" is not allowed: purge protection is on.')
            if self._unsettled(secret):
                raise IsBeingDeleted(f"Secret {name} is currently being deleted.")
            del self._secrets[name.lower()]

    def _live(self, name: str) -> Secret:
        check_name(name)
        secret = self._secrets.get(name.lower())
        if secret is None or secret.deleted_at is not None or self._unsettled(secret):
            raise SecretNotFound(
                f"A secret with (name/id) {name} was not found in this key vault. If you recently "
                "deleted this secret you may be able to recover it using the correct recovery command."
            )
        return secret

    def _deleted(self, name: str) -> Secret:
        check_name(name)
        secret = self._secrets.get(name.lower())
        if secret is None or secret.deleted_at is None or self._is_over(secret):
            raise SecretNotFound(f"Deleted Secret not found: {name}")
        return secret

    def _refuse_unsettled(self, secret: Secret) -> None:
        if secret.deleted_at is None:
            if self._unsettled(secret):
                raise IsBeingRecovered(f"Secret {secret.name} is currently being recovered.")
            return
        if self._unsettled(secret):
            raise IsBeingDeleted(f"Secret {secret.name} is currently being deleted.")
        raise IsDeleted(
            f"Secret {secret.name} is currently in a deleted but recoverable state, and its name "
            "cannot be reused; in this state, the secret can only be recovered or purged."
        )

    def _unsettled(self, secret: Secret) -> bool:
        return self._clock.time() < secret.settles_at

    def _is_over(self, secret: Secret) -> bool:
        deleted_at = secret.deleted_at
        return deleted_at is not None and self._clock.time() > deleted_at + RECOVERABLE_DAYS * DAY

    def _now(self) -> int:
        return int(self._clock.time())
