"""Entra's paths. Pages and endpoints for programs share one router."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from local.simulator.entra import discovery, handlers, unsupported
from local.simulator.entra.browser import Browser
from local.simulator.entra.errors import EntraError
from local.simulator.entra.state import EntraState
from local.simulator.entra.version import V1, V2
from local.simulator.faults import Fault
from local.simulator.state import Hooks, SimulatorState
from local.simulator.wire import Request, Response, Route

TRANSIENT = 90033


def routes(state: SimulatorState) -> list[Route]:
    """The endpoints for programs first, then the pages."""
    browser = Browser(state.entra, state.flows)
    state.hooks["entra"] = Hooks(
        error=partial(fault, state, browser),
        mailbox_of=partial(handlers.mailbox_of, state.entra),
    )
    return [
        *_machine_routes(state),
        *_page_routes(browser),
        *_wrong_methods(state.entra),
        *unsupported.routes(state.entra),
    ]


def _machine_routes(state: SimulatorState) -> Iterator[Route]:
    entra = state.entra
    for version in (V2, V1):
        token = version.endpoint("token")
        yield _route(
            "token", "POST", f"/{{tenant}}{token}", partial(handlers.token, version), entra
        )
        code = partial(handlers.device_code, version)
        path = f"/{{tenant}}{version.endpoint('devicecode')}"
        yield _route("device_code", "POST", path, code, entra)
        if version == V1:
            yield _route("device_code", "GET", path, code, entra)
        metadata = partial(discovery.metadata, version)
        yield _route("metadata", "GET", f"/{{tenant}}{version.metadata}", metadata, entra)
        yield _route("keys", "GET", f"/{{tenant}}{version.keys}", discovery.keys, entra)
    found = discovery.instance_discovery
    yield _route("instance_discovery", "GET", "/common/discovery/instance", found, entra)
    for path in ("/common/userrealm", "/common/userrealm/", "/common/userrealm/{user}"):
        yield _route("user_realm", "GET", path, discovery.user_realm, entra)
    for path in ("/oidc/userinfo", "/{tenant}/openid/userinfo"):
        yield _route("user_info", "GET", path, handlers.user_info, entra)


def _route(
    name: str, method: str, path: str, handler: handlers.EntraHandler, entra: EntraState
) -> Route:
    return Route(f"entra.{name}", method, path, partial(handler, entra))


def _page_routes(browser: Browser) -> Iterator[Route]:
    for version in (V2, V1):
        authorize = f"/{{tenant}}{version.endpoint('authorize')}"
        begin = partial(browser.authorize, version)
        yield Route("entra.authorize", "GET", authorize, begin)
        yield Route("entra.authorize", "POST", authorize, begin)
        consent = f"/{{tenant}}{version.segment}/adminconsent"
        yield Route("entra.admin_consent", "GET", consent, partial(browser.admin_consent, version))
        logout = f"/{{tenant}}{version.endpoint('logout')}"
        yield Route("entra.logout", "GET", logout, browser.logout)
    yield Route("entra.sign_in", "POST", "/entra/sign-in", browser.sign_in)
    yield Route("entra.second_factor", "POST", "/entra/second-factor", browser.second_factor)
    yield Route("entra.consent", "POST", "/entra/consent", browser.consent)
    yield Route("entra.device_page", "GET", "/devicelogin", browser.device_page)
    yield Route("entra.device_entered", "POST", "/devicelogin", browser.device_entered)
    yield Route("entra.style", "GET", "/entra/style.css", browser.style)
    yield Route("entra.script", "GET", "/entra/continue.js", browser.script)


def _wrong_methods(entra: EntraState) -> Iterator[Route]:
    for version in (V2, V1):
        for name, endpoint, verbs in (
            ("token", "token", "POST, OPTIONS"),
            ("device_code", "devicecode", "POST"),
            ("authorize", "authorize", "GET, POST"),
        ):
            refuse = partial(handlers.wrong_method, verbs)
            path = f"/{{tenant}}{version.endpoint(endpoint)}"
            yield _route(name, "*", path, refuse, entra)


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
