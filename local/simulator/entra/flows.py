"""Sign-ins under way: what the application asked, who signed in, what they may consent to.

Rules only; `handlers.py` shows the pages. An EntraError means a page that never sends the browser
back, SentBack an answer to the application's redirect URI.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from local.simulator.directory import User
from local.simulator.entra import scopes
from local.simulator.entra.application import redirect_matches
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import CodeGrant, DeviceGrant
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.sessions import Sessions
from local.simulator.entra.state import EntraState
from local.simulator.entra.tenant import Tenant

OIDC_CONSENT = "openid"
"""Stands in for a resource where consent to sign-in itself is remembered."""
PROMPTS = frozenset({"login", "none", "consent", "select_account", "create"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MARKUP = re.compile(r"<[^>]*>")

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
    user: User | None = None
    auth_time: int = 0
    id: str = field(default_factory=lambda: "SIMCTX." + secrets.token_urlsafe(24))


class Flows:
    """Every sign-in under way."""

    def __init__(self, entra: EntraState) -> None:
        self._entra = entra
        self._lock = threading.Lock()
        self.sessions = Sessions()
        self.reset()

    def reset(self) -> None:
        """Nobody is signed in, nothing is under way."""
        self.sessions.reset()
        with self._lock:
            self._under_way: dict[str, SignIn] = {}

    # Beginning

    def begin_code(self, tenant: Tenant, query: Mapping[str, str]) -> SignIn:
        """An authorize request. First what makes a redirect safe, then the rest."""
        redirect_uri = self._redirect_uri(tenant, query)
        mode = query.get("response_mode") or "query"
        state = query.get("state")
        back = Back(
            redirect_uri,
            mode if mode in RESPONSE_MODES else "query",
            _MARKUP.sub("", state) if state is not None else None,
        )
        try:
            return self._keep(self._code_request(tenant, query, back))
        except EntraError as error:
            raise SentBack(error, back) from error

    def begin_admin(self, tenant: Tenant, query: Mapping[str, str]) -> SignIn:
        """An administrator's consent for the whole tenant."""
        redirect_uri = self._redirect_uri(tenant, query)
        if tenant.segment == "common":
            raise EntraError(50059)
        scope = scopes.parse(query.get("scope", ""))
        back = Back(redirect_uri, state=query.get("state"))
        return self._keep(SignIn("admin", tenant, scope, back))

    def begin_device(self, user_code: str) -> SignIn | None:
        """A person typed a device's code; None where nothing waits for it."""
        device = self._entra.grants.device_by_user_code(user_code)
        if device is None:
            return None
        return self._keep(SignIn("device", device.tenant, device.scope, device=device))

    def find(self, identifier: str) -> SignIn | None:
        """A sign-in under way."""
        return self._under_way.get(identifier)

    def _redirect_uri(self, tenant: Tenant, query: Mapping[str, str]) -> str:
        self._entra.check_client(query.get("client_id"), tenant)
        registered = self._entra.options.redirect_uris
        if not registered:
            raise EntraError(500113)
        redirect_uri = query.get("redirect_uri")
        if not redirect_uri:
            raise EntraError(900971)
        if not redirect_matches(registered, redirect_uri):
            raise EntraError(50011, redirect_uri=redirect_uri, client_id=query["client_id"])
        return redirect_uri

    def _code_request(self, tenant: Tenant, query: Mapping[str, str], back: Back) -> SignIn:
        if not query.get("response_type"):
            raise EntraError(900144, parameter="response_type")
        if query["response_type"] != "code":
            raise EntraError(70005)
        if query.get("response_mode", "query") not in RESPONSE_MODES:
            raise EntraError(70007)
        prompt = frozenset(query.get("prompt", "").split())
        if prompt - PROMPTS:
            raise EntraError(90023, parameter="prompt")
        challenge = query.get("code_challenge")
        method = query.get("code_challenge_method") or "plain"
        self._check_challenge(challenge, method)
        max_age = query.get("max_age", "")
        return SignIn(
            "code",
            tenant,
            scopes.parse(query.get("scope", "")),
            back,
            nonce=query.get("nonce"),
            challenge=challenge,
            challenge_method=method,
            prompt=prompt,
            login_hint=query.get("login_hint", ""),
            domain_hint=query.get("domain_hint", ""),
            client_info=query.get("client_info") == "1",
            max_age=int(max_age) if max_age.isdigit() else None,
        )

    def _check_challenge(self, challenge: str | None, method: str) -> None:
        required = self._entra.options.require_pkce
        if challenge is None and not required:
            return
        if challenge is None or not _CHALLENGE.fullmatch(challenge):
            raise EntraError(50147)
        if method != "S256" and (required or method != "plain"):
            raise EntraError(50147)

    def _keep(self, sign_in: SignIn) -> SignIn:
        with self._lock:
            self._under_way[sign_in.id] = sign_in
        return sign_in

    # Who

    def sign_in_silently(self, sign_in: SignIn, session: str) -> bool:
        """Use the browser's session, where the request allows that and it is clear which account."""
        may_ask = "none" not in sign_in.prompt
        if sign_in.prompt & {"login", "select_account", "create"}:
            return False
        known = self._usable(sign_in, session)
        if len(known) == 1:
            sign_in.user, sign_in.auth_time = known[0]
            return True
        if not may_ask and sign_in.back:
            raise SentBack(EntraError(16000 if known else 50058), sign_in.back)
        return False

    def choose(self, sign_in: SignIn, address: str, session: str) -> None:
        """Sign an account in. Raises EntraError where it may not."""
        address = address.strip()
        found = self._entra.directory.find(address) if address else None
        if found is not None and address.lower() != found.address.lower():
            # Only the sign-in name signs in, not another address of the mailbox.
            found = None
        user = self._entra.check_sign_in(found, address, sign_in.tenant)
        sign_in.user, sign_in.auth_time = user, int(self._entra.clock.time())
        self.sessions.sign_in(session, user.object_id, sign_in.auth_time)

    def accounts(self, sign_in: SignIn) -> list[User]:
        """Who is offered, the hinted one first. `domain_hint` narrows the list."""
        offered = [user for user in self._entra.directory if user.kind != "shared"]
        if sign_in.domain_hint:
            offered = [user for user in offered if _in_domain(user, sign_in.domain_hint)] or offered
        hint = sign_in.login_hint.lower()
        return sorted(offered, key=lambda user: user.address.lower() != hint)

    def _usable(self, sign_in: SignIn, session: str) -> list[tuple[User, int]]:
        now = self._entra.clock.time()
        usable = []
        for user_id, auth_time in self.sessions.of(session).items():
            user = self._entra.directory.find(user_id)
            fresh = sign_in.max_age is None or now - auth_time <= sign_in.max_age
            if user is None or not fresh:
                continue
            hint = sign_in.login_hint.lower()
            if hint and hint != user.address.lower():
                continue
            usable.append((user, auth_time))
        return usable

    # What

    def missing(self, sign_in: SignIn) -> tuple[str, ...]:
        """Permissions that the consent page must name; empty where none is needed."""
        user = _signed_in(sign_in)
        asked = self._asked(sign_in)
        always = "consent" in sign_in.prompt or sign_in.purpose in ("device", "admin")
        grants = self._entra.grants
        granted = grants.consented(user, sign_in.scope.resource)
        granted |= grants.consented(user, OIDC_CONSENT)
        missing = asked if always else tuple(name for name in asked if name not in granted)
        if missing and "none" in sign_in.prompt and sign_in.back:
            error = EntraError(65001, error="consent_required", client_id=self._client_id)
            raise SentBack(error, sign_in.back)
        return missing

    def admin_needed(self, sign_in: SignIn, missing: tuple[str, ...]) -> bool:
        """Whether the tenant's policy keeps this user from consenting."""
        user = _signed_in(sign_in)
        if user.admin or user.kind == "personal":
            return False
        if sign_in.purpose == "admin":
            return True
        granted = self._entra.grants.consented(user, sign_in.scope.resource)
        policy = self._entra.options.consent_policy
        return any(
            scopes.needs_admin(name, policy)
            for name in missing
            if name not in scopes.OIDC and name not in granted
        )

    def accept(self, sign_in: SignIn, *, for_everybody: bool) -> None:
        """Remember the consent, of the user or (by an administrator) for the tenant."""
        user = _signed_in(sign_in)
        everybody = user.admin and (for_everybody or sign_in.purpose == "admin")
        owner = user.tenant_id if everybody else user.object_id
        asked = self._asked(sign_in)
        permissions = tuple(name for name in asked if name not in scopes.OIDC)
        identity = tuple(name for name in asked if name in scopes.OIDC)
        self._entra.grants.consent(owner, sign_in.scope.resource, permissions)
        self._entra.grants.consent(owner, OIDC_CONSENT, identity)

    def decline(self, sign_in: SignIn, **extra: str) -> None:
        """The person cancelled. Raises SentBack where there is an application to go back to."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.declined = True
        if sign_in.back:
            raise SentBack(EntraError(65004), sign_in.back, **extra)

    def refuse_for_policy(self, sign_in: SignIn) -> None:
        """Back from "Need admin approval" without a consent."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.declined = True
        if sign_in.back:
            error = "permission_denied" if sign_in.purpose == "admin" else None
            raise SentBack(EntraError(90094, error=error), sign_in.back)

    # The end

    def finish_code(self, sign_in: SignIn) -> dict[str, str]:
        """What the application gets at its redirect URI."""
        user, back = _signed_in(sign_in), sign_in.back
        if back is None:
            raise ValueError("a code flow has a redirect URI")
        self._end(sign_in)
        code = self._entra.grants.new_code(
            CodeGrant(
                user_id=user.object_id,
                tenant=sign_in.tenant,
                redirect_uri=back.redirect_uri,
                scope=sign_in.scope,
                challenge=sign_in.challenge,
                challenge_method=sign_in.challenge_method,
                nonce=sign_in.nonce,
                auth_time=sign_in.auth_time if sign_in.max_age is not None else None,
                issued_at=self._entra.clock.time(),
            )
        )
        answer = {"code": code}
        if sign_in.client_info and not self._entra.options.omit_client_info:
            answer["client_info"] = self._entra.client_info(user)
        return answer

    def finish_admin(self, sign_in: SignIn) -> dict[str, str]:
        """What the application gets after an administrator's consent."""
        self._end(sign_in)
        tenant_id = _signed_in(sign_in).tenant_id
        scope = " ".join(sign_in.scope.spelled)
        return {"admin_consent": "True", "tenant": tenant_id, "scope": scope}

    def finish_device(self, sign_in: SignIn) -> None:
        """Let the waiting device have its tokens."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.user_id = _signed_in(sign_in).object_id

    def _end(self, sign_in: SignIn) -> None:
        with self._lock:
            self._under_way.pop(sign_in.id, None)

    def _asked(self, sign_in: SignIn) -> tuple[str, ...]:
        scope = sign_in.scope
        registered = tuple(self._entra.options.registered_scopes)
        permissions = registered if scope.is_default else scope.permissions
        return (*permissions, *sorted(scope.oidc))

    @property
    def _client_id(self) -> str:
        return self._entra.application.client_id


def _signed_in(sign_in: SignIn) -> User:
    if sign_in.user is None:
        raise ValueError("nobody has signed in yet")
    return sign_in.user


def _in_domain(user: User, hint: str) -> bool:
    hint = hint.lower()
    if hint in ("organizations", "consumers"):
        return (user.kind == "personal") == (hint == "consumers")
    return user.address.lower().endswith("@" + hint)
