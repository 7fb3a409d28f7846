"""Handles the pages that a person's browser opens: authorize, sign-in, consent, device, logout."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from local.simulator.entra import pages
from local.simulator.entra.application import redirect_matches
from local.simulator.entra.errors import ERROR_PAGE, EntraError
from local.simulator.entra.flows import Flows
from local.simulator.entra.sessions import new_session
from local.simulator.entra.sign_in import Back, SentBack, SignIn
from local.simulator.entra.state import EntraState
from local.simulator.entra.tenant import Tenant
from local.simulator.entra.token_request import check_repeated, form_of, served_by
from local.simulator.entra.version import V1, V2, Version
from local.simulator.wire import Request, Response

SESSION_COOKIE = "SIMSESSION"
PAGE_HEADERS = (
    ("Cache-Control", "no-store, no-cache"),
    ("X-Frame-Options", "DENY"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'"),
)
EXPIRED = "This sign-in has ended or never began. Go back to the application and start again."


class Browser:
    """The pages' handlers, for one Entra and its sign-ins under way."""

    def __init__(self, entra: EntraState, flows: Flows) -> None:
        self._entra = entra
        self._flows = flows

    def authorize(self, version: Version, request: Request) -> Response:
        """`/oauth2/v2.0/authorize` and `/oauth2/authorize`, by GET or POST."""

        def begin() -> Response:
            tenant = self._tenant(request, version)
            return self._sign_in(request, self._flows.begin_code(tenant, _asked(request), version))

        return self._guarded(begin)

    def admin_consent(self, version: Version, request: Request) -> Response:
        """`/v2.0/adminconsent` and `/adminconsent`"""

        def begin() -> Response:
            tenant = self._tenant(request, version)
            return self._sign_in(request, self._flows.begin_admin(tenant, _asked(request), version))

        return self._guarded(begin)

    def sign_in(self, request: Request) -> Response:
        """An account was chosen or typed."""
        form = request.form()
        sign_in = self._flows.find(form.get("ctx", ""))
        if sign_in is None:
            return _page(pages.done("Sign-in ended", EXPIRED), 400)
        session = _session(request) or new_session()

        def proceed() -> Response:
            if form.get("answer") == "cancel":
                self._flows.decline(sign_in, error_subcode="cancel")
                return _page(pages.done("Cancelled", "You may close this window."))
            try:
                self._flows.authentication.choose(sign_in, form.get("username", ""), session)
            except EntraError as error:
                return self._account_page(sign_in, error)
            return self._advance(sign_in)

        return _with_session(self._guarded(proceed), session)

    def second_factor(self, request: Request) -> Response:
        """A second factor was registered, a code typed, or neither."""
        form = request.form()
        sign_in = self._flows.find(form.get("ctx", ""))
        if sign_in is None or sign_in.rules is None or sign_in.user is not None:
            return _page(pages.done("Sign-in ended", EXPIRED), 400)
        session = _session(request) or new_session()

        def proceed() -> Response:
            authentication = self._flows.authentication
            if form.get("answer") == "cancel":
                self._flows.decline(sign_in, error_subcode="cancel")
                return _page(pages.done("Cancelled", "You may close this window."))
            if form.get("answer") == "enrol":
                authentication.enrol(sign_in)
                return self._advance(sign_in)
            try:
                authentication.verify(sign_in, form.get("code", ""), session)
            except EntraError as error:
                return self._factor_page(sign_in, 50076, error)
            return self._advance(sign_in)

        return _with_session(self._guarded(proceed), session)

    def consent(self, request: Request) -> Response:
        """Accept, cancel, or return from "Need admin approval"."""
        form = request.form()
        sign_in = self._flows.find(form.get("ctx", ""))
        if sign_in is None or sign_in.user is None:
            return _page(pages.done("Sign-in ended", EXPIRED), 400)

        def proceed() -> Response:
            answer = form.get("answer")
            consenting = self._flows.consenting
            if answer == "accept" and not consenting.admin_needed(
                sign_in, consenting.missing(sign_in)
            ):
                consenting.accept(sign_in, for_everybody=form.get("organization") == "on")
                return self._finish(sign_in)
            if answer == "return":
                self._flows.refuse_for_policy(sign_in)
            else:
                self._flows.decline(sign_in)
            return _page(pages.done("Cancelled", "You may close this window."))

        return self._guarded(proceed)

    def device_page(self, request: Request) -> Response:
        """`/devicelogin`"""
        return _page(pages.device())

    def device_entered(self, request: Request) -> Response:
        """A device's code was typed."""
        sign_in = self._flows.begin_device(request.form().get("otc", ""))
        if sign_in is None:
            return _page(pages.device("That code didn't work. Check the code and try again."))
        return self._account_page(sign_in)

    def logout(self, request: Request) -> Response:
        """`/oauth2/v2.0/logout` and `/oauth2/logout`: ends the browser's session, and redirects only
        to a registered page."""
        self._flows.sessions.end(_session(request))
        target = request.query.get("post_logout_redirect_uri", "")
        expired = ("Set-Cookie", f"{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
        if target and redirect_matches(self._entra.options.redirect_uris, target):
            return Response(302, headers=[("Location", target), expired])
        page = pages.done("You signed out of your account", "You may close this window.")
        return _page(page, headers=[expired])

    def style(self, request: Request) -> Response:
        """The stylesheet."""
        return Response(200, pages.STYLE.encode(), [("Content-Type", "text/css; charset=utf-8")])

    def script(self, request: Request) -> Response:
        """The script that submits a form_post page."""
        return Response(200, pages.SCRIPT.encode(), [("Content-Type", "text/javascript")])

    def refuse(self, request: Request, error: EntraError) -> Response:
        """Show an error that a fault asks for; if possible, the browser is sent back with it."""

        def begin() -> Response:
            version = V2 if "/v2.0/" in request.path else V1
            tenant = self._tenant(request, version)
            sign_in = self._flows.begin_code(tenant, _asked(request), version)
            if error.page or sign_in.back is None:
                raise error
            raise SentBack(error, sign_in.back)

        return self._guarded(begin)

    def _tenant(self, request: Request, version: Version) -> Tenant:
        return served_by(version, self._entra.tenant(request.params["tenant"]))

    def _sign_in(self, request: Request, sign_in: SignIn) -> Response:
        if self._flows.authentication.silently(sign_in, _session(request)):
            return self._advance(sign_in)
        return self._account_page(sign_in)

    def _account_page(self, sign_in: SignIn, error: EntraError | None = None) -> Response:
        accounts = self._flows.authentication.accounts(sign_in)
        return _page(pages.sign_in(sign_in.id, accounts, sign_in.login_hint, error))

    def _factor_page(
        self, sign_in: SignIn, missing: int, error: EntraError | None = None
    ) -> Response:
        address = sign_in.rules.home.address if sign_in.rules else ""
        if missing == 50079:
            return _page(pages.enrolment(sign_in.id, address, EntraError(missing)))
        return _page(pages.second_factor(sign_in.id, address, error))

    def _advance(self, sign_in: SignIn) -> Response:
        """Ask for a second factor and for consent, each if it is needed, else finish."""
        factor = self._flows.authentication.missing_factor(sign_in)
        if factor is not None:
            return self._factor_page(sign_in, factor)
        missing = self._flows.consenting.missing(sign_in)
        user, name = sign_in.user, self._entra.application.name
        if not missing or user is None:
            return self._finish(sign_in)
        if self._flows.consenting.admin_needed(sign_in, missing):
            return _page(pages.approval(sign_in.id, user, name, EntraError(90094)))
        page = pages.consent(sign_in.id, user, name, sign_in.scope.resource, missing)
        return _page(page)

    def _finish(self, sign_in: SignIn) -> Response:
        if sign_in.purpose == "device" or sign_in.back is None:
            self._flows.finish_device(sign_in)
            text = f"You have signed in to {self._entra.application.name} on your device."
            return _page(pages.done("Signed in", f"{text} You may now close this window."))
        if sign_in.purpose == "admin":
            return send_back(sign_in.back, self._flows.finish_admin(sign_in))
        answer = self._flows.finish_code(sign_in)
        return send_back(sign_in.back, answer | {"session_state": str(uuid.uuid4())})

    def _guarded(self, work: Callable[[], Response]) -> Response:
        try:
            return work()
        except SentBack as sent:
            return _error_back(sent)
        except EntraError as error:
            return _page(pages.refused(error), 400)


def _asked(request: Request) -> Mapping[str, str]:
    """The parameters of a request to a page. Raises EntraError."""
    if request.method == "POST":
        return form_of(request)
    check_repeated(request.repeated)
    return request.query


def send_back(back: Back, values: Mapping[str, str]) -> Response:
    """The answer at the redirect URI, in the response mode that was asked for."""
    answer = dict(values) if back.state is None else {**values, "state": back.state}
    if back.response_mode == "form_post":
        return _page(pages.form_post(back.redirect_uri, answer))
    separator = "#" if back.response_mode == "fragment" else _query_separator(back.redirect_uri)
    location = back.redirect_uri + separator + urlencode(answer)
    return Response(302, headers=[("Location", location), ("Cache-Control", "no-store, no-cache")])


def _error_back(sent: SentBack) -> Response:
    error = sent.error
    return send_back(
        sent.back,
        {
            "error": error.error,
            "error_description": error.summary,
            "error_uri": ERROR_PAGE.format(error.code),
            **sent.extra,
        },
    )


def _query_separator(uri: str) -> str:
    return "&" if "?" in uri else "?"


def _page(page: str, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response.of_html(status, page, (*PAGE_HEADERS, *(headers or ())))


def _session(request: Request) -> str:
    # Cookies ignore ports, so an application on localhost sends its cookies here too; the session's
    # cookie must be found among any of them.
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == SESSION_COOKIE:
            return value
    return ""


def _with_session(response: Response, session: str) -> Response:
    cookie = f"{SESSION_COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"
    return Response(response.status, response.body, (*response.headers, ("Set-Cookie", cookie)))
