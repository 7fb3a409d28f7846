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
from local.simulator.entra.scopes import ScopeRequest
from local.simulator.entra.sessions import Sessions
from local.simulator.entra.sign_in import Back, SentBack, SignIn
from local.simulator.entra.state import EntraState
from local.simulator.entra.tenant import Tenant
from local.simulator.entra.tokens import GRAPH_AUDIENCE
from local.simulator.entra.version import V1, V2, Version

PROMPTS = frozenset({"login", "none", "consent", "select_account", "create"})
ADMIN_CONSENT = "admin_consent"
"""A `prompt` of v1: an administrator consents for everybody."""
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_SECONDS = re.compile(r"[0-9]{1,9}")
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

    def begin_code(self, tenant: Tenant, query: Mapping[str, str], version: Version = V2) -> SignIn:
        """An authorize request. The checks that make a redirect safe come first."""
        redirect_uri = self._redirect_uri(tenant, query, version)
        mode = query.get("response_mode") or "query"
        state = query.get("state")
        back = Back(
            redirect_uri,
            mode if mode in RESPONSE_MODES else "query",
            _MARKUP.sub("", state) if state is not None else None,
        )
        try:
            return self._keep(self._code_request(tenant, query, back, version))
        except EntraError as error:
            raise SentBack(error, back) from error

    def begin_admin(
        self, tenant: Tenant, query: Mapping[str, str], version: Version = V2
    ) -> SignIn:
        """An administrator's consent for the whole tenant. In v1 it is to all registered
        permissions, and `common` may be asked."""
        redirect_uri = self._redirect_uri(tenant, query, V2)
        if tenant.is_personal or (tenant.segment == "common" and version == V2):
            raise EntraError(50059)
        if version == V1:
            scope = scopes.of_resource(GRAPH_AUDIENCE)
        else:
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

    def _redirect_uri(self, tenant: Tenant, query: Mapping[str, str], version: Version) -> str:
        self._entra.principals.check_client(query.get("client_id"), tenant)
        registered = self._entra.options.redirect_uris
        if not registered:
            raise EntraError(500113)
        redirect_uri = query.get("redirect_uri")
        if not redirect_uri and version == V1:
            return registered[0]
        if not redirect_uri:
            raise EntraError(900971)
        if not redirect_matches(registered, redirect_uri):
            raise EntraError(50011, redirect_uri=redirect_uri, client_id=query["client_id"])
        return redirect_uri

    def _code_request(
        self, tenant: Tenant, query: Mapping[str, str], back: Back, version: Version
    ) -> SignIn:
        _check_response_type(query.get("response_type", ""))
        if query.get("response_mode", "query") not in RESPONSE_MODES:
            raise EntraError(70007)
        prompt = frozenset(query.get("prompt", "").split())
        if prompt - (PROMPTS if version == V2 else PROMPTS | {ADMIN_CONSENT}):
            raise EntraError(90023, parameter="prompt")
        if version == V2 and "resource" in query:
            raise EntraError(901002)
        challenge = query.get("code_challenge")
        method = query.get("code_challenge_method") or "plain"
        self._check_challenge(challenge, query.get("code_challenge_method"))
        return SignIn(
            "code",
            tenant,
            _scope(query, version),
            back,
            nonce=query.get("nonce"),
            challenge=challenge,
            challenge_method=method,
            prompt=prompt,
            login_hint=query.get("login_hint", ""),
            domain_hint=query.get("domain_hint", ""),
            client_info=query.get("client_info") == "1",
            max_age=_max_age(query.get("max_age")),
            step_up=asks_for_more(query.get("claims", "")),
        )

    def _check_challenge(self, challenge: str | None, method: str | None) -> None:
        """No method means plain, and a method without a challenge means nothing (RFC 7636 4.3)."""
        required = self._entra.options.require_pkce
        if challenge is None and method is None and not required:
            return
        if challenge is None or not _CHALLENGE.fullmatch(challenge):
            raise EntraError(50147)
        if method != "S256" and (required or method not in (None, "", "plain")):
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
        if ADMIN_CONSENT in sign_in.prompt:
            answer["admin_consent"] = "True"
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


def _check_response_type(text: str) -> None:
    """The registration has neither kind of implicit grant on. Raises EntraError."""
    if not text:
        raise EntraError(900144, parameter="response_type")
    asked = frozenset(text.split())
    if asked - {"code", "token", "id_token"}:
        raise EntraError(70005)
    if "token" in asked:
        raise EntraError(700051)
    if "id_token" in asked:
        raise EntraError(700054)


def _scope(query: Mapping[str, str], version: Version) -> ScopeRequest:
    if version == V1:
        return scopes.of_resource(query.get("resource"), query.get("scope", ""))
    return scopes.parse(query.get("scope", ""))


def _max_age(text: str | None) -> int | None:
    """Raises EntraError if it is not a number of seconds."""
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise EntraError(90023, parameter="max_age")
    return int(text)
