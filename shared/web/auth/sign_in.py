"""`POST /auth/login` and `POST|GET /api/auth/callback`: send the browser to Microsoft, and take
Microsoft's answer. `POST /auth/admin-consent`: the link by which an administrator consents
first."""

from __future__ import annotations

import logging
from urllib.parse import quote

import azure.functions as func

from shared import telemetry
from shared.errors import PostroomError
from shared.mail import known_errors
from shared.mail.account import Account
from shared.mail.known_errors import SignInRejected
from shared.mail.permissions import Choices
from shared.services.sign_in.authorization_code import Consent
from shared.services.sign_in.ports import SignInRequest
from shared.services.sign_in.registration import ADMIN_CONSENT_STATE, REDIRECT_CHECK_STATE
from shared.services.sign_in.sign_in_request import authority_for
from shared.web.auth import flow_cookie
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.auth.sign_in_form import fields_of, request_of
from shared.web.auth.signing import Keys
from shared.web.forms import form_of, query_of, read_form
from shared.web.pages import notices
from shared.web.pages.notices import Notice
from shared.web.pages.rendering import Site, page, see_other


def begin_sign_in(
    req: func.HttpRequest, sessions: Sessions, consent: Consent, keys: Keys, site: Site
) -> func.HttpResponse:
    """Send an administrator's browser to Microsoft, with the flow's cookie."""
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        form = read_form(req)
        sign_in_request = request_of(form, site.registration.tenant)
        flow = consent.begin(sign_in_request, choose_account=form.get("choose") == "yes")
        cookie = flow_cookie.build(keys, flow)
    except PostroomError as error:
        return refusal_page(site, notices.of(error))
    return see_other(str(flow.msal["auth_uri"]), set_cookies=[cookie])


def show_admin_consent(req: func.HttpRequest, sessions: Sessions, site: Site) -> func.HttpResponse:
    """The link for an administrator, for the permissions that are ticked on the form."""
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        form = read_form(req)
        authority = authority_for(site.registration.tenant, form.get("kind", ""))
        choices = Choices(form.get("verified") == "yes", form.get("shared") == "yes")
    except PostroomError as error:
        return refusal_page(site, notices.of(error))
    url = site.registration.admin_consent_url(choices, authority)
    return page(site, "admin_consent.html", url=url, scopes=choices.scopes)


def finish_sign_in(
    req: func.HttpRequest, consent: Consent, keys: Keys, site: Site
) -> func.HttpResponse:
    """Take Microsoft's answer. The result is a page or a 303 for every input, never a 500.

    The route is anonymous: the flow's cookie decides. A POST from another site does not carry the
    session's cookie; the browser sends it after the 303 to /accounts.
    """
    state = ""
    flow = None
    answer: dict[str, str] = {}
    try:
        answer = _answer(req)
        state = answer.get("state", "")
        flow = flow_cookie.read(keys, req.headers.get("Cookie", ""), state) if state else None
        if flow is None:
            if _is_about_admin_consent(answer):
                return _admin_consent_page(site, answer)
            if state == REDIRECT_CHECK_STATE:
                # Nothing is redeemed or trusted: only the visit of the browser counts.
                return see_other("/setup?said=redirect")
            raise _not_begun_here(site)
        account = consent.finish(flow, answer)
    except PostroomError as error:
        code = getattr(error, "code", None) or type(error).__name__
        telemetry.event("sign_in_refused", level=logging.WARNING, code=code)
        notice = notices.of(
            error,
            flow.sign_in_request if flow else None,
            registration=site.registration,
            answer=answer,
        )
        clearing = [flow_cookie.clear(state)] if flow else []
        if req.method == "GET" and flow is not None:
            # The URL contains Microsoft's answer, which must not stay in the history (RFC 9700,
            # 4.3.1).
            carried = notices.build_cookie(keys, notice)
            return see_other("/accounts", set_cookies=[*clearing, carried])
        return refusal_page(site, notice, clearing)
    return see_other(
        connected_at(account, flow.sign_in_request), set_cookies=[flow_cookie.clear(state)]
    )


def connected_at(account: Account, sign_in_request: SignInRequest) -> str:
    """The address of the page that says which account is connected and which permissions were
    ticked."""
    ticked = [
        name
        for name, value in fields_of(sign_in_request)
        if name in ("verified", "shared") and value
    ]
    asked = f"&asked={'+'.join(ticked)}" if ticked else ""
    return f"/accounts?linked={quote(account.alias)}{asked}"


def _is_about_admin_consent(answer: dict[str, str]) -> bool:
    marked = answer.get("state") == ADMIN_CONSENT_STATE or "admin_consent" in answer
    return marked and "code" not in answer


def _admin_consent_page(site: Site, answer: dict[str, str]) -> func.HttpResponse:
    """The result of an administrator's visit, in a browser that may belong to anybody.

    The visitor can forge the whole answer, also the tenant: nothing of it is shown to others, and
    nothing is stored. The next sign-in shows whether consent was given.
    """
    error = answer.get("error")
    refusal = known_errors.read(error, answer.get("error_description", "")) if error else None
    granted = refusal is None and answer.get("admin_consent", "").lower() == "true"
    return page(
        site,
        "admin_consented.html",
        status=200 if granted else 400,
        granted=granted,
        refusal=refusal,
    )


def _answer(req: func.HttpRequest) -> dict[str, str]:
    try:
        return query_of(req) if req.method == "GET" else form_of(req)
    except ValueError as error:
        raise SignInRejected(
            "The request is not an answer that Microsoft would send: it is too large, or "
            "part of it is malformed.",
            "Open /accounts and start the sign-in again.",
        ) from error


def _not_begun_here(site: Site) -> SignInRejected:
    return SignInRejected(
        "This browser has no sign-in under way that fits the answer: it was begun elsewhere, took "
        "longer than ten minutes, or was finished already.",
        f"Open {site.origin}/accounts in this browser and start the sign-in again there.",
    )


def refusal_page(
    site: Site, notice: Notice, set_cookies: list[str] | None = None
) -> func.HttpResponse:
    """The page for a sign-in that was not finished."""
    return page(
        site,
        "refused.html",
        status=notice.status,
        set_cookies=set_cookies or [],
        retry_after=notice.retry_after,
        notice=notice,
    )
