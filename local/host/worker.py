"""One worker process: loads the app, listens, and shuts down in order."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from local import children
from local.host import application, configuration, counts, keys
from local.host.configuration import Configuration
from local.host.errors import HostError
from local.host.http_front import HttpFront
from local.host.invocation import Invoker
from local.host.server import BODY_LIMIT, Server

_LOG = logging.getLogger("host")

EXIT_WRONG_APP = 2
EXIT_RESTART = 3


@dataclass(frozen=True)
class WorkerOptions:
    index: int
    port: int
    app_directory: Path
    state_directory: Path
    ready_descriptor: int
    supervisor: int
    grace: float


def main(options: WorkerOptions) -> int:
    children.die_with_parent(signal.SIGTERM, options.supervisor)
    try:
        return _run(options)
    except HostError as error:
        # Every worker finds the same mistake; only one of them reports it.
        if options.index == 0:
            print(f"error: {error}", file=sys.stderr)
        return EXIT_WRONG_APP


def _run(options: WorkerOptions) -> int:
    settings = configuration.load(options.app_directory, os.environ)
    os.environ.update(settings.settings)
    # As Core Tools does; in the cloud this is the app's public name.
    os.environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{options.port}")
    os.environ.setdefault("WEBSITE_INSTANCE_ID", f"local-{options.index}")
    _set_up_logging(settings)
    app = application.load(options.app_directory, settings)
    if options.index == 0:
        print("\n".join(application.describe(app)), file=sys.stderr)

    invoker = Invoker(threads=_threads(settings), timeout=settings.function_timeout)
    count = counts.Counts(options.state_directory / "host-counts", options.index)
    listeners = application.Listeners(app, invoker, count, options.state_directory)
    page_context = HttpFront(
        app, keys.load_or_create(options.state_directory / "keys.json"), invoker, listeners, count
    )
    server = Server(options.port, page_context.handle, page_context.may_read, _body_limit(settings))
    return _serve(options, server, listeners, invoker)


def _serve(
    options: WorkerOptions,
    server: Server,
    listeners: application.Listeners,
    invoker: Invoker,
) -> int:
    # A plain list: a handler that takes a lock, as Event.set() does, can deadlock with itself.
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stop.append(received))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    listeners.start()
    os.write(options.ready_descriptor, b"1")
    os.close(options.ready_descriptor)

    while not stop and not invoker.broken.is_set():
        time.sleep(0.05)
    broken = invoker.broken.is_set()
    grace = 2.0 if broken else options.grace
    began = time.monotonic()
    listeners.stop_polling()
    server.stop(grace)
    finished = listeners.finish(max(0.1, grace - (time.monotonic() - began)))
    finished = invoker.wait_until_idle(0.1) and finished
    if broken:
        _LOG.warning("a function ran out of time; the worker is replaced")
    # Function threads that hang would keep the interpreter running.
    sys.stderr.flush()
    if broken or not finished:
        os._exit(EXIT_RESTART if broken else 0)
    invoker.close()
    return 0


class _NoPlatformLogs(logging.Filter):
    """Hides loggers named like the platform's, because the real worker does not pass them on."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith(("azure.functions", "azure_functions_worker"))


def _set_up_logging(settings: Configuration) -> None:
    debug = settings.settings.get("PYTHON_ENABLE_DEBUG_LOGGING") == "1"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    )
    handler.addFilter(_NoPlatformLogs())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)


def _threads(settings: Configuration) -> int | None:
    """None means Python's own default, as for a value that is not a positive number."""
    text = settings.settings.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(text) if text.isdigit() and int(text) >= 1 else None


def _body_limit(settings: Configuration) -> int:
    text = settings.settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
    return int(text) if text.isdigit() else BODY_LIMIT
