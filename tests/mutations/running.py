"""Applies mutations to copies of the repository and runs the tests that must catch them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import msgspec

from tests.mutations.mutation import ROOT, Mutation, problem_with

TEST_SECONDS = 60
"""For one test."""
RUN_SECONDS = 240
"""For all tests of one mutation."""
_LINKED = ("node_modules", ".venv")
_LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".local", "__pycache__", "images", ".*_cache", ".hypothesis", *_LINKED)
)


class Verdict(StrEnum):
    """What became of a mutation."""

    CAUGHT = "caught"
    """A test failed."""
    MISSED = "MISSED"
    """All tests passed."""
    NOT_APPLICABLE = "NOT APPLICABLE"
    """The text to replace was not found once, or a test file is missing."""
    NOT_RUN = "NOT RUN"
    """The tests did not run to an end: they could not be collected, or took too long."""


class Report(msgspec.Struct, frozen=True):
    """A mutation with its verdict."""

    mutation: Mutation
    verdict: Verdict
    detail: str
    """The test that failed, or why there is none."""
    seconds: float = 0.0


def unchanged_tree_passes(mutations: Sequence[Mutation]) -> str | None:
    """None where all named tests pass without any mutation, else the end of pytest's output: a test
    that fails anyway catches nothing."""
    names = sorted({name for mutation in mutations for name in mutation.tests})
    with _copy() as tree:
        try:
            code, output = _pytest(tree, names, seconds=RUN_SECONDS * 2)
        except subprocess.TimeoutExpired:
            return "the named tests take too long"
    return None if code == 0 else output[-4000:]


def reports(mutations: Sequence[Mutation], at_once: int) -> Iterator[Report]:
    """Try each mutation in a copy of the repository, so many at a time. In the order of the list."""
    trees: SimpleQueue[Path] = SimpleQueue()
    with _copies(at_once) as made, ThreadPoolExecutor(at_once) as pool:
        for tree in made:
            trees.put(tree)

        def one(mutation: Mutation) -> Report:
            tree = trees.get()
            try:
                return attempt(mutation, tree)
            finally:
                trees.put(tree)

        yield from pool.map(one, mutations)


def attempt(mutation: Mutation, tree: Path) -> Report:
    """Apply a mutation to a tree, run its tests, and take it back."""
    problem = problem_with(mutation, tree)
    if problem is not None:
        return Report(mutation, Verdict.NOT_APPLICABLE, problem)
    path = tree / mutation.file
    text = path.read_text(encoding="utf-8")
    began = time.monotonic()
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        code, output = _pytest(tree, mutation.tests)
    except subprocess.TimeoutExpired:
        return Report(mutation, Verdict.NOT_RUN, f"no end after {RUN_SECONDS} seconds")
    finally:
        path.write_text(text, encoding="utf-8")
    seconds = time.monotonic() - began
    if code == 0:
        return Report(mutation, Verdict.MISSED, mutation.rule, seconds)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+::\S+)", output, re.MULTILINE)
    # pytest ends with 1 where a test failed, and with other codes where none could run.
    if code != 1 or not failed:
        return Report(mutation, Verdict.NOT_RUN, f"pytest ended with {code}:\n{output}", seconds)
    return Report(mutation, Verdict.CAUGHT, str(failed[0]), seconds)


def _pytest(tree: Path, names: Sequence[str], seconds: float = RUN_SECONDS) -> tuple[int, str]:
    """Exit code and output. Raises TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=line"]
    command += ["-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", *names]
    ran = subprocess.run(  # noqa: S603 - our own tests
        command,
        cwd=tree,
        # A changed file of the same length and second would be taken from the bytecode of before.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


@contextmanager
def _copies(count: int) -> Iterator[list[Path]]:
    with TemporaryDirectory(prefix="mutations-") as folder:
        trees = [Path(folder) / str(number) for number in range(count)]
        for tree in trees:
            shutil.copytree(ROOT, tree, ignore=_LEFT_OUT, symlinks=True)
            for name in _LINKED:
                if (ROOT / name).exists():
                    (tree / name).symlink_to((ROOT / name).resolve())
        yield trees


@contextmanager
def _copy() -> Iterator[Path]:
    with _copies(1) as trees:
        yield trees[0]
