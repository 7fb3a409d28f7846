"""The running stack, and what generates clients from its OpenAPI document.

`make clients` installs the generators.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import (  # noqa: F401 - fixtures of these tests too
    SignedIn,
    control,
    control_of_stack,
    signed_in_account,
    stack,
)
from tests.e2e.control import Control

TOOLS = Path(__file__).parents[3] / ".local" / "clients"
NODE_MODULES = TOOLS / "node" / "node_modules"
PYTHON = TOOLS / "python" / "bin"
PATIENCE = 240
"""Seconds for one tool."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the stack, and long."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(3 * PATIENCE))


class Tools:
    """Runs generators, compilers and the programs that were compiled."""

    def __init__(self, control: Control) -> None:  # noqa: F811
        assert (TOOLS / ".installed").exists(), "run make clients first"
        self._environment = {
            "PATH": f"{PYTHON}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "APP": control.stack.app_url,
            "KEY": control.stack.function_key,
        }

    def run(self, command: Sequence[str | Path], folder: Path, **environment: str) -> str:
        """What the command writes. Fails the test with all that it wrote where it fails."""
        found = subprocess.run(  # noqa: S603 - our own programs, and pinned tools
            [str(word) for word in command],
            cwd=folder,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
        return found.stdout

    def node(self, package: str, *words: str | Path, folder: Path) -> str:
        """A program of an npm package."""
        return self.run(["node", NODE_MODULES / package, *words], folder)

    def openapi_generator(self, language: str, document: Path, output: Path, *options: str) -> None:
        """A client of openapi-generator."""
        words: list[str | Path] = ["java", "-jar", self.jar, "generate", "-i", document]
        self.run([*words, "-g", language, "-o", output, *options], output.parent)

    @property
    def jar(self) -> Path:
        """openapi-generator; it holds Jackson, which its Java clients need, as well."""
        (found,) = TOOLS.glob("python/lib/python*/site-packages/openapi_generator_cli/*.jar")
        return found


@pytest.fixture
def tools(control: Control) -> Tools:  # noqa: F811
    """The tools, with the stack's address and key for the programs."""
    return Tools(control)


@pytest.fixture
def document(control: Control, tmp_path: Path) -> Path:  # noqa: F811
    """The OpenAPI document as the app serves it."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(control.api("GET", "openapi.json").json()), encoding="utf-8")
    return path


def outcome(output: str) -> Mapping[str, Any]:
    """What a program reports in its last line."""
    found: Mapping[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found
