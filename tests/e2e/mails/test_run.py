"""`make run` as a newcomer meets it: progress, both mails, nothing left running."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@contextmanager
def a_taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "local.demo", "--simulator-port", str(free_port()), *options]


def children_of(marker: str) -> list[str]:
    """Command lines of processes that still know of a state folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line:
            found.append(line)
    return found


def environment(state: Path) -> dict[str, str]:
    return {**os.environ, "POSTROOM_STATE_DIR": str(state)}


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_both_mails_arrive_and_nothing_is_left_running(
    tmp_path_factory: pytest.TempPathFactory, attempt: str
) -> None:
    state = tmp_path_factory.getbasetemp() / "run-once"

    result = subprocess.run(  # noqa: S603 - our own program
        command("--once", "--port", str(free_port())),
        cwd=ROOT,
        env=environment(state),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "First mail, by HTTP" in result.stdout
    assert "Second mail, by the queue" in result.stdout
    assert children_of(str(state)) == []


def test_a_taken_port_is_named_with_its_remedy(tmp_path: Path) -> None:
    with a_taken_port() as port:
        result = subprocess.run(  # noqa: S603 - our own program
            command("--once", "--port", str(port)),
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert result.returncode == 1
    assert re.search(rf"port {port} is in use.*make run PORT=", result.stdout + result.stderr)
    assert "Traceback" not in result.stderr


def test_control_c_stops_all_of_it(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        command("--port", str(free_port())),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdout is not None
        shown: list[str] = []
        for line in program.stdout:
            shown.append(line)
            if "Ctrl-C stops" in line:
                break
        began = time.monotonic()
        # A terminal sends it to the whole group.
        os.killpg(program.pid, signal.SIGINT)
        rest = program.stdout.read()
        code = program.wait(timeout=30)

    assert code == 0, "".join(shown) + rest
    assert "curl -X POST" in "".join(shown)
    assert "Traceback" not in rest
    assert time.monotonic() - began < 20
    assert children_of(str(tmp_path)) == []
