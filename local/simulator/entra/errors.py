"""Entra's errors: the exception with an AADSTS number, and its JSON document."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from local.simulator.entra.catalogue import CATALOGUE
from local.simulator.entra.meaning import Meaning

ERROR_PAGE = "https://login.microsoftonline.com/error?code={}"
STATUS = {"invalid_client": 401, "temporarily_unavailable": 503, "server_error": 500}
"""HTTP statuses other than 400 at the token endpoint (entra-oauth.md 4.1)."""


class EntraError(Exception):
    """A refusal with its AADSTS number; `details` fill the placeholders of the text.

    `unsupported` names what the simulator does not have, for the request log: Entra would serve it.
    """

    def __init__(
        self,
        code: int,
        *,
        error: str | None = None,
        claims: str | None = None,
        unsupported: str | None = None,
        **details: str,
    ) -> None:
        meaning = CATALOGUE.get(code, Meaning("invalid_grant", "The request was refused."))
        self.code = code
        self.error = error or meaning.error
        self.suberror = meaning.suberror
        self.page = meaning.page
        self.claims = claims
        """The claims that a client may send to authorize, so that the person is asked for what is
        missing."""
        self.unsupported = unsupported
        self.text = meaning.text.format_map(_Details(details))
        super().__init__(f"AADSTS{code}")

    @property
    def status(self) -> int:
        """HTTP status at the token endpoint."""
        return STATUS.get(self.error, 400)

    @property
    def summary(self) -> str:
        """The text that a page or a redirect shows."""
        return f"AADSTS{self.code}: {self.text}"


class _Details(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def document(error: EntraError, now: datetime, correlation_id: str | None) -> dict[str, Any]:
    """The token endpoint's error object (entra-oauth.md 4.1)."""
    trace_id = str(uuid.uuid4())
    correlation_id = correlation_id or str(uuid.uuid4())
    timestamp = f"{now:%Y-%m-%d %H:%M:%S}Z"
    found: dict[str, Any] = {
        "error": error.error,
        "error_description": (
            f"{error.summary} Trace ID: {trace_id} Correlation ID: {correlation_id} "
            f"Timestamp: {timestamp}"
        ),
        "error_codes": [error.code],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
        "error_uri": ERROR_PAGE.format(error.code),
    }
    if error.suberror:
        found["suberror"] = error.suberror
    if error.claims:
        found["claims"] = error.claims
    return found
