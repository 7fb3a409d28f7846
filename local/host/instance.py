"""One host process: reads host.json, starts a Python worker, listens, and shuts down in order."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local import children
from local.host import configuration, keys
from local.host.configuration import Configuration
from local.host.counts import Counts
from local.host.dispatcher import Dispatcher, HostExhausted
from local.host.errors import HostError
from local.host.worker_process import Launch

_LOG = logging.getLogger("host")

EXIT_WRONG_APP = 2
EXIT_EXHAUSTED = 3
_STORAGE_SECONDS = 10.0
_WORKER_SECONDS = 5.0


@dataclass(frozen=True)
class InstanceOptions:
    """`report` and `platform` are pipes of the platform; times in seconds."""

    index: int
    port: int
    app_directory: Path
    state_directory: Path
    report: int
    platform: int
    supervisor: int
    grace: float
    lock: int
    strands: float
    strict: bool


def main(options: InstanceOptions) -> int:
    children.die_with_parent(signal.SIGTERM, options.supervisor)
    _set_up_logging()
    try:
        return _Instance(options).run()
    except HostExhausted as error:
        _say(options, f"error: {error}")
        return EXIT_EXHAUSTED
    except HostError as error:
        _say(options, f"error: {error}")
        return EXIT_WRONG_APP


def _say(options: InstanceOptions, line: str) -> None:
    """Every instance finds the same mistake; only one of them reports it."""
    if options.index == 0:
        print(line, file=sys.stderr, flush=True)


class _Instance:
    def __init__(self, options: InstanceOptions) -> None:
        self._options = options
        self._stop: list[int] = []
        self._exhausted = threading.Event()
        self._ready = False
        self._worker = 0
        state = options.state_directory
        self._keys = keys.load_or_create(state / "keys.json")
        self._counts = Counts(state / "host-counts", options.index)
        self._settings = configuration.settings_of(options.app_directory, os.environ)
        # Credentials of the storage SDK come from the environment.
        os.environ.update(self._settings)

    def run(self) -> int:
        # A plain list: a handler that takes a lock, as Event.set() does, can deadlock with itself.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: self._stop.append(received))
        options = self._options
        try:
            found = configuration.load(options.app_directory, self._settings)
        except HostError as error:
            return self._without_functions(error)
        for name in found.unknown:
            self._say(f"warning: host.json: {name} is unknown; Azure ignores it without a word")
        dispatcher = Dispatcher(
            Launch(options.app_directory, self._worker_settings(), options.platform),
            timeout=found.function_timeout,
            on_worker=self._on_worker,
            on_exhausted=self._exhausted.set,
        )
        # First of all, because importing the app takes the longest.
        dispatcher.launch()
        try:
            return self._with_functions(found, dispatcher)
        finally:
            dispatcher.close(0.0)

    def _with_functions(self, found: Configuration, dispatcher: Dispatcher) -> int:
        # These import the storage SDK, meanwhile.
        from local.host import admin, application, descriptions, http_front
        from local.host.server import Server

        options = self._options
        _await_storage(found.settings, self._stop)
        indexed = dispatcher.functions()
        app = application.of(indexed.functions, found)
        for line in descriptions.of(app, indexed):
            self._say(line)
        if options.strict and (complaint := descriptions.complaint(app, indexed)):
            raise HostError(complaint)
        terms = application.QueueTerms(options.lock, options.strands)
        listeners = application.Listeners(
            app, dispatcher, self._counts, options.state_directory, terms
        )

        pages = admin.Admin(app, self._keys, self._counts, listeners.run)
        front = http_front.HttpFront(app, self._keys, dispatcher, listeners.outputs, pages)
        server = Server(options.port, front.handle, front.may_read, self._body_limit())
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        listeners.start()
        self._is_ready()
        self._wait()

        held = self._counts.held
        _LOG.info("stopping; %s queue messages are under way", held)
        began = time.monotonic()
        listeners.stop_polling()
        server.stop(options.grace)
        finished = listeners.finish(max(0.1, options.grace - (time.monotonic() - began)))
        finished = finished and dispatcher.is_idle
        if not finished:
            _LOG.warning("functions are cut off; their messages stay locked")
        # An idle worker ends by itself. One that hangs is killed, and so is its function.
        dispatcher.close(_WORKER_SECONDS if finished else 0.0)
        sys.stderr.flush()
        # Threads that still wait for a function would keep the interpreter running.
        os._exit(EXIT_EXHAUSTED if self._exhausted.is_set() else 0)

    def _without_functions(self, error: HostError) -> int:
        from local.host import admin, http_front
        from local.host.server import Server

        self._say(f"error: {error}")
        self._say('  Azure would start too, and answer 503 "Function host is not running."')
        if self._options.strict:
            return EXIT_WRONG_APP
        pages = admin.Admin(None, self._keys, self._counts, lambda *_: None, str(error))
        front = http_front.NotRunning(pages)
        server = Server(self._options.port, front.handle, front.may_read)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._is_ready()
        self._wait()
        server.stop(self._options.grace)
        return 0

    def _wait(self) -> None:
        while not self._stop and not self._exhausted.is_set():
            time.sleep(0.05)

    def _is_ready(self) -> None:
        self._ready = True
        self._report()

    def _on_worker(self, pid: int) -> None:
        self._worker = pid
        if self._ready:
            self._report()

    def _report(self) -> None:
        """Tell the platform that this instance is ready, and which process its worker is."""
        line = json.dumps({"worker": self._worker}) + "\n"
        try:
            os.write(self._options.report, line.encode())
        except OSError:
            return

    def _say(self, line: str) -> None:
        _say(self._options, line)

    def _worker_settings(self) -> dict[str, str]:
        return {
            # As Core Tools does; in the cloud this is the app's public name.
            "WEBSITE_HOSTNAME": f"localhost:{self._options.port}",
            "WEBSITE_INSTANCE_ID": f"local-{self._options.index}",
            **self._settings,
        }

    def _body_limit(self) -> int:
        from local.host.server import BODY_LIMIT

        text = self._settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
        return int(text) if text.isdigit() else BODY_LIMIT


def _await_storage(settings: Mapping[str, str], stop: list[int]) -> None:
    """Wait until AzureWebJobsStorage can be reached. Raises HostError if it cannot: the real host
    does not listen either, and ends."""
    from local.host import storage

    address = storage.host_storage(settings)
    deadline = time.monotonic() + _STORAGE_SECONDS
    while address is not None and not stop:
        try:
            with socket.create_connection(address, timeout=2.0):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise HostError(
                    f"AzureWebJobsStorage cannot be reached at {address[0]}:{address[1]}; start the "
                    "storage, or correct the setting. In Azure the host does not listen either, and "
                    "ends"
                ) from error
        time.sleep(0.2)


def _set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
