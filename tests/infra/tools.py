"""The tools of these checks: where they are, and what to do when they are not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DATA = Path(__file__).parent / "data"

VENV = ROOT / ".local" / "infra-tools"
NODE = ROOT / ".local" / "infra-node" / "node_modules"
REMEDY = "run `make tools`"


class ToolMissing(Exception):
    """Not a reason to skip: a check that did not run has not passed."""


def python() -> str:
    """The interpreter of the tools' own virtual environment."""
    return _there(VENV / "bin" / "python")


def packages() -> Path:
    """Where that interpreter finds its packages."""
    return next((VENV / "lib").glob("python3.*/site-packages"))


def tool(name: str) -> str:
    """A command of that environment."""
    return _there(VENV / "bin" / name)


def azmcp() -> str:
    return _there(NODE / ".bin" / "azmcp")


def actionlint() -> str:
    return _there(NODE / "@tktco" / "node-actionlint" / "build" / "run-lint.js")


def _there(path: Path) -> str:
    if not path.exists():
        raise ToolMissing(f"{path.relative_to(ROOT)} is missing: {REMEDY}")
    return str(path)


def run(
    *command: str, cwd: Path = ROOT, text: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run to its end; whether the exit code is a failure is the caller's to say."""
    return subprocess.run(  # noqa: S603 - the checks' own commands
        command,
        cwd=cwd,
        input=text,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
