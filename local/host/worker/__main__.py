"""python -m local.host.worker: started by a host (`local.host.worker_process`), not by a person."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
from pathlib import Path

from local.host.channel import Channel
from local.host.errors import HostError, MissingModule
from local.host.protocol import Indexed, Invocation
from local.host.worker import app
from local.host.worker.invocation import Invoker

_IDLE_SECONDS = 7 * 24 * 3600.0


def main() -> int:
    given = _parser().parse_args()
    channel = Channel(socket.socket(fileno=given.channel_fd))
    _set_up_logging()
    indexed, invoker = _load(given.app_dir, channel)
    channel.send(indexed)
    while isinstance(message := channel.receive(), Invocation):
        invoker.start(message)
    # The host is gone: killed, or it has stopped and wants this process to end. What runs is
    # finished, as seen in Azure after a SIGKILL of the host, unless the platform ends too.
    threading.Thread(target=_end_with_platform, args=(given.platform_fd,), daemon=True).start()
    invoker.wait_until_idle(_IDLE_SECONDS)
    logging.shutdown()
    os._exit(0)


def _load(directory: Path, channel: Channel) -> tuple[Indexed, Invoker]:
    threads = _threads(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", ""))
    try:
        loaded = app.load(directory, os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py"))
    except HostError as error:
        indexed = Indexed(problem=str(error), logged=isinstance(error, MissingModule))
        return indexed, Invoker({}, channel.send, threads)
    functions = {each.function.name: each for each in loaded}
    found = Indexed(tuple(each.function for each in loaded))
    return found, Invoker(functions, channel.send, threads)


def _end_with_platform(descriptor: int) -> None:
    # The platform keeps the other end of this pipe open for as long as it lives.
    while os.read(descriptor, 1):
        pass
    os._exit(0)


class _NoPlatformLogs(logging.Filter):
    """Hides loggers named like the platform's, because the real worker does not pass them on."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith(("azure.functions", "azure_functions_worker"))


def _set_up_logging() -> None:
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING") == "1"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
    )
    handler.addFilter(_NoPlatformLogs())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)


def _threads(text: str) -> int | None:
    """None means Python's own default, as for a value that is not a positive number."""
    return int(text) if text.isdigit() and int(text) >= 1 else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.host.worker", description=__doc__)
    parser.add_argument("--app-dir", type=Path, required=True)
    parser.add_argument("--channel-fd", type=int, required=True)
    parser.add_argument("--platform-fd", type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
