"""`POST /auth/device` and `POST /auth/device/finish`: a sign-in by a code that a person types at
Microsoft."""

from __future__ import annotations

import logging
from datetime import UTC

import azure.functions as func
from msgspec.structs import replace

from shared import telemetry
from shared.errors import NotFinishedYet, NotSent, PostroomError
from shared.mail.known_errors import SignInRejected
from shared.services.sign_in.device_code import DeviceSignIn
from shared.services.sign_in.ports import DeviceFlow, Grant
from shared.web.auth import device_cookie
from shared.web.auth.same_origin import require_same_origin
from shared.web.auth.session import Sessions
from shared.web.auth.sign_in import connected_at, refusal_page
from shared.web.auth.sign_in_form import request_of
from shared.web.auth.signing import Keys
from shared.web.forms import read_form
from shared.web.pages import notices
from shared.web.pages.rendering import Site, page, see_other

_SLOWER_BY = 5
"""RFC 8628, 3.5: the seconds by which all later pauses between two requests grow."""


def begin_device_sign_in(
    req: func.HttpRequest, sessions: Sessions, device: DeviceSignIn, keys: Keys, site: Site
) -> func.HttpResponse:
    """Show the code, and store the secret device code in a cookie."""
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        flow = device.begin(request_of(read_form(req), site.registration.tenant))
        cookie = device_cookie.build(keys, flow)
    except PostroomError as error:
        return refusal_page(site, notices.of(error))
    return _code_page(site, flow, cookie=cookie)


def finish_device_sign_in(
    req: func.HttpRequest, sessions: Sessions, device: DeviceSignIn, keys: Keys, site: Site
) -> func.HttpResponse:
    """Ask Microsoft once. 202 as long as the person has not finished, 303 once the mailbox is
    connected."""
    flow = None
    try:
        require_same_origin(req, site.origin)
        if not sessions.is_open(req):
            return see_other("/signin")
        flow = _flow_of(req, keys)
        grant = _ask(device, flow, keys, site)
        if isinstance(grant, func.HttpResponse):
            return grant
        account = device.finish(flow, grant)
    except PostroomError as error:
        code = getattr(error, "code", None) or type(error).__name__
        telemetry.event("sign_in_refused", level=logging.WARNING, code=code)
        notice = notices.of(
            error,
            flow.sign_in_request if flow else None,
            registration=site.registration,
            by_code=True,
        )
        clearing = [device_cookie.clear(flow.handle)] if flow else []
        return refusal_page(site, notice, clearing)
    return see_other(
        connected_at(account, flow.sign_in_request), set_cookies=[device_cookie.clear(flow.handle)]
    )


def _flow_of(req: func.HttpRequest, keys: Keys) -> DeviceFlow:
    handle = read_form(req).get("handle", "")
    flow = device_cookie.read(keys, req.headers.get("Cookie", ""), handle) if handle else None
    if flow is None:
        raise SignInRejected(
            "This browser has no sign-in by code under way that fits: it was begun elsewhere, has "
            "expired, or was finished already.",
            "Look at /accounts: the mailbox may be there. If it is not, start again.",
        )
    return flow


def _ask(
    device: DeviceSignIn, flow: DeviceFlow, keys: Keys, site: Site
) -> Grant | func.HttpResponse:
    """The grant, or the page with the code again if the person has not finished."""
    try:
        return device.ask(flow)
    except NotFinishedYet as pending:
        if not pending.slower:
            return _code_page(site, flow, status=202, trouble="waiting")
        interval = flow.code.interval_seconds + _SLOWER_BY
        flow = replace(flow, code=replace(flow.code, interval_seconds=interval))
        cookie = device_cookie.build(keys, flow)
        return _code_page(site, flow, status=202, trouble="slower", cookie=cookie)
    except NotSent as error:
        wait = max(error.retry_after or 0, flow.code.interval_seconds)
        return _code_page(site, flow, status=503, trouble="unanswered", wait=wait)


def _code_page(
    site: Site,
    flow: DeviceFlow,
    *,
    status: int = 200,
    trouble: str = "",
    wait: float | None = None,
    cookie: str | None = None,
) -> func.HttpResponse:
    interval = flow.code.interval_seconds
    return page(
        site,
        "device.html",
        status=status,
        retry_after=(wait or interval) if status != 200 else None,
        set_cookies=[cookie] if cookie else [],
        sign_in_request=flow.sign_in_request,
        handle=flow.handle,
        user_code=flow.code.user_code,
        address=flow.code.verification_uri,
        # Only the address of a web page becomes a link.
        openable=flow.code.verification_uri.startswith(("https://", "http://localhost")),
        ends=flow.expires_at.astimezone(UTC).strftime("%H:%M"),
        ends_at=int(flow.expires_at.timestamp()),
        interval=round(wait or interval),
        trouble=trouble,
    )
