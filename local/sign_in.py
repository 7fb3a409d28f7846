"""Sign a mailbox of the running local stack in, through the real flow: `python -m
local.sign_in`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from local import demo
from local.browser import BrowserError
from local.stack_files import REPOSITORY


def main() -> int:
    """Sign in. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("mailbox", help="such as billing@contoso.com")
    parser.add_argument("alias", help="the short name that callers use")
    parser.add_argument("--verified", action="store_true", help="tick verified sending")
    parser.add_argument("--shared", action="store_true", help="tick shared mailboxes")
    parser.add_argument("--replace", action="store_true", help="take the alias over")
    parser.add_argument("--personal", action="store_true", help="a personal account")
    parser.add_argument("--code", action="store_true", help="by a code entered at Microsoft")
    given = parser.parse_args()
    state = Path(os.environ.get("POSTROOM_STATE_DIR", REPOSITORY / ".local"))
    try:
        info = json.loads((state / "stack.json").read_text(encoding="utf-8"))
        demo.sign_in(
            info,
            given.mailbox,
            given.alias,
            replace=given.replace,
            verified=given.verified,
            shared=given.shared,
            personal=given.personal,
            by_code=given.code,
        )
    except FileNotFoundError:
        print("error: no local stack is running: start one with `make run`", file=sys.stderr)
        return 1
    except (demo.DemoError, BrowserError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{given.mailbox} is connected as {given.alias}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
