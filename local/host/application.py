"""Puts one worker together: configuration, functions, listeners, timers, HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.host import indexing, signatures
from local.host.configuration import Configuration
from local.host.counts import Counts
from local.host.errors import HostError
from local.host.indexing import IndexedFunction
from local.host.invocation import Invoker
from local.host.outputs import Outputs
from local.host.queue_listener import QueueListener
from local.host.queue_processor import Processor, runner
from local.host.routes import Route, RouteTable, compile_route
from local.host.storage import Queues, poison_queue_name
from local.host.timers import Timer, parse_schedule

_LOG = logging.getLogger("host")


@dataclass(frozen=True)
class App:
    """The app's functions, indexed and checked."""

    functions: Mapping[str, IndexedFunction]
    configuration: Configuration

    def enabled(self, trigger: str) -> list[IndexedFunction]:
        return [
            function
            for function in self.functions.values()
            if function.trigger.type == trigger
            and not self.configuration.is_disabled(function.name)
        ]

    def routes(self) -> RouteTable:
        prefix = self.configuration.route_prefix
        return RouteTable(_route(function, prefix) for function in self.enabled("httpTrigger"))


def load(directory: Path, configuration: Configuration) -> App:
    script = configuration.settings.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    app = indexing.find_app(indexing.import_script(directory, script))
    checked = [signatures.check(function) for function in indexing.describe(app, directory)]
    if not checked:
        raise HostError(f"{script} has no functions; decorate at least one")
    return App({function.name: function for function in checked}, configuration)


def _route(function: IndexedFunction, prefix: str) -> Route:
    trigger = function.trigger
    return compile_route(
        function.name,
        prefix,
        trigger.text("route"),
        trigger.properties.get("methods") or (),
        (trigger.text("authLevel") or "function").lower(),
    )


class Listeners:
    """The queue and timer listeners of a worker."""

    def __init__(self, app: App, invoker: Invoker, counts: Counts, state: Path) -> None:
        self._app = app
        self._invoker = invoker
        self._queues = Queues(app.configuration.settings, counts.add)
        self.outputs = Outputs(base64_text=app.configuration.queues.base64, wake=self.wake)
        self._add_outputs()
        self._listeners = [self._listener(each) for each in app.enabled("queueTrigger")]
        self._timers = [
            Timer(
                each,
                parse_schedule(each, app.configuration),
                state / "timers",
                runner(invoker, each, self.outputs.deliver),
            )
            for each in app.enabled("timerTrigger")
        ]

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()
        for timer in self._timers:
            timer.start()

    def wake(self, queue: str) -> None:
        for listener in self._listeners:
            if listener.queue.name == queue:
                listener.wake()

    def stop_polling(self) -> None:
        for listener in self._listeners:
            listener.stop_polling()
        for timer in self._timers:
            timer.stop()

    def finish(self, grace: float) -> bool:
        """Wait for the functions under way. Returns whether all ended in time."""
        deadline = time.monotonic() + grace
        done = True
        finishers = [each.finish for each in self._listeners]
        finishers += [each.finish for each in self._timers]
        for finish in finishers:
            done = finish(max(0.0, deadline - time.monotonic())) and done
        self.outputs.close()
        return done

    def _listener(self, function: IndexedFunction) -> QueueListener:
        where = f"function {function.name}"
        settings = self._app.configuration.queues
        connection = function.trigger.text("connection")
        name = self._app.configuration.resolve(function.trigger.text("queueName"), where)
        queue = self._queues.open(connection, name, where)
        poison_name = poison_queue_name(queue.name)
        poison = self._queues.open(connection, poison_name, where) if poison_name else None
        run = runner(self._invoker, function, self.outputs.deliver)
        processor = Processor(function, queue, poison, settings, run, woken_by_poison=self.wake)
        return QueueListener(queue, processor, settings)

    def _add_outputs(self) -> None:
        for function in self._app.functions.values():
            for output in function.outputs:
                if output.type == "queue":
                    where = f"function {function.name}"
                    name = self._app.configuration.resolve(output.text("queueName"), where)
                    queue = self._queues.open(output.text("connection"), name, where)
                    self.outputs.add(function.name, output.name, queue)


def describe(app: App) -> list[str]:
    """The functions of the app, one line each, then warnings about surprises in the cloud."""
    table = app.routes()
    lines = [
        f"  {route.function}: [{','.join(sorted(route.methods)) or 'any'}] {route.template}"
        f" ({route.auth_level})"
        for route in table.routes
    ]
    for each in app.enabled("queueTrigger"):
        lines.append(f"  {each.name}: queue {each.trigger.text('queueName')}")
    for each in app.enabled("timerTrigger"):
        lines.append(f"  {each.name}: timer {each.trigger.text('schedule')} (UTC)")
    lines += [
        f"warning: function {each.name}: @app.retry has no effect here; on queues it has none in "
        "the cloud either"
        for each in app.functions.values()
        if each.retry_policy
    ]
    lines += [
        f"warning: function {hidden.function} ({hidden.template}) is never reached, because the "
        f"host tries {by.function} ({by.template}) first: functions go by the alphabet; rename "
        "one, or give the parameter a constraint"
        for hidden, by in table.hidden()
    ]
    return lines
