"""The command line of the stack: `python -m local.start`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from local.console import Console
from local.stack import CREDENTIALS, Stack
from local.stack_errors import StackError


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    asked_to_end = ends_on_a_signal()
    console = Console()
    stack = Stack(
        given.state_dir,
        given.port,
        given.simulator_port,
        given.instances,
        given.storage,
        storage_dir=given.storage_dir,
        settings=dict(given.setting),
        console=console,
        credential=given.credential,
    )
    try:
        stack.start()
        _show(console, stack)
        while not asked_to_end.wait(0.5):
            stack.check()
        return 0
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.line()
        return 0
    finally:
        # A second Ctrl-C would leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stack.stop()


def ends_on_a_signal() -> threading.Event:
    """Make SIGTERM and Ctrl-C raise KeyboardInterrupt and set the returned event. Python drops an
    exception that is raised during its clean-up, but the event stays set."""
    asked = threading.Event()

    def end(*_: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return asked


def _show(console: Console, stack: Stack) -> None:
    console.line(f"  app      {stack.app_url}")
    console.line(f"  inbox    {stack.info['inbox_url']}")
    console.line(f"  details  {stack.state_dir / 'stack.json'}")
    console.line("  Ctrl-C stops everything")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.start", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="the app's port")
    parser.add_argument("--simulator-port", type=int, default=7072)
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--credential", choices=CREDENTIALS, default=CREDENTIALS[0])
    parser.add_argument("--state-dir", type=Path, default=Path(".local"))
    parser.add_argument("--storage", help="a connection string to use instead of Azurite")
    parser.add_argument("--storage-dir", type=Path, help="keep Azurite's data here")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting of the app; may be given several times",
    )
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
