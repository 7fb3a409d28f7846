"""Authorises requests to storage: with the account's key in development, with the app's identity in
Azure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from shared.errors import NotSent

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_EMULATOR = (
    "AccountName=devstoreaccount1;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
    # The key that every emulator has, as its documentation states it.
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
SCOPE = "https://storage.azure.com/.default"


class StorageAccess(Protocol):
    """Authorises a request."""

    def sign(self, method: str, path: str, query: str, headers: MutableMapping[str, str]) -> str:
        """Add to the headers what authorises the request. Returns path and query as they are
        sent."""
        ...


class AccountKey:
    """The key of a connection string: Shared Key Lite, as the Table service takes it.

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """

    def __init__(self, account: str, key: str, url: str) -> None:
        self._account = account
        self._key = base64.b64decode(key)
        self._base = urlsplit(url).path.rstrip("/")

    def sign(self, method: str, path: str, query: str, headers: MutableMapping[str, str]) -> str:
        """See `StorageAccess`."""
        text = f"{headers['x-ms-date']}\n/{self._account}{self._base}{path}"
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        headers["Authorization"] = f"SharedKeyLite {self._account}:{signature}"
        return _target(path, query)


class SharedAccess:
    """The shared access signature of a connection string. It is appended to each address."""

    def __init__(self, signature: str) -> None:
        self._signature = signature.lstrip("?")

    def sign(self, method: str, path: str, query: str, headers: MutableMapping[str, str]) -> str:
        """See `StorageAccess`."""
        return _target(path, f"{query}&{self._signature}" if query else self._signature)


class Bearer:
    """Tokens of the app's identity. The identity caches them as long as they are valid."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    def sign(self, method: str, path: str, query: str, headers: MutableMapping[str, str]) -> str:
        """See `StorageAccess`. Raises NotSent if there is no token."""
        try:
            token = self._credential.get_token(SCOPE).token
        except Exception as error:
            from azure.core.exceptions import AzureError

            if not isinstance(error, AzureError):
                raise
            raise NotSent("storage", "the app's identity got no token for storage") from error
        headers["Authorization"] = f"Bearer {token}"
        return _target(path, query)


def read_connection_string(text: str) -> tuple[str, StorageAccess]:
    """The Table service's address, and the way to authorise requests. Raises ValueError, which does
    not quote the text.

    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    """
    if text.replace(" ", "").lower().rstrip(";") == "usedevelopmentstorage=true":
        text = _EMULATOR
    parts = dict(part.partition("=")[::2] for part in text.strip().strip(";").split(";"))
    account, key = parts.get("AccountName"), parts.get("AccountKey")
    url = parts.get("TableEndpoint")
    if url is None and account:
        scheme = parts.get("DefaultEndpointsProtocol", "https")
        suffix = parts.get("EndpointSuffix", "core.windows.net")
        url = f"{scheme}://{account}.table.{suffix}"
    if url and "SharedAccessSignature" in parts:
        return url, SharedAccess(parts["SharedAccessSignature"])
    if not url or not account or not key:
        raise ValueError("The connection string AzureWebJobsStorage names no account with a key.")
    return url, AccountKey(account, key, url)


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
