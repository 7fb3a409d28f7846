"""What a cold start pays: importing and indexing the app, against `import azure.functions` alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.paired import Pair

REPOSITORY = Path(__file__).resolve().parents[1]
BUDGET = 1.6

HEAVY = (
    "msal",
    "azure.identity",
    "azure.keyvault",
    "azure.data.tables",
    "azure.storage",
    "azure.core",
    "jinja2",
    "requests",
    "urllib3",
    "cryptography",
)
"""Modules that belong to a function's first call, not to the start of an instance."""

_INDEX = "import function_app; functions = function_app.app.get_functions()"
_ALONE = "import azure.functions"
# Timed inside the process: the interpreter's own start would flatter the ratio.
_TIMED = """
import sys, time
sys.path.insert(0, {path!r})
wall, cpu = time.monotonic(), time.process_time()
{work}
print(time.monotonic() - wall, time.process_time() - cpu)
"""
_LOADED = """
import json, sys
sys.path.insert(0, {path!r})
{work}
print(json.dumps([sorted(sys.modules), len(functions)]))
"""


@dataclass(frozen=True)
class Imports:
    """Wall and processor time of a start, and what it loaded too much."""

    wall: Pair
    cpu: Pair
    functions: int
    heavy: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Within the budget by both clocks, and nothing heavy loaded."""
        return self.wall.ratio <= BUDGET and self.cpu.ratio <= BUDGET and not self.heavy


def measure(*, quick: bool) -> Imports:
    """Alternating starts of fresh interpreters."""
    runs = 8 if quick else 80
    _start(_INDEX), _start(_ALONE)
    app: list[tuple[float, float]] = []
    alone: list[tuple[float, float]] = []
    for index in range(runs):
        for work, found in ((_INDEX, app), (_ALONE, alone))[:: 1 if index % 2 else -1]:
            found.append(_start(work))
    functions, heavy = loaded()
    return Imports(
        wall=Pair(tuple(w for w, _ in app), tuple(w for w, _ in alone)),
        cpu=Pair(tuple(c for _, c in app), tuple(c for _, c in alone)),
        functions=functions,
        heavy=heavy,
    )


def loaded() -> tuple[int, tuple[str, ...]]:
    """How many functions the index has, and which heavy modules making it loaded."""
    modules, functions = json.loads(_python(_LOADED.format(path=str(REPOSITORY), work=_INDEX)))
    heavy = (
        name
        for name in modules
        if any(name == unwanted or name.startswith(f"{unwanted}.") for unwanted in HEAVY)
    )
    return int(functions), tuple(heavy)


def _start(work: str) -> tuple[float, float]:
    wall, cpu = _python(_TIMED.format(path=str(REPOSITORY), work=work)).split()
    return float(wall), float(cpu)


def _python(script: str) -> str:
    ended = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        timeout=60,
    )
    return ended.stdout
