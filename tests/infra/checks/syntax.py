"""Every Bicep file can be read: by a published parser, and by the one of these checks."""

from __future__ import annotations

import json
from pathlib import Path

from tests.infra import tools
from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import BicepError, File

UNREADABLE: dict[str, str] = {}
"""Files that neither pycep nor tree-sitter-bicep reads, each with the construct that defeats both.
The parser of these checks reads them all the same."""


def bicep_files(infra: Path) -> list[Path]:
    return sorted(infra.rglob("*.bicep"))


def problems(infra: Path) -> list[str]:
    files = bicep_files(infra)
    read_by = _published_parsers(files)
    found = [problem for file in files for problem in _own(file)]
    for file in files:
        faults = read_by[str(file)]
        name = str(file.relative_to(infra))
        if all(faults.values()) and name not in UNREADABLE:
            found.append(f"{name}: neither parser reads it: {faults}")
        if not all(faults.values()) and name in UNREADABLE:
            found.append(f"{name}: is said to be unreadable, and is not")
    found += [
        f"{file.name}: azd would take it instead of main.parameters.json"
        for file in sorted(infra.rglob("*.bicepparam"))
    ]
    found += [p for file in sorted(infra.rglob("*.parameters.json")) for p in _azd(file)]
    return found


def _published_parsers(files: list[Path]) -> dict[str, dict[str, str | None]]:
    done = tools.run(
        tools.python(),
        str(Path(__file__).parents[1] / "read_bicep.py"),
        text=json.dumps([str(file) for file in files]),
        PYTHONPATH=str(tools.VENV / "pycep"),
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    answer: dict[str, dict[str, str | None]] = json.loads(done.stdout)
    return answer


def _own(file: Path) -> list[str]:
    try:
        read(file)
    except BicepError as error:
        return [str(error)]
    return []


def _azd(file: Path) -> list[str]:
    """`main.parameters.json` is what azd gives to `main.bicep`."""
    assigned = set(json.loads(file.read_text(encoding="utf-8"))["parameters"])
    template = file.with_name(file.name.replace(".parameters.json", ".bicep"))
    try:
        return _fits(file, assigned, read(template))
    except BicepError as error:
        return [str(error)]


def _fits(file: Path, assigned: set[str], template: File) -> list[str]:
    known = template.parameters
    needed = {p.name for p in known.values() if p.default is None and "?" not in p.type}
    return [
        *(f"{file.name}: no such parameter: {name}" for name in sorted(assigned - known.keys())),
        *(f"{file.name}: parameter without a value: {name}" for name in sorted(needed - assigned)),
    ]
