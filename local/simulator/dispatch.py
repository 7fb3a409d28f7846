"""Answers a request: finds the route, applies faults around its handler, and keeps the log."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from local.simulator.faults import Fault, When
from local.simulator.state import Hooks, SimulatorState
from local.simulator.urls import LOOPBACK_NAMES
from local.simulator.wire import Request, Response, Route

_HOST = re.compile(r"([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")
LARGEST_PORT = 65535
UNKNOWN = "unknown"
"""The operation of a request for which there is no route."""


class ResetConnection(Exception):
    """The client gets no answer: its connection is reset."""


class Dispatcher:
    """All routes of all services. Thread-safe if the handlers are."""

    def __init__(
        self, state: SimulatorState, routes: Sequence[Route], also_called: Sequence[str] = ()
    ) -> None:
        self._state = state
        self._names = frozenset(name.lower() for name in (*LOOPBACK_NAMES, *also_called))
        self._routes: dict[str, list[Route]] = defaultdict(list)
        for route in routes:
            self._routes[route.method].append(route)

    def answer(self, request: Request) -> Response:
        """The answer. Raises ResetConnection if the fault allows none."""
        if not self._is_meant(request):
            return Response.of_json(
                421, {"error": "the simulator answers only to the name localhost"}
            )
        found = self._find(request)
        if found is None:
            return self._no_such_route(request)
        route, request = found
        self._state.log.count(route.name)
        return self._logged(route, request)

    def _is_meant(self, request: Request) -> bool:
        """Whether Host, if it is sent, is a name of the simulator, with a port or without.

        A web page may bind its own name to the simulator's address, and its browser would then let
        it read every answer (DNS rebinding). Its requests still contain that name, and no page can
        change this.
        """
        host = request.headers.get("host")
        if host is None:
            return True
        found = _HOST.fullmatch(host)
        if found is None or int(found[2] or 0) > LARGEST_PORT:
            return False
        return found[1].lower() in self._names

    def _find(self, request: Request) -> tuple[Route, Request] | None:
        # HEAD is answered as GET; the server leaves the body out.
        method = "GET" if request.method == "HEAD" else request.method
        for route in (*self._routes.get(method, ()), *self._routes.get("*", ())):
            params = route.match(method, request.path)
            if params is not None:
                return route, replace(request, params=params)
        return None

    def _no_such_route(self, request: Request) -> Response:
        others = [
            method
            for method, routes in self._routes.items()
            if any(route.match(method, request.path) is not None for route in routes)
        ]
        self._tell_unsupported(request, 405 if others else 404)
        if others:
            allow = [("Allow", ", ".join(sorted(others)))]
            return Response.of_json(405, {"error": "method not allowed"}, allow)
        return Response.of_json(404, {"error": "the simulator has nothing at this path"})

    def _tell_unsupported(self, request: Request, status: int) -> None:
        what = f"{request.method} {request.path}"
        entry = {
            "operation": UNKNOWN,
            "mailbox": None,
            "time": self._state.clock.now().isoformat(),
            "status": status,
            "unsupported": what,
        }
        self._state.log.add(entry)
        print(f"unsupported: {what}", file=sys.stderr)

    def _logged(self, route: Route, request: Request) -> Response:
        hooks = self._state.hooks.get(route.name.partition(".")[0])
        mailbox = hooks.mailbox_of(request) if hooks else None
        entry: dict[str, Any] = {
            "operation": route.name,
            "mailbox": mailbox,
            "time": self._state.clock.now().isoformat(),
            "status": None,
        }
        began = time.perf_counter()
        try:
            response = self._around(route, request, hooks, mailbox)
            entry["status"] = response.status
            if response.unsupported is not None:
                entry["unsupported"] = response.unsupported
                print(f"unsupported: {route.name}: {response.unsupported}", file=sys.stderr)
            return response
        finally:
            entry["milliseconds"] = round((time.perf_counter() - began) * 1000, 1)
            self._state.log.add(entry)

    def _around(
        self, route: Route, request: Request, hooks: Hooks | None, mailbox: str | None
    ) -> Response:
        early = self._fault(route, "before", request, hooks, mailbox)
        if early is not None:
            return early
        response = _handled(route, request)
        late = self._fault(route, "after", request, hooks, mailbox)
        return response if late is None else late

    def _fault(
        self, route: Route, when: When, request: Request, hooks: Hooks | None, mailbox: str | None
    ) -> Response | None:
        # The control surface must stay reachable, whatever `where` says.
        if route.name.startswith("control."):
            return None
        fault = self._state.faults.take(route.name, when, mailbox)
        if fault is None:
            return None
        if fault.action in ("hang", "slow"):
            self._state.faults.wait(fault.seconds)
        if fault.action in ("hang", "reset"):
            raise ResetConnection
        return None if fault.action == "slow" else faulty_response(fault, request, hooks)


def faulty_response(fault: Fault, request: Request, hooks: Hooks | None) -> Response:
    """The answer of a fault; the fault's own headers come last."""
    extra = tuple((name, str(value)) for name, value in fault.headers.items())
    if fault.action == "empty":
        return Response(fault.status, b"", extra)
    if fault.action == "html":
        page = fault.body or f"<html><body><h1>{fault.status} Bad Gateway</h1></body></html>"
        return Response.of_html(fault.status, page, extra)
    if fault.body is not None:
        return Response(
            fault.status, fault.body.encode(), (("Content-Type", "application/json"), *extra)
        )
    if hooks is None:
        return Response.of_json(fault.status, {"error": fault.code or "simulated fault"}, extra)
    response = hooks.error(fault, request)
    return replace(response, headers=(*response.headers, *extra))


def _handled(route: Route, request: Request) -> Response:
    try:
        return route.handler(request)
    except Exception:  # noqa: BLE001 - a defect of the simulator must not look like a dead connection
        traceback.print_exc(file=sys.stderr)
        document = {"error": "the simulator failed; its standard error says where"}
        return Response.of_json(500, document)
