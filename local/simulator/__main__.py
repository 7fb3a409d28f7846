"""`python -m local.simulator`: Microsoft on this computer, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from local.simulator.server import Simulator
from local.stack_errors import StackError
from local.state_lock import StateLock


def main() -> int:
    """Serve until interrupted or terminated. Returns the exit code."""
    arguments = _arguments()
    if arguments.part_of_stack:
        _serve(arguments)
        return 0
    lock = StateLock(arguments.state_dir)
    try:
        lock.take()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        _serve(arguments)
    finally:
        (arguments.state_dir / "stack.json").unlink(missing_ok=True)
        lock.release()
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with Simulator(
        arguments.state_dir,
        arguments.http_port,
        arguments.https_port,
        also_called=arguments.also_called,
    ) as simulator:
        stack_file = simulator.write_stack_file()
        stack = simulator.stack()
        for name in ("authority", "graph_url", "vault_url", "control_url", "inbox_url"):
            print(f"{name:12} {stack[name]}")
        print(f"{'stack file':12} {stack_file}", flush=True)
        stopping.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local.simulator", description=__doc__)
    parser.add_argument("--http-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--https-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--state-dir", type=Path, default=Path(".local"))
    parser.add_argument(
        "--also-called",
        metavar="NAME",
        action="append",
        default=[],
        help="a name of Microsoft's that it answers to as well, for clients that know no other",
    )
    parser.add_argument(
        "--part-of-stack",
        action="store_true",
        help="whoever started this keeps the state directory's lock and removes stack.json",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
