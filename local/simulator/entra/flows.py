"""Sign-ins under way: how they begin, and what the application gets at their end.

This module has the rules; `browser.py` shows the pages. EntraError means a page that never sends
the browser back, SentBack an answer to the application's redirect URI.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

from local.simulator.entra import scopes
from local.simulator.entra.application import redirect_matches
from local.simulator.entra.authentication import Authentication
from local.simulator.entra.consenting import Consenting
from local.simulator.entra.errors import EntraError
from local.simulator.entra.grants import CodeGrant
from local.simulator.entra.policy import asks_for_more
from local.simulator.entra.sessions import Sessions
from local.simulator.entra.sign_in import Back, SentBack, SignIn
from local.simulator.entra.state import EntraState
from local.simulator.entra.tenant import Tenant

PROMPTS = frozenset({"login", "none", "consent", "select_account", "create"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MARKUP = re.compile(r"<[^>]*>")


class Flows:
    """Every sign-in under way."""

    def __init__(self, entra: EntraState) -> None:
        self._entra = entra
        self._lock = threading.Lock()
        self.sessions = Sessions()
        self.authentication = Authentication(entra, self.sessions)
        self.consenting = Consenting(entra)
        self.reset()

    def reset(self) -> None:
        """Nobody is signed in, and no sign-in is under way."""
        self.sessions.reset()
        with self._lock:
            self._under_way: dict[str, SignIn] = {}

    # Beginning

    def begin_code(self, tenant: Tenant, query: Mapping[str, str]) -> SignIn:
        """An authorize request. The checks that make a redirect safe come first."""
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
        if tenant.segment == "common" or tenant.is_personal:
            raise EntraError(50059)
        scope = scopes.parse(query.get("scope", ""))
        back = Back(redirect_uri, state=query.get("state"))
        return self._keep(SignIn("admin", tenant, scope, back))

    def begin_device(self, user_code: str) -> SignIn | None:
        """A person typed a device's code; None if no sign-in waits for it."""
        device = self._entra.grants.device_by_user_code(user_code)
        if device is None:
            return None
        return self._keep(SignIn("device", device.tenant, device.scope, device=device))

    def find(self, identifier: str) -> SignIn | None:
        """A sign-in under way."""
        return self._under_way.get(identifier)

    def _redirect_uri(self, tenant: Tenant, query: Mapping[str, str]) -> str:
        self._entra.principals.check_client(query.get("client_id"), tenant)
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
            step_up=asks_for_more(query.get("claims", "")),
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

    # The end

    def decline(self, sign_in: SignIn, **extra: str) -> None:
        """The person cancelled. Raises SentBack if there is an application to return to."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.declined = True
        if sign_in.back:
            raise SentBack(EntraError(65004), sign_in.back, **extra)

    def refuse_for_policy(self, sign_in: SignIn) -> None:
        """The person returned from "Need admin approval" without a consent."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.declined = True
        if sign_in.back:
            error = "permission_denied" if sign_in.purpose == "admin" else None
            raise SentBack(EntraError(90094, error=error), sign_in.back)

    def finish_code(self, sign_in: SignIn) -> dict[str, str]:
        """What the application gets at its redirect URI."""
        user, back = sign_in.person(), sign_in.back
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
                auth_time=(
                    int(sign_in.strength.auth_time) if sign_in.max_age is not None else None
                ),
                strength=sign_in.strength,
                issued_at=self._entra.clock.time(),
            )
        )
        answer = {"code": code}
        if sign_in.client_info and not self._entra.options.omit_client_info:
            answer["client_info"] = self._entra.answers.client_info(user)
        return answer

    def finish_admin(self, sign_in: SignIn) -> dict[str, str]:
        """What the application gets after an administrator's consent."""
        self._end(sign_in)
        tenant_id = sign_in.person().tenant_id
        scope = " ".join(sign_in.scope.spelled)
        return {"admin_consent": "True", "tenant": tenant_id, "scope": scope}

    def finish_device(self, sign_in: SignIn) -> None:
        """Give the waiting device its tokens."""
        self._end(sign_in)
        if sign_in.device:
            sign_in.device.strength = sign_in.strength
            sign_in.device.user_id = sign_in.person().object_id

    def _end(self, sign_in: SignIn) -> None:
        with self._lock:
            self._under_way.pop(sign_in.id, None)
