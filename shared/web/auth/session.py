"""The administrator's session: a signed, expiring cookie.

It contains only the time of its end. There is no list of sessions, so signing out removes the
cookie from that browser only. To end all sessions at once, replace the vault secret
`postroom-session-key` and restart the app: a running process accepts the keys that it has read.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from shared.errors import RequestRejected
from shared.mail.problems import SESSION_REQUIRED
from shared.services.clock import Clock
from shared.web.auth import cookies, signing
from shared.web.auth.signing import Keys, Purpose

if TYPE_CHECKING:
    import azure.functions as func

_NAME = "session"


class Sessions:
    """Opens, checks and closes sessions."""

    def __init__(self, keys: Keys, clock: Clock, lifetime_seconds: int) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds

    def open(self) -> str:
        """The Set-Cookie header of a new session."""
        ends = int(self._clock().timestamp()) + self._lifetime_seconds
        token = signing.sign(self._keys, Purpose.SESSION, f"{ends}:{secrets.token_hex(8)}".encode())
        return cookies.build(
            _NAME, token, max_age=self._lifetime_seconds, path="/", same_site="Lax"
        )

    def close(self) -> str:
        """The Set-Cookie header that ends a session in this browser."""
        return cookies.clear(_NAME, path="/", same_site="Lax")

    def is_open(self, req: func.HttpRequest) -> bool:
        """Whether the request has a session that has not ended."""
        token = cookies.read(req.headers.get("Cookie", ""), _NAME)
        content = signing.verify(self._keys, Purpose.SESSION, token) if token else None
        if content is None:
            return False
        return self._clock().timestamp() < int(content.partition(b":")[0])

    def require_session(self, req: func.HttpRequest) -> None:
        """Raise RequestRejected (401) without a session."""
        if not self.is_open(req):
            raise RequestRejected(SESSION_REQUIRED, "This needs a session.")
