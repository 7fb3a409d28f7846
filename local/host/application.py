"""Puts the functions of one host together: which of them are on, their routes, listeners, timers."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.host import storage
from local.host.configuration import Configuration
from local.host.counts import Counts
from local.host.dispatcher import Dispatcher
from local.host.errors import HostError
from local.host.functions import Binding, Function
from local.host.outputs import Outputs
from local.host.protocol import Trigger
from local.host.queue_listener import QueueListener
from local.host.queue_processor import MESSAGE_LOCK, Processor
from local.host.routes import Route, RouteTable, compile_route
from local.host.storage import Queues, StoredQueue, poison_queue_name
from local.host.timers import Timer, parse_schedule

TRIGGERS = ("httpTrigger", "queueTrigger", "timerTrigger")
OUTPUTS = ("http", "queue")
# https://github.com/Azure/azure-webjobs-sdk: FunctionNameAttribute.FunctionNameValidationRegex
_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)


@dataclass(frozen=True)
class QueueTerms:
    """What can be set of queue listeners beside host.json: seconds of the lock of a message, and how
    likely a stop strands a batch."""

    lock: int = MESSAGE_LOCK
    strands: float = 0.0


@dataclass(frozen=True)
class App:
    """The app's functions. `off` says why a function does not run although it is not disabled."""

    functions: Mapping[str, Function]
    configuration: Configuration
    off: Mapping[str, str] = field(default_factory=dict)

    def enabled(self, trigger: str) -> list[Function]:
        return [
            function
            for function in self.functions.values()
            if function.trigger.type == trigger
            and function.name not in self.off
            and not self.configuration.is_disabled(function.name)
        ]

    def routes(self) -> RouteTable:
        return RouteTable(
            _route(function, self.configuration) for function in self.enabled("httpTrigger")
        )


def of(functions: Iterable[Function], configuration: Configuration) -> App:
    """The app with all functions that the host can run. A mistake in one turns off that one alone:
    seen in Azure."""
    named = {function.name: function for function in functions}
    off = {}
    for name, function in named.items():
        if not configuration.is_disabled(name):
            try:
                _check(function, configuration)
            except HostError as error:
                off[name] = str(error)
    return App(named, configuration, off)


def _check(function: Function, configuration: Configuration) -> None:
    where, trigger = f"function {function.name}", function.trigger
    if _NAME.match(function.name) is None:
        raise HostError(f"{where}: a name starts with a letter and has letters, digits, - and _")
    if trigger.type not in TRIGGERS:
        raise HostError(
            f"{where}: this host runs http, queue and timer triggers, not {trigger.type}; disable "
            f"it with AzureWebJobs.{function.name}.Disabled=true"
        )
    for output in function.outputs:
        if output.type not in OUTPUTS or not output.is_output:
            raise HostError(f"{where}: this host has no {output.type} binding; use an SDK client")
        if output.type == "queue":
            _open(output, configuration, where).close()
    if trigger.type == "httpTrigger":
        _route(function, configuration)
    elif trigger.type == "queueTrigger":
        _open(trigger, configuration, where).close()
    else:
        parse_schedule(function, configuration)
        storage.check_host_storage(configuration.settings, where)


def _open(
    binding: Binding,
    configuration: Configuration,
    where: str,
    count: Callable[[str], None] = lambda operation: None,
) -> StoredQueue:
    if not configuration.has_queue_extension:
        raise HostError(
            f"{where}: host.json has no extensionBundle, so the host has no queue bindings; add "
            'the bundle "Microsoft.Azure.Functions.ExtensionBundle" with version "[4.*, 5.0.0)"'
        )
    name = configuration.resolve(binding.text("queueName"), where)
    return Queues(configuration.settings, count).open(binding.text("connection"), name, where)


def _route(function: Function, configuration: Configuration) -> Route:
    trigger = function.trigger
    return compile_route(
        function.name,
        configuration.route_prefix,
        trigger.text("route"),
        trigger.properties.get("methods") or (),
        (trigger.text("authLevel") or "function").lower(),
    )


class Listeners:
    """The queue and timer listeners of a host."""

    def __init__(
        self,
        app: App,
        dispatcher: Dispatcher,
        counts: Counts,
        state: Path,
        terms: QueueTerms | None = None,
    ) -> None:
        self._app = app
        self._dispatcher = dispatcher
        self._counts = counts
        self._terms = terms or QueueTerms()
        self.outputs = Outputs(base64_text=app.configuration.queues.base64, wake=self.wake)
        self._add_outputs()
        self._listeners = [self._listener(each) for each in app.enabled("queueTrigger")]
        self._timers = [
            Timer(
                each,
                parse_schedule(each, app.configuration),
                state / "timers",
                self._runner(each),
            )
            for each in app.enabled("timerTrigger")
        ]

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()
        for timer in self._timers:
            timer.start()

    def run(self, function: Function, trigger: Trigger) -> None:
        """Run the function, then its output bindings; both are one invocation. Raises
        InvocationFailed."""
        self.outputs.deliver(function, self._dispatcher.invoke(function, trigger))

    def wake(self, queue: str) -> None:
        for listener in self._listeners:
            if listener.queue.name == queue:
                listener.wake()

    def stop_polling(self) -> None:
        # Chance, not a secret.
        strands = random.random() < self._terms.strands  # noqa: S311
        for listener in self._listeners:
            listener.stop_polling(strand_a_batch=strands)
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

    def _listener(self, function: Function) -> QueueListener:
        where = f"function {function.name}"
        configuration, terms = self._app.configuration, self._terms
        queue = _open(function.trigger, configuration, where, self._counts.add)
        processor = Processor(
            function,
            queue,
            self._poison(function, queue.name),
            configuration.queues,
            self._runner(function),
            lock=terms.lock,
            woken_by_poison=self.wake,
        )
        return QueueListener(
            queue, processor, configuration.queues, lock=terms.lock, holds=self._counts.hold
        )

    def _poison(self, function: Function, queue: str) -> StoredQueue | None:
        name = poison_queue_name(queue)
        if name is None:
            return None
        queues = Queues(self._app.configuration.settings, self._counts.add)
        return queues.open(function.trigger.text("connection"), name, f"function {function.name}")

    def _runner(self, function: Function) -> Callable[[Trigger], None]:
        return lambda trigger: self.run(function, trigger)

    def _add_outputs(self) -> None:
        configuration = self._app.configuration
        for name, function in self._app.functions.items():
            if name in self._app.off or configuration.is_disabled(name):
                continue
            for output in function.outputs:
                if output.type == "queue":
                    queue = _open(output, configuration, f"function {name}", self._counts.add)
                    self.outputs.add(name, output.name, queue)
