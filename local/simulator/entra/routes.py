"""Entra's paths. Pages and endpoints for programs share one router."""

from __future__ import annotations

from functools import partial

from local.simulator.entra import handlers
from local.simulator.entra.browser import Browser
from local.simulator.entra.errors import EntraError
from local.simulator.faults import Fault
from local.simulator.state import Hooks, SimulatorState
from local.simulator.wire import Handler, Request, Response, Route

TRANSIENT = 90033


def routes(state: SimulatorState) -> list[Route]:
    """The endpoints for programs first, then the pages."""
    browser = Browser(state.entra, state.flows)
    state.hooks["entra"] = Hooks(
        error=partial(fault, state, browser),
        mailbox_of=partial(handlers.mailbox_of, state.entra),
    )
    return [*_machine_routes(state), *_page_routes(browser)]


def _machine_routes(state: SimulatorState) -> list[Route]:
    def bound(handler: handlers.EntraHandler) -> Handler:
        return partial(handler, state.entra)

    well_known = "/{tenant}/v2.0/.well-known/openid-configuration"
    return [
        Route("entra.token", "POST", "/{tenant}/oauth2/v2.0/token", bound(handlers.token)),
        Route("entra.metadata", "GET", well_known, bound(handlers.metadata)),
        Route("entra.keys", "GET", "/{tenant}/discovery/v2.0/keys", bound(handlers.keys)),
        Route(
            "entra.device_code",
            "POST",
            "/{tenant}/oauth2/v2.0/devicecode",
            bound(handlers.device_code),
        ),
        Route(
            "entra.instance_discovery",
            "GET",
            "/common/discovery/instance",
            bound(handlers.instance_discovery),
        ),
        Route("entra.user_info", "GET", "/oidc/userinfo", bound(handlers.user_info)),
    ]


def _page_routes(browser: Browser) -> list[Route]:
    authorize = "/{tenant}/oauth2/v2.0/authorize"
    return [
        Route("entra.authorize", "GET", authorize, browser.authorize),
        Route("entra.authorize", "POST", authorize, browser.authorize),
        Route("entra.sign_in", "POST", "/entra/sign-in", browser.sign_in),
        Route("entra.second_factor", "POST", "/entra/second-factor", browser.second_factor),
        Route("entra.consent", "POST", "/entra/consent", browser.consent),
        Route("entra.admin_consent", "GET", "/{tenant}/v2.0/adminconsent", browser.admin_consent),
        Route("entra.device_page", "GET", "/devicelogin", browser.device_page),
        Route("entra.device_entered", "POST", "/devicelogin", browser.device_entered),
        Route("entra.logout", "GET", "/{tenant}/oauth2/v2.0/logout", browser.logout),
        Route("entra.style", "GET", "/entra/style.css", browser.style),
        Route("entra.script", "GET", "/entra/continue.js", browser.script),
    ]


def fault(state: SimulatorState, browser: Browser, fault: Fault, request: Request) -> Response:
    """A simulated error, in the form of the endpoint that was called.

    `code` is an AADSTS number, or `50076/invalid_grant` to choose the OAuth error name too.
    """
    number, _, name = str(fault.code or TRANSIENT).partition("/")
    error = EntraError(int(number) if number.isdigit() else TRANSIENT, error=name or None)
    if fault.message:
        error.text = fault.message
    if fault.action == "aadsts" and request.path.lower().endswith("/authorize"):
        return browser.refuse(request, error)
    response = handlers.refusal(state.entra, request, error)
    status = response.status if fault.action == "aadsts" else fault.status
    return Response(status, response.body, response.headers)
