"""python -m local.host: run a function app on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.host.errors import HostError
from local.host.supervisor import HostOptions, Supervisor


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 takes any free port")
    parser.add_argument("--app-dir", type=Path, default=Path(), help="holds function_app.py")
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".local"), help="keys, counts, locks"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument("--grace", type=float, default=30.0, help="seconds to finish when stopping")
    # How the parent calls its workers.
    for name in ("--worker", "--ready-fd", "--supervisor"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    app_directory, state_directory = given.app_dir.resolve(), given.state_dir.resolve()
    if given.worker is not None:
        # The parent stays small: only workers import the app and the SDKs.
        from local.host import worker

        return worker.main(
            worker.WorkerOptions(
                index=given.worker,
                port=given.port,
                app_directory=app_directory,
                state_directory=state_directory,
                ready_descriptor=given.ready_fd,
                supervisor=given.supervisor,
                grace=given.grace,
            )
        )
    options = HostOptions(given.port, app_directory, state_directory, given.workers, given.grace)
    try:
        return Supervisor(options).run()
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
