"""Access tokens that the simulated services accept.

The tokens are opaque, as Microsoft asks clients to treat them
(https://learn.microsoft.com/entra/identity-platform/access-tokens). They start with `SIMAT.`, so
that a test can search logs for leaked ones. A service calls `find` and turns the three kinds of
invalid token into its own error.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, replace

from local.simulator.clock import Clock

PREFIX = "SIMAT."
GRAPH_AUDIENCE = "https://graph.microsoft.com"
VAULT_AUDIENCE = "https://vault.azure.net"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
"""The audience of a managed identity's token that is used as an application's credential."""


class TokenProblem(Exception):
    """A token that must not be accepted."""


class UnknownToken(TokenProblem):
    """Never issued, or removed by a reset."""


class ExpiredToken(TokenProblem):
    """Issued, but its time is up."""


class WrongAudience(TokenProblem):
    """Issued for another service."""


@dataclass(frozen=True)
class Claims:
    """The claims of an access token."""

    audience: str
    tenant_id: str
    object_id: str
    """Of the user, or of the service principal in an app-only token."""
    client_id: str
    expires_at: float
    address: str | None = None
    """The user's sign-in name; None in an app-only token."""
    scopes: frozenset[str] = frozenset()
    """Delegated permissions in short form (`Mail.Send`)."""
    roles: frozenset[str] = frozenset()
    """Application permissions, in app-only tokens."""
    by_real_time: bool = False
    """`expires_at` uses the computer's clock, not the simulator's. For tokens that an SDK caches by
    the computer's clock and would use that long, whatever the simulated time is."""

    @property
    def app_only(self) -> bool:
        """Whether the token is for the app itself and not for a user."""
        return self.address is None


class AccessTokens:
    """Every access token that was issued since the last reset."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, Claims] = {}

    def reset(self) -> None:
        """Remove every token: they become unknown."""
        with self._lock:
            self._claims.clear()

    def issue(self, claims: Claims) -> str:
        """A new token, about as long as a real one."""
        token = PREFIX + secrets.token_urlsafe(1200)
        with self._lock:
            self._claims[token] = claims
        return token

    def find(self, token: str, audience: str | None = None) -> Claims:
        """The claims of a token that is valid now, for `audience` if one is given.

        Raises UnknownToken, ExpiredToken or WrongAudience.
        """
        claims = self._claims.get(token)
        if claims is None:
            raise UnknownToken
        if audience is not None and claims.audience != audience:
            raise WrongAudience
        if claims.expires_at <= self._now(claims):
            raise ExpiredToken
        return claims

    def expire_all(self, address: str | None = None) -> int:
        """End every token (of one user) now. Returns their number.

        A managed identity's token stays valid: nobody can end one, and its SDK would go on sending
        it.
        """
        now = self._clock.time()
        with self._lock:
            ended = [
                token
                for token, claims in self._claims.items()
                if claims.expires_at > now
                and address in (None, claims.address)
                and not claims.by_real_time
            ]
            for token in ended:
                self._claims[token] = replace(self._claims[token], expires_at=now)
        return len(ended)

    def _now(self, claims: Claims) -> float:
        return time.time() if claims.by_real_time else self._clock.time()
