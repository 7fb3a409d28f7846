"""Signing a mailbox in by a code that is typed at Microsoft, for people whose browser cannot reach
the callback.

After the grant it is the same as every sign-in: the same checks, the same test refresh, the same
rows. It has no redirect that connects the person to the browser that began, so a person can be
persuaded to type somebody else's code. Postroom checks which mailbox comes back; it cannot check
who typed the code.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

from shared.errors import ConsentRequired
from shared.mail import known_errors, permissions
from shared.mail.account import Account
from shared.mail.known_errors import SignInRejected
from shared.services.clock import Clock
from shared.services.sign_in.authorization_code import state_hash
from shared.services.sign_in.connecting import Connecting
from shared.services.sign_in.ports import DeviceFlow, Flows, Grant, IdentityPlatform, SignInRequest


class DeviceSignIn:
    """Begins, polls and finishes these sign-ins."""

    def __init__(
        self,
        *,
        identity: IdentityPlatform,
        flows: Flows,
        clock: Clock,
        connecting: Connecting,
        new_handle: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._identity = identity
        self._flows = flows
        self._clock = clock
        self._connecting = connecting
        self._new_handle = new_handle

    def begin(self, sign_in_request: SignInRequest) -> DeviceFlow:
        """Ask Microsoft for a code. Raises SignInRejected, CredentialRefused or NotSent."""
        try:
            code = self._identity.begin_device(
                sign_in_request.authority, (*sign_in_request.choices.scopes, permissions.EMAIL)
            )
        except ConsentRequired as error:
            raise known_errors.refused_sign_in(known_errors.find(error.code)) from error
        expires_at = self._clock() + timedelta(seconds=code.expires_in_seconds)
        handle = self._new_handle()
        self._flows.open(state_hash(handle), expires_at)
        return DeviceFlow(sign_in_request, handle, code, expires_at)

    def ask(self, flow: DeviceFlow) -> Grant:
        """Ask Microsoft once whether the person has finished. Raises NotFinishedYet; NotSent, after
        which asking again may help; or SignInRejected and CredentialRefused, after which it does
        not."""
        if flow.expires_at <= self._clock():
            raise known_errors.refused_sign_in(known_errors.find("expired_token"))
        try:
            return self._identity.poll_device(flow.sign_in_request.authority, flow.code)
        except ConsentRequired as error:
            raise known_errors.refused_sign_in(known_errors.find(error.code)) from error

    def finish(self, flow: DeviceFlow, grant: Grant) -> Account:
        """Connect the mailbox, once. Raises as `Connecting.link` does."""
        if self._flows.take(state_hash(flow.handle)) is None:
            raise SignInRejected(
                "This sign-in was finished already.",
                "Look at /accounts: the mailbox may be there. If it is not, start again.",
            )
        return self._connecting.link(flow.sign_in_request, grant)
