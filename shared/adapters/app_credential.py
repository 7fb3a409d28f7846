"""How the app itself proves to Entra who it is: a client secret from Key Vault, or its managed
identity as a federated credential, and then there is no secret at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from shared.errors import CredentialRefused, NotSent, RemoteRefused
from shared.services.ports import StoredSecret, Vault

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

CLIENT_SECRET = "postroom-client-secret"  # noqa: S105 - its name in the vault

# Answers that a newer client secret in the vault may turn around.
_SECRET_REFUSED = frozenset({"AADSTS7000215", "AADSTS7000222"})

# https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
EXCHANGE_AUDIENCES = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"


@dataclass(frozen=True)
class Proof:
    """What MSAL takes as `client_credential`, and which version of it this is."""

    for_msal: object = field(repr=False)
    version: str


class AppCredential(Protocol):
    """One way to prove it."""

    def proof(self) -> Proof:
        """The proof in use. Raises CredentialRefused where there is none, or NotSent."""
        ...

    def newer(self, refused: Proof, code: str) -> Proof | None:
        """Another proof to try after Entra refused one with this code."""
        ...


class ClientSecret:
    """The newest version of the vault's secret; read again when Entra refuses it."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = Lock()
        self._stored: StoredSecret | None = None

    def proof(self) -> Proof:
        """See `AppCredential`."""
        return self._current(read_again=False)

    def newer(self, refused: Proof, code: str) -> Proof | None:
        """See `AppCredential`. A secret that was rotated in the vault is picked up here."""
        if code not in _SECRET_REFUSED:
            return None
        current = self._current(read_again=True)
        return current if current.version != refused.version else None

    def _current(self, *, read_again: bool) -> Proof:
        with self._lock:
            if self._stored is None or read_again:
                try:
                    self._stored = self._vault.get(CLIENT_SECRET) or self._stored
                except RemoteRefused as error:
                    raise CredentialRefused("vault_refused", str(error)) from error
            if self._stored is None:
                raise CredentialRefused(
                    "no_client_secret",
                    "The client secret is missing: create one in the app registration and store "
                    f"its value in Key Vault as {CLIENT_SECRET}.",
                )
            return Proof(self._stored.value, self._stored.version)


class ManagedIdentity:
    """A token of the app's user-assigned identity in place of a secret."""

    def __init__(self, identity: TokenCredential, audience: str) -> None:
        self._identity = identity
        self._scope = f"{audience}/.default"

    def proof(self) -> Proof:
        """See `AppCredential`. MSAL asks for the token when it makes a request."""
        assertion: Callable[[], str] = self._assertion
        return Proof({"client_assertion": assertion}, "managed-identity")

    def newer(self, refused: Proof, code: str) -> Proof | None:
        """See `AppCredential`. There is only one."""
        return None

    def _assertion(self) -> str:
        from azure.core.exceptions import (
            ClientAuthenticationError,
            HttpResponseError,
            ServiceRequestError,
            ServiceResponseError,
        )

        try:
            return self._identity.get_token(self._scope).token
        except (ServiceRequestError, ServiceResponseError) as error:
            raise NotSent("identity", "the managed identity did not answer") from error
        except ClientAuthenticationError as error:
            raise CredentialRefused(
                "no_managed_identity",
                "The app's managed identity gave no token: assign the user-assigned identity that "
                "POSTROOM_IDENTITY_CLIENT_ID names to the app.",
            ) from error
        except HttpResponseError as error:
            raise NotSent("identity", "the managed identity did not answer") from error


def exchange_audience(authority_host: str) -> str:
    """The audience of identity tokens that the cloud's Entra takes as proof."""
    host = authority_host.removeprefix("https://")
    return EXCHANGE_AUDIENCES.get(host, EXCHANGE_AUDIENCE)
