"""The proof of identity that the app gives Entra: a secret or certificate of Key Vault
(`key_vault.credential`), or a token of its managed identity as a federated credential, which needs
no secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec

from shared.discreet import Discreet
from shared.errors import CredentialRefused, NotSent
from shared.services.sign_in.ports import CredentialVersion

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import ClientAuthenticationError

# https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
EXCHANGE_AUDIENCES = {
    "login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"


class Proof(Discreet, frozen=True):
    """What MSAL takes as `client_credential`, and its version."""

    unshown: ClassVar = frozenset({"for_msal"})

    for_msal: object
    version: str
    newest: bool = True


class RefusedProof(msgspec.Struct, frozen=True):
    """A proof that Entra refused, and why."""

    proof: Proof
    error: CredentialRefused


class AppCredential(Protocol):
    """One kind of proof. It also implements `sign_in.ports.AppCredentialStatus`."""

    def proof(self) -> Proof:
        """The proof in use. Raises CredentialRefused if there is none, or NotSent."""
        ...

    def after(self, refused: Sequence[RefusedProof]) -> Proof:
        """The next proof to try for a request that was refused with these, in the order of the
        tries.

        If there is none, raises the refusal to report, or NotSent if that could not be found out.
        """
        ...

    def worked(self, proof: Proof) -> None:
        """Tell the credential that Entra accepted this proof."""
        ...

    def describe(self) -> Sequence[CredentialVersion]:
        """See `sign_in.ports.AppCredentialStatus`."""
        ...


class ManagedIdentity:
    """A token of the app's user-assigned identity in place of a secret."""

    _KIND = "managed-identity"

    def __init__(self, identity: TokenCredential, audience: str) -> None:
        self._identity = identity
        self._scope = f"{audience}/.default"
        self._answered = False

    def proof(self) -> Proof:
        """See `AppCredential`. MSAL asks for the token when it makes a request."""
        assertion: Callable[[], str] = self._assertion
        return Proof({"client_assertion": assertion}, self._KIND)

    def after(self, refused: Sequence[RefusedProof]) -> Proof:
        """See `AppCredential`. There is no other proof."""
        self._answered = False
        raise refused[-1].error

    def worked(self, proof: Proof) -> None:
        """See `AppCredential`."""
        self._answered = True

    def describe(self) -> Sequence[CredentialVersion]:
        """See `AppCredential`. It has one version, which does not expire."""
        return [CredentialVersion(self._KIND, "", True, True, None, self._answered)]

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
            if _is_passing(error):
                raise NotSent(
                    "identity", "the managed identity's endpoint does not work now"
                ) from error
            raise CredentialRefused(
                "no_managed_identity",
                "The app's managed identity gave no token: assign the user-assigned identity that "
                "POSTROOM_IDENTITY_CLIENT_ID names to the app.",
            ) from error
        except HttpResponseError as error:
            raise NotSent("identity", "the managed identity did not answer") from error


def _is_passing(error: ClientAuthenticationError) -> bool:
    """Whether the endpoint itself failed, and not because the app has no such identity.

    UNCONFIRMED except in the SDK's source: the SDK has one error for both, and its text contains
    the status.
    """
    told = re.search(r"\(\w+\) (\d{3}), ", str(error))
    return told is not None and (told[1] == "429" or told[1].startswith("5"))


def exchange_audience(authority_host: str) -> str:
    """The audience of identity tokens that the cloud's Entra accepts as proof."""
    host = authority_host.removeprefix("https://")
    return EXCHANGE_AUDIENCES.get(host, EXCHANGE_AUDIENCE)
