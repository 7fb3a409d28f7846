"""The app's own identity in Azure, for every client that takes a token credential."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from shared.adapters.http.client import Answer, HttpClient
from shared.adapters.retrying import retried
from shared.errors import AnswerLost, NotSent

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

EARLY_SECONDS = 300
"""How long before its expiry a token is renewed."""
_ANSWER_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_PAUSES = (0.3, 1.0)
"""Seconds before the second and the third try."""
TROUBLE_SECONDS = 5.0
"""How long after a failure the endpoint is not asked again: each try may take many seconds, and all
threads of the instance wait for it."""
_API_VERSION = "2019-08-01"


class Token(NamedTuple):
    """The same fields as `azure.core.credentials.AccessToken`, which is not imported for it."""

    token: str
    expires_on: int


class _Busy(Exception):
    """The endpoint answered that it cannot answer now."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Granted(msgspec.Struct):
    access_token: str
    expires_on: str | int


class AppIdentity:
    """A token credential: the managed identity.

    On App Service, and in the local stack, `IDENTITY_ENDPOINT` answers. This class makes the one
    request itself, because importing `azure-identity` takes a sixth of a cold start. Anywhere else
    `azure-identity` is used.
    """

    def __init__(
        self,
        client_id: str | None,
        environment: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client_id = client_id
        self._environment = environment
        self._sleep = sleep
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        self._trouble: dict[str, tuple[float, Exception | None]] = {}
        self._line: HttpClient | None = None
        self._credential: TokenCredential | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """See `azure.core.credentials.TokenCredential`. Raises only azure-core's errors.

        If no newer token can be got, the current one is returned as long as it is valid.
        """
        endpoint = self._environment.get("IDENTITY_ENDPOINT")
        header = self._environment.get("IDENTITY_HEADER")
        if not endpoint or not header:
            return self._from_sdk(*scopes, **options)
        (scope,) = scopes
        with self._lock:
            kept = self._tokens.get(scope)
            wanted_anew = options.get("claims") is not None
            if kept and not wanted_anew and self._wall_clock() < kept.expires_on - EARLY_SECONDS:
                return kept  # type: ignore[return-value]
            try:
                return self._new(scope, endpoint, header)  # type: ignore[return-value]
            except Exception:
                if kept and not wanted_anew and self._wall_clock() < kept.expires_on:
                    return kept  # type: ignore[return-value]
                raise

    def _new(self, scope: str, endpoint: str, header: str) -> Token:
        until, error = self._trouble.get(scope, (0.0, None))
        if error is not None and self._wall_clock() < until:
            raise error.with_traceback(None)
        try:
            token = self._from_app_service(endpoint, header, scope.removesuffix("/.default"))
        except Exception as trouble:
            self._trouble[scope] = (self._wall_clock() + TROUBLE_SECONDS, trouble)
            raise
        self._trouble.pop(scope, None)
        self._tokens[scope] = token
        return token

    def _from_app_service(self, endpoint: str, header: str, resource: str) -> Token:
        """Ask the endpoint once.
        https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference"""
        asked = {"api-version": _API_VERSION, "resource": resource}
        if self._client_id:
            asked["client_id"] = self._client_id
        answer = self._asked(endpoint, header, f"?{urlencode(asked)}")
        if answer.status != 200:
            raise _azure("ClientAuthenticationError", f"answered {answer.status}")
        try:
            granted = msgspec.json.decode(answer.content, type=_Granted)
            return Token(granted.access_token, int(granted.expires_on))
        except (msgspec.DecodeError, ValueError):
            # For example a gateway's page.
            raise _azure("ServiceResponseError", "answered with something unreadable") from None

    def _asked(self, endpoint: str, header: str, query: str) -> Answer:
        """Ask up to three times if the fault is likely to be temporary. The request is
        idempotent."""
        if self._line is None:
            self._line = HttpClient(
                endpoint,
                system="identity",
                ca_file=None,
                connections=1,
                connect_seconds=_CONNECT_SECONDS,
                plain=endpoint.startswith("http://"),
            )
        headers = {"X-IDENTITY-HEADER": header, "Metadata": "true"}
        line = self._line

        def once() -> Answer:
            answer = line.request("GET", query, within_seconds=_ANSWER_SECONDS, headers=headers)
            if answer.status == 429 or answer.status >= 500:
                raise _Busy(answer.status)
            return answer

        try:
            return retried(once, _PAUSES, lambda _: 0.0, self._sleep)
        except NotSent as error:
            raise _azure("ServiceRequestError", "was not reached") from error
        except AnswerLost as error:
            raise _azure("ServiceResponseError", "did not answer") from error
        except _Busy as error:
            raise _azure("ServiceResponseError", f"answered {error.status}") from error

    def _from_sdk(self, *scopes: str, **options: Any) -> AccessToken:
        credential = self._built()
        try:
            return credential.get_token(*scopes, **options)
        except ValueError as error:
            # The SDK reads a gateway's page as JSON, and fails with the errors of a bug.
            from azure.core.exceptions import ServiceResponseError

            self._forget(credential)
            raise ServiceResponseError("The managed identity's answer was not JSON.") from error
        except Exception:
            self._forget(credential)
            raise

    def _forget(self, credential: TokenCredential) -> None:
        """Drop the credential after a failure: MSAL, inside it, repeats the failure for up to a
        minute without a request."""
        with self._lock:
            if self._credential is credential:
                self._credential = None

    def _built(self) -> TokenCredential:
        with self._lock:
            if self._credential is None:
                from azure.core.pipeline.transport import RequestsTransport
                from azure.identity import ManagedIdentityCredential

                from shared.adapters.http.session import BoundedSession

                transport = RequestsTransport(
                    session=BoundedSession(_ANSWER_SECONDS), use_env_settings=False
                )
                self._credential = (
                    ManagedIdentityCredential(client_id=self._client_id, transport=transport)
                    if self._client_id
                    else ManagedIdentityCredential(transport=transport)
                )
            return self._credential


def _azure(kind: str, trouble: str) -> Exception:
    """An error of azure-core, which is imported only when an error occurs."""
    from azure.core import exceptions

    error: Exception = getattr(exceptions, kind)(f"The managed identity's endpoint {trouble}.")
    return error
