"""Passes a request to a function and its answer back: routes, keys, and the host's own pages under
/admin.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger and
https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.host import messages, queue_processor, timers
from local.host.application import App, Listeners
from local.host.counts import Counts
from local.host.indexing import IndexedFunction
from local.host.invocation import InvocationFailed, Invoker, where
from local.host.keys import Keys, presented_key
from local.host.messages import Request, Response

_LOG = logging.getLogger("host")
_PROCEED = Response(200)


class HttpFront:
    def __init__(
        self, app: App, keys: Keys, invoker: Invoker, listeners: Listeners, counts: Counts
    ) -> None:
        self._app = app
        self._keys = keys
        self._invoker = invoker
        self._listeners = listeners
        self._counts = counts
        self._routes = app.routes()
        self._began = time.monotonic()

    def may_read(self, request: Request) -> Response:
        """200 if the server may go on and read the body, else the answer."""
        if _is_admin(request):
            return _PROCEED
        found = self._routes.find(request.method, request.path)
        if found is None:
            return self._home() if request.path == "/" else Response(404)
        route, _ = found
        return _PROCEED if self._keys.may_call(route.auth_level, _key(request)) else Response(401)

    def handle(self, request: Request) -> Response:
        if _is_admin(request):
            return self._admin(request)
        found = self._routes.find(request.method, request.path)
        if found is None:
            return self._home()
        route, values = found
        function = self._app.functions[route.function]
        try:
            argument = messages.to_function(request, values)
            result = self._invoker.invoke(
                function,
                argument,
                trace_parent=request.headers.get("traceparent", ""),
                trace_state=request.headers.get("tracestate", ""),
            )
            self._listeners.outputs.deliver(function, result)
            return messages.from_function(result.returned)
        except InvocationFailed:
            return Response(500)
        except Exception as error:  # noqa: BLE001 - whatever the worker cannot encode is a 500
            _LOG.error(
                "%s could not be answered: %s", function.name, where(error, function.directory)
            )
            return Response(500)

    def _home(self) -> Response:
        # azure-functions-host, `HomepageMiddleware`: only if no function has the route "/".
        if (
            self._app.configuration.settings.get("AzureWebJobsDisableHomepage", "").lower()
            == "true"
        ):
            return Response(204)
        page = b"<!doctype html><title>Functions</title><p>Your function app is up and running."
        return Response(200, (("Content-Type", "text/html"),), page)

    def _admin(self, request: Request) -> Response:
        path = request.path.strip("/").split("/")[1:]
        if path == ["host", "ping"]:
            return Response(200)
        if not self._keys.may_call("admin", _key(request)):
            return Response(401)
        actions: dict[tuple[str, str], Callable[[], Response]] = {
            ("GET", "host/status"): self._status,
            ("GET", "host/counts"): lambda: _json(self._counts.totals()),
            ("GET", "functions"): self._functions,
        }
        action = actions.get((request.method, "/".join(path)))
        if action is not None:
            return action()
        if request.method == "POST" and len(path) == 2 and path[0] == "functions":
            return self._run(path[1], request.body)
        return Response(404)

    def _status(self) -> Response:
        return _json(
            {
                "id": "local",
                "state": "Running",
                "version": "4.0-local",
                "processUptime": int((time.monotonic() - self._began) * 1000),
                "processId": os.getpid(),
            }
        )

    def _functions(self) -> Response:
        return _json(
            [
                {
                    "name": function.name,
                    "trigger": function.trigger.type,
                    "isDisabled": self._app.configuration.is_disabled(function.name),
                }
                for function in self._app.functions.values()
            ]
        )

    def _run(self, name: str, body: bytes) -> Response:
        """Start a timer or queue function at once and answer before it ends."""
        function = self._app.functions.get(name)
        if function is None:
            return Response(404)
        try:
            document = json.loads(body or b"{}")
            text = str(document.get("input") or "")
        except (ValueError, AttributeError):
            return Response(400)
        if function.trigger.type == "httpTrigger":
            return _json({"error": f"{name} has an HTTP trigger; call its route"}, 400)
        argument = (
            timers.argument(past_due=False)
            if function.trigger.type == "timerTrigger"
            else queue_processor.from_admin(function, text)
        )
        threading.Thread(target=self._run_quietly, args=(function, argument)).start()
        return Response(202)

    def _run_quietly(self, function: IndexedFunction, argument: Any) -> None:
        try:
            result = self._invoker.invoke(function, argument)
            self._listeners.outputs.deliver(function, result)
        except InvocationFailed:
            return


def _is_admin(request: Request) -> bool:
    return request.path.strip("/").lower().split("/")[0] == "admin"


def _key(request: Request) -> str | None:
    query: Mapping[str, str] = {"code": messages.first_value(request.query, "code") or ""}
    return presented_key(request.headers, query)


def _json(document: Any, status: int = 200) -> Response:
    body = json.dumps(document).encode()
    return Response(status, (("Content-Type", "application/json; charset=utf-8"),), body)
