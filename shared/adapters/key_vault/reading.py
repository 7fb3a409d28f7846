"""Reads a secret of Key Vault without the SDK, because every cold start does this.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import msgspec

from shared.adapters.http.client import Answer, HttpClient
from shared.adapters.retrying import retried
from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.mail.backoff import whole_seconds
from shared.services.sign_in.ports import StoredSecret

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
PAUSES = (0.3, 1.2)
"""Seconds before the second and the third try."""
LONGEST_PAUSE = 2
"""Seconds. A longer wait is reported to the caller, which can postpone the work."""
_API_VERSION = "7.5"
_PUBLIC = "https://vault.azure.net"

_REMEDIES = {
    "ForbiddenByRbac": "give the app's identity a role that may read and set secrets; a new "
    "assignment takes some minutes to work.",
    "ForbiddenByPolicy": "the vault's access policy must let the app's identity get and set "
    "secrets.",
    "ForbiddenByFirewall": "the vault's firewall must let the app in.",
    "SecretDisabled": "the secret is disabled in the vault.",
}


class SecretReader:
    """Reads from one vault. `credential` proves the app's identity to the vault."""

    def __init__(
        self,
        vault_url: str,
        credential: TokenCredential,
        *,
        ca_file: str | None,
        development: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._vault_url = vault_url
        self._scope = f"{_PUBLIC if development else resource_of(vault_url)}/.default"
        self._credential = credential
        self._ca_file = ca_file
        self._sleep = sleep
        self._line: HttpClient | None = None

    def get(self, name: str, version: str) -> StoredSecret | None:
        """A version of a secret, or the newest one if `version` is empty; None if there is no
        enabled one.

        Raises RemoteRefused, or NotSent. A lost answer is also NotSent, because reading again is
        harmless.
        """
        path = f"/secrets/{quote(name, safe='')}/{quote(version, safe='')}"
        return retried(
            lambda: _read(self._asked(f"{path.rstrip('/')}?api-version={_API_VERSION}")),
            PAUSES,
            wait_of,
            self._sleep,
        )

    def close(self) -> None:
        """Close the connections."""
        if self._line is not None:
            self._line.close()

    def _asked(self, path: str) -> Answer:
        if self._line is None:
            self._line = HttpClient(
                self._vault_url,
                system="vault",
                ca_file=self._ca_file,
                connections=4,
                connect_seconds=CONNECT_SECONDS,
            )
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        try:
            return self._line.request("GET", path, within_seconds=ANSWER_SECONDS, headers=headers)
        except NotSent as error:
            raise NotSent("vault", "Key Vault cannot be reached.") from error
        except AnswerLost as error:
            raise NotSent("vault", "Key Vault's answer did not come.") from error

    def _token(self) -> str:
        try:
            return self._credential.get_token(self._scope).token
        except Exception as error:
            from azure.core.exceptions import (
                AzureError,
                ClientAuthenticationError,
                ServiceRequestError,
            )

            if isinstance(error, ClientAuthenticationError):
                raise refused(401, "") from error
            if isinstance(error, ServiceRequestError):
                raise NotSent("vault", "Key Vault cannot be reached.") from error
            if isinstance(error, AzureError):
                raise NotSent("vault", "Key Vault's answer did not come.") from error
            raise


def resource_of(vault_url: str) -> str:
    """The resource of a token for a vault: all vaults of its cloud. It is derived from the vault's
    address.

    https://learn.microsoft.com/azure/key-vault/general/authentication
    """
    return f"https://{(urlsplit(vault_url).hostname or '').partition('.')[2]}"


def refused(status: int | None, code: str) -> RemoteRefused:
    """The error for a permanent refusal of the vault; `code` is the inner error code if there is
    one."""
    if status in (None, 401):
        return RemoteRefused(
            "vault",
            "Key Vault did not accept the app's identity: check the managed identity and "
            "POSTROOM_IDENTITY_CLIENT_ID.",
        )
    remedy = _REMEDIES.get(code, "see the vault's logs.")
    known = code if code in _REMEDIES else None
    named = f" ({known})" if known else ""
    return RemoteRefused("vault", f"Key Vault refused{named}: {remedy}", code=known)


class _Attributes(msgspec.Struct):
    created: int | None = None
    exp: int | None = None


class _Secret(msgspec.Struct):
    id: str
    value: str
    contentType: str | None = None
    attributes: _Attributes = msgspec.field(default_factory=_Attributes)


class _Inner(msgspec.Struct):
    code: str = ""


class _Wrong(msgspec.Struct):
    code: str = ""
    innererror: _Inner | None = None


class _Refusal(msgspec.Struct):
    error: _Wrong


def _read(answer: Answer) -> StoredSecret | None:
    if answer.status == 404:
        return None
    if answer.status in (408, 429) or answer.status >= 500:
        raise NotSent(
            "vault",
            f"Key Vault answered {answer.status}.",
            retry_after=whole_seconds(answer.headers.get("Retry-After")),
        )
    if answer.status != 200:
        code = _code(answer)
        if code == "SecretDisabled":
            return None
        raise refused(answer.status, code)
    try:
        secret = msgspec.json.decode(answer.content, type=_Secret)
        created, expires = secret.attributes.created, secret.attributes.exp
        return StoredSecret(
            secret.value,
            secret.id.rstrip("/").rpartition("/")[2],
            datetime.now(UTC) if created is None else datetime.fromtimestamp(created, UTC),
            None if expires is None else datetime.fromtimestamp(expires, UTC),
            secret.contentType,
        )
    except (msgspec.DecodeError, ValueError, OverflowError, OSError):
        # For example a gateway's page. If it were read as a secret without a value, a new secret
        # would replace the old one. Not chained: the error may quote what was read.
        raise NotSent("vault", "Key Vault answered with something unreadable.") from None


def _code(answer: Answer) -> str:
    try:
        wrong = msgspec.json.decode(answer.content, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return wrong.innererror.code if wrong.innererror else wrong.code


def wait_of(error: Exception) -> float | None:
    """How long the vault asks to wait before a call is made again; None if that is too long, or the
    fault is not temporary."""
    if not isinstance(error, (NotSent, AnswerLost)):
        return None
    wait = error.retry_after or 0.0
    return wait if wait <= LONGEST_PAUSE else None
