"""The host's own pages under /admin, as far as scripts use them.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http and
azure-functions-host `HostController`, `FunctionsController`; which answers they give was seen in the
real host (section 11.2). `host/counts` is this host's own.
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
from local.host.application import App
from local.host.counts import Counts
from local.host.dispatcher import InvocationFailed
from local.host.functions import Function
from local.host.keys import Keys, presented_key
from local.host.messages import Request, Response
from local.host.protocol import QueueTrigger, TimerTrigger

_LOG = logging.getLogger("host")

Run = Callable[[Function, QueueTrigger | TimerTrigger], None]


def is_admin(request: Request) -> bool:
    return request.path.strip("/").lower().split("/")[0] == "admin"


def key_of(request: Request) -> str | None:
    """The key of a request: an empty header beats a good `code`, as seen in the real host."""
    code = messages.first_value(request.query, "code")
    query: Mapping[str, str] = {} if code is None else {"code": code}
    return presented_key(request.headers, query)


class Admin:
    """`app` is None if host.json cannot be read; `error` says why."""

    def __init__(
        self, app: App | None, keys: Keys, counts: Counts, run: Run, error: str | None = None
    ) -> None:
        self._app = app
        self._keys = keys
        self._counts = counts
        self._run = run
        self._error = error
        self._began = time.monotonic()

    def refusal(self, request: Request) -> Response | None:
        """The answer for whoever has not the master key: 403 with another key, 401 without one."""
        if _path(request) == ["host", "ping"]:
            return None
        level = self._keys.level_of(key_of(request))
        if level == "anonymous":
            return Response(401, (("WWW-Authenticate", "Bearer"),))
        return None if level == "admin" else Response(403)

    def handle(self, request: Request) -> Response:
        path = _path(request)
        actions: dict[tuple[str, str], Callable[[], Response]] = {
            ("GET", "host/ping"): lambda: Response(200),
            ("POST", "host/ping"): lambda: Response(200),
            ("GET", "host/status"): self._status,
            ("GET", "host/counts"): lambda: _json(self._counts.totals()),
            ("GET", "functions"): self._functions,
        }
        action = actions.get((request.method, "/".join(path)))
        if action is not None:
            return action()
        if request.method == "POST" and len(path) == 2 and path[0] == "functions":
            return self._call(path[1], request)
        return Response(404)

    def _status(self) -> Response:
        status: dict[str, Any] = {
            "id": "local",
            "state": "Running" if self._error is None else "Error",
            "version": "4.0-local",
            "processUptime": int((time.monotonic() - self._began) * 1000),
            "processId": os.getpid(),
        }
        if self._error is not None:
            status["errors"] = [self._error]
        return _json(status)

    def _functions(self) -> Response:
        app = self._app
        if app is None:
            return _json([])
        return _json(
            [
                {
                    "name": function.name,
                    "trigger": function.trigger.type,
                    "isDisabled": app.configuration.is_disabled(function.name),
                }
                for function in app.functions.values()
                if function.name not in app.off
            ]
        )

    def _call(self, name: str, request: Request) -> Response:
        """Start a function at once and answer before it ends."""
        if self._app is None:
            return Response(503)
        if "json" not in request.headers.get("content-type", "").lower():
            return Response(415)
        try:
            document = json.loads(request.body)
            text = str(document.get("input") or "")
        except (ValueError, AttributeError):
            return Response(400)
        function = self._app.functions.get(name)
        if function is None or name in self._app.off:
            return Response(404)
        if function.trigger.type == "httpTrigger":
            # Azure answers 202 too, and then cannot make a request of the input.
            _LOG.warning("function %s has an HTTP trigger; call its route to run it", name)
            return Response(202)
        trigger = (
            timers.argument(past_due=False)
            if function.trigger.type == "timerTrigger"
            else queue_processor.from_admin(text)
        )
        threading.Thread(target=self._run_quietly, args=(function, trigger)).start()
        return Response(202)

    def _run_quietly(self, function: Function, trigger: QueueTrigger | TimerTrigger) -> None:
        try:
            self._run(function, trigger)
        except InvocationFailed:
            return


def _path(request: Request) -> list[str]:
    return request.path.strip("/").split("/")[1:]


def _json(document: Any, status: int = 200) -> Response:
    body = json.dumps(document).encode()
    return Response(status, (("Content-Type", "application/json; charset=utf-8"),), body)
