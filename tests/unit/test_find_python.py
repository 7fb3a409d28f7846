"""`local/find_python.sh` finds a Python that runs, whatever shims stand before it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "local" / "find_python.sh"


def interpreter(path: Path, version: str) -> Path:
    """Stands in for a Python: knows its version and its own path, and has venv."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *sys.executable*) echo "{path}" ;; *"!= \'{version}\'"*) exit 0 ;; '
        "*) exit 1 ;; esac\n"
    )
    path.chmod(0o755)
    return path


def shim(path: Path) -> None:
    """As pyenv's for a version that is not switched on: there, and does not run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    path.chmod(0o755)


class Machine:
    """A machine with nothing but a shell."""

    def __init__(self, folder: Path) -> None:
        self.commands = folder / "bin"
        self.pyenv = folder / "pyenv"
        self.commands.mkdir()

    def find(self, wanted: str = "newest") -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own script
            ["/bin/sh", str(SCRIPT), wanted],
            env={"PATH": str(self.commands), "PYENV_ROOT": str(self.pyenv), "HOME": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_that_is_supported_is_taken(machine: Machine) -> None:
    interpreter(machine.commands / "python3.11", "3.11")
    newest = interpreter(machine.commands / "python3.13", "3.13")

    assert machine.find().stdout.split() == [str(newest)]


def test_a_shim_that_does_not_run_leads_to_pyenvs_own_version(machine: Machine) -> None:
    interpreter(machine.commands / "python3.11", "3.11")
    shim(machine.commands / "python3.13")
    installed = interpreter(machine.pyenv / "versions" / "3.13.0" / "bin" / "python3", "3.13")

    assert machine.find().stdout.split() == [str(installed)]


def test_the_oldest_is_taken_where_it_is_asked_for(machine: Machine) -> None:
    oldest = interpreter(machine.commands / "python3", "3.11")
    interpreter(machine.commands / "python3.13", "3.13")

    assert machine.find("oldest").stdout.split() == [str(oldest)]


def test_none_that_is_newer_than_was_asked_for_is_taken(machine: Machine) -> None:
    interpreter(machine.commands / "python3.13", "3.13")
    fitting = interpreter(machine.commands / "python3.12", "3.12")

    assert machine.find("3.12").stdout.split() == [str(fitting)]
