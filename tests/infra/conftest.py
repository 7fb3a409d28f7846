"""Copies of the templates to be broken, for the tests of the checks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.infra.tools import INFRA


class Copy:
    """A copy of infra/."""

    def __init__(self, folder: Path) -> None:
        self.infra = folder / "infra"
        shutil.copytree(INFRA, self.infra, ignore=shutil.ignore_patterns("__pycache__"))
        self.main = self.infra / "main.bicep"

    def change(self, pattern: str, replacement: str, files: str = "*.bicep") -> None:
        """Replace the first place that fits in the first file that has one."""
        for path in sorted(self.infra.rglob(files)):
            text = path.read_text(encoding="utf-8")
            changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
            if changed != text:
                path.write_text(changed, encoding="utf-8")
                return
        raise AssertionError(f"{pattern} is in no {files}")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def has(problems: list[str], *parts: str) -> bool:
    """Whether one of the problems has all these parts."""
    return any(all(part in problem for part in parts) for problem in problems)
