"""python -m local.host: run a function app on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.host.errors import HostError
from local.host.supervisor import HostOptions, Supervisor

_AZURE_LOCK = 600


def parser() -> argparse.ArgumentParser:
    """The options of `python -m local.host`."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 takes any free port")
    parser.add_argument("--app-dir", type=Path, default=Path(), help="holds function_app.py")
    parser.add_argument(
        "--state-dir", type=Path, default=Path(".local"), help="keys, counts, locks"
    )
    parser.add_argument(
        "--instances",
        type=int,
        default=1,
        help="hosts that share the port; each has a Python worker process",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=41.0,
        help="seconds that a stopping host gives to the functions under way; 41 as in Azure",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end where something is wrong with the app; Azure starts without the functions "
        "concerned, or without any",
    )
    parser.add_argument(
        "--shorten-message-lock",
        type=int,
        metavar="SECONDS",
        help="lock received messages for this time instead of Azure's 600 seconds, which nothing "
        "can change there: how long a message waits whose host died, or that failed on a poison "
        "queue",
    )
    parser.add_argument(
        "--strand-batches-at-stop",
        type=float,
        default=0.0,
        metavar="PROBABILITY",
        help="how likely (0 to 1) a stopping host leaves a batch of messages locked without calling "
        "the function; Azure's did so in 2 of 27 stops",
    )
    # How the platform calls its instances.
    for name in ("--instance", "--report-fd", "--platform-fd", "--supervisor"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    return parser


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    app_directory, state_directory = given.app_dir.resolve(), given.state_dir.resolve()
    if given.instance is not None:
        # The platform stays small: only instances import more.
        from local.host import instance

        return instance.main(
            instance.InstanceOptions(
                index=given.instance,
                port=given.port,
                app_directory=app_directory,
                state_directory=state_directory,
                report=given.report_fd,
                platform=given.platform_fd,
                supervisor=given.supervisor,
                grace=given.grace,
                lock=given.shorten_message_lock or _AZURE_LOCK,
                strands=given.strand_batches_at_stop,
                strict=given.strict,
            )
        )
    options = HostOptions(
        port=given.port,
        app_directory=app_directory,
        state_directory=state_directory,
        instances=given.instances,
        grace=given.grace,
        lock=given.shorten_message_lock,
        strands=given.strand_batches_at_stop,
        strict=given.strict,
    )
    try:
        return Supervisor(options).run()
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
