"""From the start of a process to the first request to Graph for a queued mail: Services, apps of a few
lines on its peers' packages, and the floor. By turns, each in a fresh process.

What belongs to it: the interpreter, importing and indexing the app, the token with all that leads to
it, and for Postroom reading and claiming the mail. What does not: the Functions host and its worker,
which are the same for all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import world
from bench.cpu import NO_LIMITS
from bench.paired import Pair
from bench.peers.microsoft import NAMES
from bench.report import PEERS_PYTHON, REPOSITORY
from bench.sending import addresses, check_peers, control, environment
from local.stack import Stack
from shared.composition.services import Services
from shared.services.intake.mail_document import read_json
from shared.services.intake.outbox_message import wake_up_for

FLOOR_BUDGET = 1.6
SDK_BUDGET = 0.5
POSTROOM, FLOOR, SDK = "Postroom", "`azure.functions` and `requests`", "msgraph-sdk"
UNCOMPILED = "Postroom, its own bytecode not in the package"
"""A package is mounted read-only: what is not compiled in it, each instance compiles again."""
APPS: Mapping[str, str] = {
    FLOOR: "bench.peers.apps.bare",
    POSTROOM: "function_app",
    UNCOMPILED: "function_app",
    SDK: "bench.peers.apps.msgraph_sdk",
    "O365": "bench.peers.apps.o365",
}
_MAIL = {"to": "ada@contoso.com", "subject": "Cold", "text": "A mail that finds no instance."}


@dataclass
class Started:
    """Cold starts of one app, in seconds."""

    wall: list[float] = field(default_factory=list)
    """Until the simulator saw the request to Graph."""
    cpu: list[float] = field(default_factory=list)
    """Until the mail was sent."""
    indexed: list[float] = field(default_factory=list)
    """By the clock, until the app was imported and indexed."""
    modules_indexed: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Loaded when the mail was sent."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Requests to Microsoft, by operation."""


Starts = dict[str, Started]
"""By app."""


def measure(*, quick: bool) -> Starts:
    """All apps by turns."""
    check_peers()
    runs = 2 if quick else 20
    found = {app: Started() for app in APPS}
    with (
        tempfile.TemporaryDirectory(prefix="postroom-bench-") as directory,
        world.signed_in(also_called=NAMES) as stack,
    ):
        world.change_simulator(stack, "options", {"graph": NO_LIMITS})
        bytecode = Bytecode(Path(directory))
        with world.services(stack) as services:
            print(f"  {runs} cold starts of each app", flush=True)
            for app in APPS:
                # Files come from the disk once, and Python compiles what is new.
                start(stack, services, app, Started(), bytecode)
            bytecode.leave_out_the_app()
            order = list(APPS)
            for turn in range(runs):
                for app in order:
                    start(stack, services, app, found[app], bytecode)
                order.append(order.pop(0))
                if (turn + 1) % 5 == 0 or turn + 1 == runs:
                    print(f"    round {turn + 1} of {runs}", flush=True)
    return found


class Bytecode:
    """Where compiled modules lie, whatever the machine's own settings are: once with Postroom's, and
    once without."""

    def __init__(self, directory: Path) -> None:
        self._with, self._without = directory / "with", directory / "without"
        self._is_final = False

    def environment(self, app: str) -> Mapping[str, str]:
        """Of a process that starts an app."""
        directory = self._without if app == UNCOMPILED else self._with
        read_only = {"PYTHONDONTWRITEBYTECODE": "1"} if self._is_final else {}
        return {"PYTHONPYCACHEPREFIX": str(directory), **read_only}

    def leave_out_the_app(self) -> None:
        """From now on nothing is compiled for good, and one variant lacks Postroom's modules."""
        self._is_final = True
        place = self._without / REPOSITORY.relative_to("/")
        shutil.rmtree(place / "shared")
        for file in place.glob("function_app.*"):
            file.unlink()


def pair(found: Starts, yardstick: str, clock: str) -> Pair:
    """Postroom against another app, by `wall` or `cpu`."""
    return Pair(tuple(getattr(found[POSTROOM], clock)), tuple(getattr(found[yardstick], clock)))


def start(
    stack: Stack, services: Services, app: str, into: Started, bytecode: Bytecode | None = None
) -> None:
    """One cold start. RuntimeError where no mail was sent."""
    own = app in (POSTROOM, UNCOMPILED)
    message = _queued(services) if own else json.dumps(_MAIL)
    known = {name.upper(): str(value) for name, value in addresses(stack).items()}
    settings = {**environment(stack), **(stack.settings if own else known)}
    if bytecode is not None:
        settings.pop("PYTHONDONTWRITEBYTECODE", None)
        settings |= bytecode.environment(app)
    control(stack, "DELETE", "counts")
    began = time.time()
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable if own else str(PEERS_PYTHON), "-m", "bench.peers.start", APPS[app]],
        cwd=REPOSITORY,
        env=settings,
        input=message,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if ended.returncode:
        raise RuntimeError(f"the app of {app} sent nothing: {ended.stderr[-2000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    into.wall.append(_first_to_graph(stack) - began)
    into.cpu.append(told["cpu"])
    into.indexed.append(told["indexed"] - began)
    into.modules_indexed, into.modules = tuple(told["modules_indexed"]), tuple(told["modules"])
    into.calls = world.simulator_counts(stack)


def _queued(services: Services) -> str:
    """The bell of a mail that waits in storage, as the queue trigger hands it over."""
    order = read_json(json.dumps({**_MAIL, "tags": [uuid.uuid4().hex]}).encode(), datetime.now(UTC))
    return wake_up_for(services.submission.accept(order).mail.mail_id)


def _first_to_graph(stack: Stack) -> float:
    log: list[dict[str, Any]] = control(stack, "GET", "requests")["requests"]
    times = [entry["time"] for entry in log if entry["operation"].startswith("graph.")]
    if not times:
        raise RuntimeError("no request to Graph was seen")
    return datetime.fromisoformat(min(times)).timestamp()
