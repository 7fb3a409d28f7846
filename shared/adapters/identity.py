"""The app's own identity in Azure, built on first use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential


class AppIdentity:
    """A token credential: the managed identity, whose SDK is imported when a token is needed.

    On a laptop the local stack answers at `IDENTITY_ENDPOINT` as App Service would.
    """

    def __init__(self, client_id: str | None = None) -> None:
        self._client_id = client_id
        self._lock = threading.Lock()
        self._credential: TokenCredential | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """See `azure.core.credentials.TokenCredential`.

        Raises azure-core's errors alone: the SDK reads a gateway's page as JSON, and fails as a
        bug would.
        """
        credential = self._built()
        try:
            return credential.get_token(*scopes, **options)
        except ValueError as error:
            from azure.core.exceptions import ServiceResponseError

            self._forget(credential)
            raise ServiceResponseError("The managed identity's answer was not JSON.") from error
        except Exception:
            self._forget(credential)
            raise

    def _forget(self, credential: TokenCredential) -> None:
        """Begin anew after a failure: MSAL, inside, repeats it for up to a minute without asking."""
        with self._lock:
            if self._credential is credential:
                self._credential = None

    def _built(self) -> TokenCredential:
        with self._lock:
            if self._credential is None:
                from azure.identity import ManagedIdentityCredential

                self._credential = (
                    ManagedIdentityCredential(client_id=self._client_id)
                    if self._client_id
                    else ManagedIdentityCredential()
                )
            return self._credential
