"""What a mutation is: one rule of the code, broken on purpose."""

from __future__ import annotations

from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Mutation(msgspec.Struct, frozen=True):
    """One change of one file that breaks one rule, and the tests that must then fail."""

    name: str
    file: str
    """The file that is changed, relative to the repository."""
    old: str
    """The text that is replaced. It occurs exactly once in the file."""
    new: str
    rule: str
    """What holds for the unchanged code and does not hold after the change."""
    tests: tuple[str, ...]
    """Test files, of which at least one test must fail."""


def unit(*names: str) -> tuple[str, ...]:
    """Test files under `tests/unit`, by their names without `.py`."""
    return tuple(f"tests/unit/{name}.py" for name in names)


def problem_with(mutation: Mutation, root: Path = ROOT) -> str | None:
    """Why a mutation cannot be applied to the files under `root`; None where it can be."""
    path = root / mutation.file
    if not path.is_file():
        return f"there is no file {mutation.file}"
    text = path.read_text(encoding="utf-8")
    times = text.count(mutation.old)
    if times != 1:
        return f"its text occurs {times} times in {mutation.file}, not once"
    missing = [name for name in mutation.tests if not (root / name).is_file()]
    if missing or not mutation.tests:
        return f"there is no test file {', '.join(missing)}"
    try:
        compile(text.replace(mutation.old, mutation.new), mutation.file, "exec")
    except SyntaxError as error:
        return f"the changed file does not compile: {error.msg}"
    return None
