"""Signing a mailbox in by the authorisation code flow, from the button to Microsoft's answer.

MSAL makes the flow and redeems the code. What MSAL does not check is checked here and in
`connecting`. The flow is removed from the table before the code is redeemed, so it can be finished
once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import timedelta

from shared.errors import ConsentRequired
from shared.mail import known_errors, permissions
from shared.mail.account import Account
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.ports import AccountRegister
from shared.services.clock import Clock
from shared.services.sign_in.connecting import Connecting, ConsentRules
from shared.services.sign_in.identity_claims import check_client_info
from shared.services.sign_in.ports import Flows, Grant, IdentityPlatform, SignInFlow, SignInRequest

FLOW_LIFETIME = timedelta(minutes=10)


def state_hash(state: str) -> str:
    """The key of a flow's row. The state itself is a secret of the browser that began."""
    return hashlib.sha256(state.encode()).hexdigest()


class Consent:
    """Begins and finishes sign-ins."""

    def __init__(
        self,
        *,
        rules: ConsentRules,
        identity: IdentityPlatform,
        accounts: AccountRegister,
        flows: Flows,
        clock: Clock,
        connecting: Connecting,
    ) -> None:
        self._rules = rules
        self._identity = identity
        self._accounts = accounts
        self._flows = flows
        self._clock = clock
        self._connecting = connecting

    def begin(self, sign_in_request: SignInRequest, *, choose_account: bool = False) -> SignInFlow:
        """Start a sign-in; the browser goes to `msal["auth_uri"]` next.

        `choose_account` lets the person choose another account than the one they are signed in
        with, for example after a mismatch. Raises CredentialRefused, or NotSent if Microsoft cannot
        be reached.
        """
        known = sign_in_request.expected_address
        if known is None and not sign_in_request.replace:
            existing = self._accounts.snapshot().accounts.by_alias(sign_in_request.alias)
            known = existing.address if existing else None
        # Microsoft ignores the hint if both are given.
        hint = None if choose_account else known
        msal = self._identity.begin(
            sign_in_request.authority,
            (*sign_in_request.choices.scopes, permissions.EMAIL),
            login_hint=hint,
            prompt=None if hint else "select_account",
            domain_hint=_domain_hint(sign_in_request, known),
        )
        expires_at = self._clock() + FLOW_LIFETIME
        self._flows.open(state_hash(str(msal["state"])), expires_at)
        return SignInFlow(sign_in_request, msal, expires_at)

    def finish(self, flow: SignInFlow, answer: Mapping[str, str]) -> Account:
        """Turn Microsoft's answer into a connected account, and release its held mails. Raises
        SignInRejected, CredentialRefused or NotSent; then no mailbox is connected."""
        self._take(flow, answer)
        return self._connecting.link(flow.sign_in_request, self._redeem(flow, answer))

    def _take(self, flow: SignInFlow, answer: Mapping[str, str]) -> None:
        state = str(flow.msal.get("state", ""))
        if not state or not hmac.compare_digest(state.encode(), answer.get("state", "").encode()):
            raise _stale("The answer belongs to another sign-in.")
        check_client_info(answer.get("client_info"))
        now = self._clock()
        expires_at = self._flows.take(state_hash(state))
        if expires_at is None:
            raise _stale("This sign-in was finished already, or it was not begun here.")
        if min(expires_at, flow.expires_at) <= now:
            raise _stale("The sign-in took longer than ten minutes.")
        if "error" in answer:
            raise known_errors.refused_sign_in(
                known_errors.read(answer["error"], answer.get("error_description", ""))
            )
        if not answer.get("code"):
            raise _stale("Microsoft's answer holds neither a code nor an error.")
        _check_issuer(answer.get("iss"), self._rules.authority_host)

    def _redeem(self, flow: SignInFlow, answer: Mapping[str, str]) -> Grant:
        passed_on = {key: answer[key] for key in ("code", "state", "client_info") if key in answer}
        try:
            return self._identity.redeem(flow.sign_in_request.authority, flow.msal, passed_on)
        except ConsentRequired as error:
            raise known_errors.refused_sign_in(known_errors.find(error.code)) from error


def _domain_hint(sign_in_request: SignInRequest, address: str | None) -> str | None:
    """The domain hint, with which Microsoft does not ask for the kind of account. Only where the
    kind is certain: the directory is named by the address's own domain, or only personal accounts
    are allowed.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
    """
    if sign_in_request.authority == "consumers":
        return "consumers"
    domain = address.rpartition("@")[2].lower() if address else None
    return domain if domain == sign_in_request.authority.lower() else None


def _check_issuer(issuer: str | None, authority_host: str) -> None:
    """If the answer has `iss` (RFC 9207), it must be the expected one, before the code is sent
    anywhere."""
    if issuer is None:
        return
    if not re.fullmatch(re.escape(authority_host) + r"/[^/]+/v2\.0", issuer):
        raise _stale("The answer did not come from the Microsoft sign-in service that was asked.")


def _stale(detail: str) -> SignInRejected:
    return SignInRejected(detail, "Open /accounts and start the sign-in again, in one tab.")
