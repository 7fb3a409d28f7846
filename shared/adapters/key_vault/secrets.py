"""Azure Key Vault secrets: implements `sign_in.ports.Vault`, `sign_in.ports.VaultHistory` and
`upkeep.ports.SecretShelf`.

`key_vault.reading` reads secrets; all other calls use Microsoft's SDK, imported at first use. The
SDK's own retries are off: they would sleep for as long as the vault's Retry-After says while a
worker waits. Here a call ends within seconds, and a long Retry-After is reported to the caller,
which can postpone the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from shared.adapters.key_vault.reading import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    PAUSES,
    SecretReader,
    refused,
    wait_of,
)
from shared.adapters.retrying import retried
from shared.errors import AnswerLost, NotSent, RemoteError, RemoteRefused
from shared.mail.backoff import whole_seconds
from shared.services.sign_in.ports import Destruction, SecretVersion, StoredSecret
from shared.services.upkeep.ports import ListedSecret

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.secrets import DeletedSecret, KeyVaultSecret, SecretClient

MAX_VALUE_BYTES = 25_000
"""Key Vault's limit is 25 k bytes.
https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
"""
_RECOVERY_PAUSES = (1.0, 2.0, 3.0, 4.0, 5.0)
_SETTLING = frozenset({"ObjectIsBeingDeleted", "ObjectIsBeingRecovered"})

T = TypeVar("T")


class KeyVault:
    """One vault. `credential` proves the app's identity to the vault."""

    def __init__(
        self,
        vault_url: str,
        credential: TokenCredential,
        *,
        ca_file: str | None = None,
        development: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._vault_url = vault_url
        self._credential = credential
        self._ca_file = ca_file
        self._development = development
        self._sleep = sleep
        self._reader = SecretReader(
            vault_url, credential, ca_file=ca_file, development=development, sleep=sleep
        )
        self._client: SecretClient | None = None
        self._building = Lock()

    def get(self, name: str) -> StoredSecret | None:
        """The newest version; None if the name is unknown, deleted or disabled."""
        return self.get_version(name, "")

    def get_version(self, name: str, version: str) -> StoredSecret | None:
        """One version; None if it is unknown, deleted or disabled."""
        return self._reader.get(name, version)

    def versions(self, name: str) -> Sequence[SecretVersion]:
        """Every version, newest first. Raises RemoteRefused if the app may not list them."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        try:
            found = self._tried(
                lambda client: list(client.list_properties_of_secret_versions(name)), reading=True
            )
        except ResourceNotFoundError:
            return ()
        except HttpResponseError as error:
            raise _refused(error) from error
        versions = [
            SecretVersion(
                one.version or "",
                bool(one.enabled),
                one.created_on or datetime.now(UTC),
                one.expires_on,
            )
            for one in reversed(found)
        ]
        return sorted(versions, key=lambda one: one.created_at, reverse=True)

    def listed(self, prefix: str) -> Iterator[ListedSecret]:
        """See `SecretShelf`. Reads the list page by page; each secret appears once, with its newest
        version."""
        from azure.core.exceptions import HttpResponseError

        try:
            found = self._tried(
                lambda client: [
                    ListedSecret(
                        one.name, max(filter(None, (one.created_on, one.updated_on)), default=None)
                    )
                    for one in client.list_properties_of_secrets()
                    if one.name and one.name.startswith(prefix)
                ],
                reading=True,
            )
        except HttpResponseError as error:
            raise _refused(error) from error
        return iter(found)

    def set(
        self,
        name: str,
        value: str,
        tags: Mapping[str, str] | None = None,
        *,
        expires_at: datetime | None = None,
    ) -> StoredSecret:
        """Write a new version. A soft-deleted secret of that name is recovered first.

        Raises RemoteRefused, NotSent, or AnswerLost. After AnswerLost a second version may exist.
        """
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise RemoteRefused(
                "vault", f"The value is larger than the {MAX_VALUE_BYTES} bytes of a vault secret."
            )
        from azure.core.exceptions import HttpResponseError, ResourceExistsError

        def write(client: SecretClient) -> KeyVaultSecret:
            return client.set_secret(
                name, value, tags=dict(tags) if tags else None, expires_on=expires_at
            )

        recovered = False
        for pause in (*_RECOVERY_PAUSES, None):
            try:
                return _stored(self._tried(write, reading=False))
            except ResourceExistsError as error:
                # The name of a deleted secret stays taken as long as the secret can be recovered.
                # https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
                code = _inner_code(error)
                if code == "ObjectIsDeletedButRecoverable" and not recovered:
                    self._recover(name)
                    recovered = True
                elif code != "ObjectIsDeletedButRecoverable" and code not in _SETTLING:
                    raise _refused(error) from error
                if pause is None:
                    break
                self._sleep(pause)
            except HttpResponseError as error:
                raise _refused(error) from error
        raise NotSent("vault", "Key Vault is still busy with the secret's deletion.")

    def remove(self, name: str) -> None:
        """Make every version unreadable, then delete the secret; harmless if it does not exist.

        Old versions could be read as long as the secret can be recovered, so they are disabled
        first. Raises RemoteRefused if the app's identity may not delete.
        """
        self._removed(name)

    def _removed(self, name: str) -> bool:
        """Remove the secret; returns whether there was one."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        def disable_and_delete(client: SecretClient) -> None:
            for version in client.list_properties_of_secret_versions(name):
                if version.enabled:
                    client.update_secret_properties(name, version.version, enabled=False)
            client.begin_delete_secret(name)

        try:
            self._tried(disable_and_delete, reading=True)
        except ResourceNotFoundError:
            return False
        except HttpResponseError as error:
            raise _refused(error) from error
        return True

    def destroy(self, name: str) -> Destruction:
        """See `Shredder`. A vault with purge protection, or one whose role for the app does not
        include purging, keeps the deleted secret, unreadable, until the time that it says.

        https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
        """
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        was_there = self._removed(name)
        deleted = self._deleted(name, _RECOVERY_PAUSES if was_there else _RECOVERY_PAUSES[:1])
        if deleted is None:
            return Destruction(purged=not was_there)
        kept = Destruction(purged=False, gone_at=deleted.scheduled_purge_date)
        # For example `Recoverable+Purgeable`; the SDK returns it as text or as a member of its
        # enumeration.
        if "purgeable" not in str(deleted.properties.recovery_level or "purgeable").lower():
            return kept
        try:
            retried(
                lambda: self._tried(lambda client: client.purge_deleted_secret(name), reading=True),
                _RECOVERY_PAUSES,
                _while_settling,
                self._sleep,
            )
        except ResourceNotFoundError:
            pass  # another call did it
        except (HttpResponseError, RemoteRefused):
            return kept
        return Destruction(purged=True)

    def _deleted(self, name: str, pauses: Sequence[float]) -> DeletedSecret | None:
        """The deleted secret, which appears a moment after the deletion; None if it does not
        appear."""
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        try:
            return retried(
                lambda: self._tried(lambda client: client.get_deleted_secret(name), reading=True),
                pauses,
                lambda error: 0.0 if isinstance(error, ResourceNotFoundError) else None,
                self._sleep,
            )
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            raise _refused(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        if self._client is not None:
            self._client.close()

    def _recover(self, name: str) -> None:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        try:
            self._tried(lambda client: client.begin_recover_deleted_secret(name), reading=True)
        except ResourceNotFoundError:
            return  # another instance recovered it
        except HttpResponseError as error:
            if _inner_code(error) not in _SETTLING:
                raise _refused(error) from error

    def _tried(self, call: Callable[[SecretClient], T], *, reading: bool) -> T:
        """The call's result, tried up to three times if the fault is likely to be temporary.

        HTTP errors that are permanent are raised as the SDK's own errors.
        """

        def once() -> T:
            with _translated(reading=reading):
                return call(self._built())

        return retried(once, PAUSES, wait_of, self._sleep)

    def _built(self) -> SecretClient:
        with self._building:
            if self._client is None:
                from azure.core.pipeline.transport import RequestsTransport
                from azure.keyvault.secrets import SecretClient

                from shared.adapters.http.session import BoundedSession

                self._client = SecretClient(
                    self._vault_url,
                    self._credential,
                    # Only a simulator in development announces a resource that is not its own host.
                    verify_challenge_resource=not self._development,
                    retry_total=0,
                    transport=RequestsTransport(
                        session=BoundedSession(ANSWER_SECONDS),
                        use_env_settings=False,
                        connection_timeout=CONNECT_SECONDS,
                        read_timeout=ANSWER_SECONDS,
                        connection_verify=self._ca_file or True,
                    ),
                )
            return self._client


@contextmanager
def _translated(*, reading: bool) -> Iterator[None]:
    """Turn the SDK's transport errors and temporary errors into Postroom's; permanent refusals pass
    unchanged."""
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    try:
        yield
    except ClientAuthenticationError as error:
        raise _refused(error) from error
    except ServiceRequestError as error:
        raise NotSent("vault", "Key Vault cannot be reached.") from error
    except ServiceResponseError as error:
        raise _silence(reading) from error
    except HttpResponseError as error:
        status = error.status_code or 0
        if status in (408, 429) or status >= 500:
            raise NotSent(
                "vault", f"Key Vault answered {status}.", retry_after=_retry_after(error)
            ) from error
        raise


def _silence(reading: bool) -> RemoteError:
    message = "Key Vault's answer did not come."
    return NotSent("vault", message) if reading else AnswerLost("vault", message)


def _stored(secret: KeyVaultSecret) -> StoredSecret:
    about = secret.properties
    return StoredSecret(
        secret.value or "",
        about.version or "",
        about.created_on or datetime.now(UTC),
        about.expires_on,
        about.content_type,
    )


def _inner_code(error: HttpResponseError) -> str:
    """Key Vault's inner error code, such as `ForbiddenByRbac`; the outer one if there is none."""
    body = error.error
    inner = getattr(body, "innererror", None)
    code = inner.get("code") if isinstance(inner, Mapping) else None
    return str(code or getattr(body, "code", None) or "")


def _retry_after(error: HttpResponseError) -> float | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return whole_seconds(headers.get("Retry-After"))


def _refused(error: HttpResponseError) -> RemoteRefused:
    return refused(error.status_code, _inner_code(error))


def _while_settling(error: Exception) -> float | None:
    """A vault refuses to purge a secret as long as its deletion is under way."""
    from azure.core.exceptions import HttpResponseError

    settling = isinstance(error, HttpResponseError) and _inner_code(error) in _SETTLING
    return 0.0 if settling else None
