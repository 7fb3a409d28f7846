"""Copies of the templates to be broken, for the tests of the checks; a directory for the scripts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra import directory, tools
from tests.infra.tools import INFRA
from tests.packaging import az_server
from tests.packaging.conftest import Cloud, published_app

__all__ = ["published_app"]


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


class Directory(Cloud):
    """A subscription and a directory with several registrations and callers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        packages = str(tools.packages())
        self.write_az(az_server.client(tools.python(), directory.__name__, packages))
        self.write_tool("azd", 'echo "$@" >>"$FAKE_AZ/azd"')
        self.change(apps=[])

    @property
    def apps(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state["apps"]
        return found

    def azd(self) -> dict[str, str]:
        """What azd was told to set."""
        file = self.folder / "azd"
        lines = file.read_text().splitlines() if file.exists() else []
        return {name: value for _, _, name, value in (line.split(" ", 3) for line in lines)}


@pytest.fixture
def cloud(tmp_path: Path) -> Directory:
    return Directory(tmp_path)
