"""`python -m local.simulator`: Microsoft on this computer, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from local.simulator.server import Simulator


def main() -> None:
    """Serve until interrupted or terminated."""
    arguments = _arguments()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with Simulator(arguments.state_dir, arguments.http_port, arguments.https_port) as simulator:
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
