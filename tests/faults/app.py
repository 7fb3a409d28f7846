"""Postroom as the fault suite runs it: the same functions on a disturbed composition root.

The suite points the local host at a `function_app.py` that takes `app` from here. Production code
knows nothing of this: what is replaced are names of `shared.bootstrap`, and waits that would make a
run last for hours.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
from msgspec.structs import replace

from local.stack_files import REPOSITORY
from shared import bootstrap
from shared.services.upkeep import sweep
from shared.settings import Settings, load
from tests.faults import flaws

LEASE = "FAULTS_LEASE_SECONDS"
SKEWS = "FAULTS_CLOCK_SKEWS"
FLAW = "FAULTS_FLAW"
VERIFIED = "FAULTS_VERIFIED"
READ_WRITE = "Mail.ReadWrite"

NextLook = Callable[[datetime, datetime], datetime]

SHORTENED: Mapping[str, Mapping[str, object]] = {
    "shared.mail.backoff": {"FIRST_SECONDS": 0.5, "LONGEST_SECONDS": 5.0},
    "shared.mail.search_plan": {"UNSEEN_SECONDS": 2.0, "UNSEEN_ACCOUNT_SECONDS": 4.0},
    "shared.mail.mail": {"GRACE": timedelta(seconds=3)},
    # In the proportion that decision 0012 asks for: what is new, a worker that froze, and clocks
    # that differ fit into the margin together.
    "shared.services.mails.wake_ups": {"NEW": timedelta(seconds=10)},
    "shared.services.upkeep.sweep": {
        "MARGIN": timedelta(seconds=60),
        "OVERLAP": timedelta(seconds=30),
        "QUIET": timedelta(seconds=5),
    },
}
"""Waits that would make a run last for hours, by the module that reads them."""

SOONER = 40
"""The sweep looks again so many times as soon: after 3 s instead of two minutes."""


def looks_sooner(next_look: NextLook) -> NextLook:
    """The sweep's own rule, on a scale of its own."""

    def sooner(next_check_at: datetime, now: datetime) -> datetime:
        scaled = next_look(next_check_at, next_check_at + (now - next_check_at) * SOONER)
        return next_check_at + (scaled - next_check_at) / SOONER

    return sooner


def put(values: Mapping[str, Mapping[str, object]]) -> None:
    """Put other values in place of names of modules. Raises AttributeError where one is not there
    any more."""
    for module_name, names in values.items():
        module = importlib.import_module(module_name)
        for name, value in names.items():
            getattr(module, name)
            setattr(module, name, value)


def skew_of(environ: Mapping[str, str]) -> float:
    """How many seconds this instance's clock is ahead."""
    skews = [float(skew) for skew in environ.get(SKEWS, "0").split(",")]
    index = int(environ.get("WEBSITE_INSTANCE_ID", "0").rpartition("-")[2])
    return skews[index % len(skews)]


def disturb(environ: Mapping[str, str]) -> None:
    """Change the composition root as the environment says."""
    put(SHORTENED)
    put({"shared.services.upkeep.sweep": {"next_look": looks_sooner(sweep.next_look)}})
    if environ.get(VERIFIED):
        put({"shared.mail.permissions": {"LEAST": ("Mail.Send", READ_WRITE, "User.Read")}})
    ahead = timedelta(seconds=skew_of(environ))
    lease = int(environ.get(LEASE, "300"))

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    def settings(given: Mapping[str, str]) -> Settings:
        # Shorter than production admits.
        return replace(load(given), lease_seconds=lease)

    replaced: dict[str, Any] = {"utc_now": clock, "load": settings}
    if flaw := environ.get(FLAW):
        replaced |= flaws.FLAWS[flaw]
    for name, value in replaced.items():
        getattr(bootstrap, name)
        setattr(bootstrap, name, value)


def functions() -> func.FunctionApp:
    """The functions of the real `function_app.py`."""
    specification = importlib.util.spec_from_file_location(
        "postroom_functions", REPOSITORY / "function_app.py"
    )
    if specification is None or specification.loader is None:
        raise ImportError("function_app.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    found: func.FunctionApp = module.app
    return found


def disturbed() -> func.FunctionApp:
    """The app, for the generated `function_app.py`."""
    disturb(os.environ)
    return functions()
