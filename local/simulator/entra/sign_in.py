"""One sign-in: the application's request, the progress of its person, and where the browser returns
to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal

from local.simulator.directory import User
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import DeviceGrant
from local.simulator.entra.policy import Rules, Strength
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.tenant import Tenant

Purpose = Literal["code", "device", "admin"]


@dataclass(frozen=True)
class Back:
    """The redirect URI and the response mode with which the browser returns to the application."""

    redirect_uri: str
    response_mode: str = "query"
    state: str | None = None


class SentBack(Exception):
    """A sign-in that returns to the application with an error."""

    def __init__(self, error: EntraError, back: Back, **extra: str) -> None:
        super().__init__(error)
        self.error = error
        self.back = back
        self.extra = extra


@dataclass
class SignIn:
    """One sign-in, from the authorize request (or a device's code) to its end."""

    purpose: Purpose
    tenant: Tenant
    scope: ScopeRequest
    back: Back | None = None
    nonce: str | None = None
    challenge: str | None = None
    challenge_method: str = "plain"
    prompt: frozenset[str] = frozenset()
    login_hint: str = ""
    domain_hint: str = ""
    client_info: bool = False
    max_age: int | None = None
    device: DeviceGrant | None = None
    step_up: bool = False
    """The request's `claims` demand a second factor."""
    rules: Rules | None = None
    """The account that has given a password, with its rules."""
    user: User | None = None
    """The account that has signed in: it meets all requirements of its organisation."""
    strength: Strength = field(default_factory=lambda: Strength(0))
    id: str = field(default_factory=lambda: "SIMCTX." + secrets.token_urlsafe(24))

    def person(self) -> User:
        """The user who has signed in. Raises ValueError if nobody has."""
        if self.user is None:
            raise ValueError("nobody has signed in yet")
        return self.user
