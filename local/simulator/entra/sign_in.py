"""One sign-in: what the application asked, how far its person has come, where they go back to."""

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
    """Where and how the browser goes back to the application."""

    redirect_uri: str
    response_mode: str = "query"
    state: str | None = None


class SentBack(Exception):
    """A sign-in that ends at the application with an error."""

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
    """Who has given a password, and what holds for them."""
    user: User | None = None
    """Who has signed in: whatever their organisation demands is done."""
    strength: Strength = field(default_factory=lambda: Strength(0))
    id: str = field(default_factory=lambda: "SIMCTX." + secrets.token_urlsafe(24))

    def person(self) -> User:
        """Who has signed in, where somebody must have."""
        if self.user is None:
            raise ValueError("nobody has signed in yet")
        return self.user
