"""What Postroom calls when nobody sends: the timer's run, and the first mail of a new process.

`python -m bench.idle` counts at the wire, as `bench.calls` does, and writes
`bench/results/idle.json`, which `bench.cost` reads. Half a minute.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import requests

from bench import report, world
from bench.wire import CountingProxy
from local import demo
from local.azurite import Azurite
from local.stack import Stack

TIMER = "ring_again"
RUNS = 3
_BY_THE_CLOCK = ("queue poll outbox", "queue poll outbox-poison")


def measure() -> dict[str, Mapping[str, int]]:
    """Calls of one run of the timer, and of Key Vault and Entra for a process's first mail."""
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        Azurite(Path(directory) / "azurite.log") as azurite,
        CountingProxy(azurite.ports) as proxy,
        Stack(
            Path(directory) / "stack", 0, 0, storage=proxy.connection_string, local_settings=False
        ) as stack,
    ):
        demo.sign_in(stack.info, demo.MAILBOX, demo.ALIAS)
        stack.stop_host()
        before = Counter(world.simulator_counts(stack))
        stack.start_host()
        demo.send_by_http(stack.info, "The first one")
        demo.wait_for(stack.info, 1)
        first = Counter(world.simulator_counts(stack))
        first.subtract(before)
        # The first run ever writes the watermark.
        _timer(stack, proxy)
        return {
            "timer": max(
                (_timer(stack, proxy) for _ in range(RUNS)), key=lambda c: sum(c.values())
            ),
            "first_mail": {name: n for name, n in sorted(first.items()) if n > 0},
        }


def _timer(stack: Stack, proxy: CountingProxy) -> dict[str, int]:
    # What the mail before it left to do is over, and the accounts are not at hand any more.
    time.sleep(1)
    proxy.clear()
    with requests.Session() as session:
        session.trust_env = False
        session.post(
            f"{stack.app_url}/admin/functions/{TIMER}",
            headers={"x-functions-key": stack.master_key},
            json={},
            timeout=30,
        ).raise_for_status()
    time.sleep(2)
    return {name: n for name, n in proxy.counts().items() if name not in _BY_THE_CLOCK}


def main() -> None:
    """Measure and write."""
    document = {"versions": report.versions(), "raw": measure()}
    path = report.RESULTS / "idle.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document["raw"], indent=1))


if __name__ == "__main__":
    main()
