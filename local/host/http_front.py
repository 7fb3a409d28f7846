"""Passes a request to a function and its answer back: routes and keys.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

from __future__ import annotations

import logging

from local.host import messages
from local.host.admin import Admin, is_admin, key_of
from local.host.application import App
from local.host.dispatcher import Dispatcher, InvocationFailed
from local.host.keys import Keys
from local.host.messages import Request, Response
from local.host.outputs import Outputs
from local.host.protocol import HttpTrigger

_LOG = logging.getLogger("host")
_PROCEED = Response(200)
# azure-functions-host, `HomepageMiddleware`, with AzureWebJobsDisableHomepage=true.
_HOME = Response(204)
_NOT_RUNNING = Response(
    503, (("Content-Type", "text/plain; charset=utf-8"),), b"Function host is not running."
)


class HttpFront:
    def __init__(
        self, app: App, keys: Keys, dispatcher: Dispatcher, outputs: Outputs, admin: Admin
    ) -> None:
        self._app = app
        self._keys = keys
        self._dispatcher = dispatcher
        self._outputs = outputs
        self._admin = admin
        self._routes = app.routes()

    def may_read(self, request: Request) -> Response:
        """200 if the server may go on and read the body, else the answer."""
        if is_admin(request):
            return self._admin.refusal(request) or _PROCEED
        found = self._routes.find(request.method, request.path)
        if found is None:
            return _HOME if request.path == "/" else Response(404)
        route, _ = found
        may_call = self._keys.may_call(route.auth_level, key_of(request))
        return _PROCEED if may_call else Response(401)

    def handle(self, request: Request) -> Response:
        if is_admin(request):
            return self._admin.handle(request)
        found = self._routes.find(request.method, request.path)
        if found is None:
            return _HOME
        route, values = found
        function = self._app.functions[route.function]
        try:
            trigger = HttpTrigger(
                request.method.upper(),
                messages.url_of(request),
                request.headers,
                messages.query_parameters(request.query),
                values,
                request.body,
            )
        except ValueError as error:
            _LOG.error("%s could not be called: %s", function.name, error)
            return Response(500)
        headers = request.headers
        try:
            outcome = self._dispatcher.invoke(
                function, trigger, headers.get("traceparent", ""), headers.get("tracestate", "")
            )
            self._outputs.deliver(function, outcome)
        except InvocationFailed:
            return Response(500)
        return outcome.response or Response(500)


class NotRunning:
    """What a host answers whose host.json cannot be read: seen in Azure."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def may_read(self, request: Request) -> Response:
        if is_admin(request):
            return self._admin.refusal(request) or _PROCEED
        return _NOT_RUNNING

    def handle(self, request: Request) -> Response:
        return self._admin.handle(request) if is_admin(request) else _NOT_RUNNING
