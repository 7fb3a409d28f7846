"""`POST /auth/login` and `POST|GET /api/auth/callback`: sending the browser to Microsoft, and what
it brings back."""

from __future__ import annotations

import logging
from urllib.parse import quote

import azure.functions as func

from shared import telemetry
from shared.errors import PostroomError, Refused
from shared.mail.problems import INVALID_REQUEST
from shared.mail.refusals import SignInRefused
from shared.services.consent import Consent
from shared.services.ports import SignInFlow
from shared.web import flow_cookie, notices
from shared.web.csrf import require_same_origin
from shared.web.forms import form_of, query_of
from shared.web.notices import Notice
from shared.web.rendering import Site, page, see_other
from shared.web.session import Sessions
from shared.web.signing import Keys


def begin_sign_in(
    req: func.HttpRequest, sessions: Sessions, consent: Consent, keys: Keys, site: Site
) -> func.HttpResponse:
    """Send an administrator's browser to Microsoft, with the flow's cookie."""
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        flow = _begin(req, consent)
        cookie = flow_cookie.build(keys, flow)
    except PostroomError as error:
        return _refusal_page(site, notices.of(error))
    return see_other(str(flow.msal["auth_uri"]), set_cookies=[cookie])


def _begin(req: func.HttpRequest, consent: Consent) -> SignInFlow:
    try:
        form = form_of(req)
    except ValueError as error:
        raise Refused(INVALID_REQUEST, "The form cannot be read.") from error
    return consent.begin(
        form.get("alias", ""),
        form.get("expected_address") or None,
        replace=form.get("replace") == "yes",
        choose_account=form.get("choose") == "yes",
        verified=form.get("verified") == "yes",
    )


def finish_sign_in(
    req: func.HttpRequest, consent: Consent, keys: Keys, site: Site
) -> func.HttpResponse:
    """Take Microsoft's answer. Whatever is sent here, the answer is a page or a 303, never a 500.

    Anonymous: what counts is the flow's cookie. The session's cookie does not come along with a
    POST from another site; the 303 to /accounts brings it.
    """
    state = ""
    flow = None
    try:
        answer = _answer(req)
        state = answer.get("state", "")
        flow = flow_cookie.read(keys, req.headers.get("Cookie", ""), state) if state else None
        if flow is None:
            raise _not_begun_here(site)
        account = consent.finish(flow, answer)
    except PostroomError as error:
        code = getattr(error, "code", None) or type(error).__name__
        telemetry.event("sign_in_refused", level=logging.WARNING, code=code)
        notice = notices.of(error, flow)
        clearing = [flow_cookie.clear(state)] if flow else []
        if req.method == "GET" and flow is not None:
            # The URL holds what Microsoft sent: not to stay in the history (RFC 9700, 4.3.1).
            carried = notices.build_cookie(keys, notice)
            return see_other("/accounts", set_cookies=[*clearing, carried])
        return _refusal_page(site, notice, clearing)
    return see_other(
        f"/accounts?linked={quote(account.alias)}", set_cookies=[flow_cookie.clear(state)]
    )


def _answer(req: func.HttpRequest) -> dict[str, str]:
    try:
        return query_of(req) if req.method == "GET" else form_of(req)
    except ValueError as error:
        raise SignInRefused(
            "What was sent here is not an answer that Microsoft would send: it is too large, or "
            "part of it is malformed.",
            "Open /accounts and start the sign-in again.",
        ) from error


def _not_begun_here(site: Site) -> SignInRefused:
    return SignInRefused(
        "This browser has no sign-in under way that fits the answer: it was begun elsewhere, took "
        "longer than ten minutes, or was finished already.",
        f"Open {site.origin}/accounts in this browser and start the sign-in again there.",
    )


def _refusal_page(
    site: Site, notice: Notice, set_cookies: list[str] | None = None
) -> func.HttpResponse:
    return page(
        site,
        "refused.html",
        status=notice.status,
        set_cookies=set_cookies or [],
        retry_after=notice.retry_after,
        notice=notice,
    )
