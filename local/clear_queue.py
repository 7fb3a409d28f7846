"""python -m local.clear_queue outbox: delete every message of a queue of the local stack.

It helps when Azurite holds a message that it cannot give out (docs/local-stack.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient

from local import stack_files
from local.stack_files import REPOSITORY


def main(arguments: list[str] | None = None) -> int:
    """Clear the queue. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.clear_queue", description=__doc__)
    parser.add_argument("queue", help="its name, such as outbox")
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(os.environ.get("POSTROOM_STATE_DIR", REPOSITORY / ".local")),
        help="the folder of the stack's stack.json",
    )
    given = parser.parse_args(arguments)
    info = stack_files.read(stack_files.path(given.state_dir))
    if info is None:
        print(
            f"error: no stack runs in {given.state_dir}; start it, or name another folder with --state-dir",
            file=sys.stderr,
        )
        return 1
    try:
        with QueueClient.from_connection_string(
            info["storage_connection_string"], given.queue
        ) as queue:
            queue.clear_messages()
    except AzureError as error:
        print(
            f"error: queue {given.queue} cannot be cleared: {type(error).__name__}", file=sys.stderr
        )
        return 1
    print(f"queue {given.queue} is empty")
    return 0


if __name__ == "__main__":
    sys.exit(main())
