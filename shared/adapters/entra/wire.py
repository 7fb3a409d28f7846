"""An HTTP client for MSAL that keeps the parts of Entra's answers that MSAL drops."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.adapters.entra.token_endpoint import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
)
from shared.errors import NotSent
from shared.mail.backoff import whole_seconds
from shared.mail.guid import GUID

if TYPE_CHECKING:
    import requests


class Wire:
    """The HTTP client of one MSAL call: with time-outs, without redirects. It remembers
    Retry-After."""

    def __init__(self, session: requests.Session, ca_file: str | None) -> None:
        self._session = session
        self._ca_file = ca_file
        self.status: int | None = None
        self.retry_after: float | None = None

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._request("GET", url, options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._request("POST", url, options)

    def close(self) -> None:
        """Do nothing: the session is used by later calls."""

    def _request(self, method: str, url: str, options: Mapping[str, Any]) -> requests.Response:
        import requests

        try:
            response = self._session.request(
                method,
                url,
                params=options.get("params"),
                data=options.get("data"),
                headers=options.get("headers"),
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                # Set on the request: on the session, REQUESTS_CA_BUNDLE would override it.
                verify=self._ca_file or True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            where = urlsplit(url).hostname
            raise NotSent("entra", f"{where} did not answer.") from error
        self.status = response.status_code
        self.retry_after = whole_seconds(response.headers.get("Retry-After"))
        if response.status_code < 500 and not _is_json_object(response.text):
            # MSAL would write such a body into its log.
            raise NotSent(
                "entra",
                f"Microsoft's sign-in answered {self.status} with something unreadable.",
                retry_after=self.retry_after,
            )
        return response


def tenant_in(endpoint: str) -> str | None:
    """The tenant id in a token endpoint. Microsoft writes it there also if the request named a
    domain."""
    first = urlsplit(endpoint).path.strip("/").partition("/")[0].lower()
    return first if GUID.fullmatch(first) else None


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
