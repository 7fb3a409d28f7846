"""Exchanges a refresh token at Entra's token endpoint without MSAL. Every cold start does this.

MSAL and its imports take an eighth of a cold start. MSAL also asks for the authority's metadata
first, but needs only one address of it, which is documented. Sign-ins, and proofs that must be
signed, stay with MSAL (`identity_platform`).
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from shared.adapters.http.client import HttpClient
from shared.errors import AnswerLost, NotSent
from shared.mail.backoff import whole_seconds

CONNECT_SECONDS = 10
ANSWER_SECONDS = 20
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALWAYS = ("openid", "profile", "offline_access")


class TokenResponse(NamedTuple):
    """Entra's answer to a token request."""

    result: Mapping[str, Any]
    status: int
    retry_after: float | None


def shown(for_msal: object) -> Callable[[], Mapping[str, str]] | None:
    """Returns the form fields that prove the app's identity; None if MSAL must make them."""
    if isinstance(for_msal, str):
        secret = for_msal
        return lambda: {"client_secret": secret}
    if isinstance(for_msal, Mapping) and callable(for_msal.get("client_assertion")):
        assertion: Callable[[], str] = for_msal["client_assertion"]
        return lambda: {"client_assertion_type": _ASSERTION, "client_assertion": assertion()}
    return None


class TokenEndpoint:
    """The token endpoints of all authorities of one cloud."""

    def __init__(self, authority_host: str, client_id: str, ca_file: str | None) -> None:
        self._authority_host = authority_host
        self._client_id = client_id
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._line: HttpClient | None = None

    def refresh(
        self,
        authority: str,
        proof: Mapping[str, str],
        refresh_token: str,
        scopes: Sequence[str],
    ) -> TokenResponse:
        """One request. Raises NotSent if no usable answer came: the old token stays valid."""
        form = {
            "client_id": self._client_id,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "scope": " ".join((*scopes, *_ALWAYS)),
            **proof,
        }
        try:
            answer = self._shared_line().request(
                "POST",
                f"/{quote(authority, safe='')}/oauth2/v2.0/token",
                within_seconds=ANSWER_SECONDS,
                headers={
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                },
                body=urlencode(form).encode(),
            )
        except (NotSent, AnswerLost) as error:
            where = urlsplit(self._authority_host).hostname
            raise NotSent("entra", f"{where} did not answer.") from error
        retry_after = whole_seconds(answer.headers.get("Retry-After"))
        if answer.status >= 500:
            raise NotSent(
                "entra", f"Microsoft's sign-in answered {answer.status}.", retry_after=retry_after
            )
        try:
            result = msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise NotSent(
                "entra",
                f"Microsoft's sign-in answered {answer.status} with something unreadable.",
                retry_after=retry_after,
            ) from None
        return TokenResponse(result, answer.status, retry_after)

    def close(self) -> None:
        """Close the connections."""
        if self._line is not None:
            self._line.close()

    def _shared_line(self) -> HttpClient:
        with self._lock:
            if self._line is None:
                self._line = HttpClient(
                    self._authority_host,
                    system="entra",
                    ca_file=self._ca_file,
                    connections=4,
                    connect_seconds=CONNECT_SECONDS,
                )
            return self._line
