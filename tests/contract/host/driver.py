"""Starts the host as a process of its own, as a person would, and talks to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from local import children

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLE_APP = Path(__file__).parent / "sample_app"


class Host:
    def __init__(
        self,
        state: Path,
        environment: Mapping[str, str],
        *,
        instances: int = 1,
        app: Path = SAMPLE_APP,
        port: int = 0,
        grace: float = 5,
        options: Sequence[str] = (),
    ) -> None:
        self.state = state
        self.notes_file = state / "notes"
        self.log = state / "host.log"
        self._command = [sys.executable, "-m", "local.host", "--port", str(port)]
        self._command += ["--app-dir", str(app), "--state-dir", str(state)]
        self._command += ["--instances", str(instances), "--grace", str(grace)]
        self._command += options
        self._environment = {
            **os.environ,
            "SAMPLE_NOTES": str(self.notes_file),
            "SAMPLE_QUEUE": "unused",
            **environment,
        }
        self.session = requests.Session()

    def __enter__(self) -> Host:
        self.process = children.spawn(
            self._command, self.log, environment=self._environment, directory=REPOSITORY
        )
        until(lambda: self._state_file().exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        keys = json.loads((self.state / "keys.json").read_text())
        self.master_key, self.function_key = keys["master"], keys["function"]
        self.url = self._state()["url"].replace("localhost", "127.0.0.1")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.session.close()
        children.stop(self.process, grace=10.0)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=10, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=10, **options)

    def admin(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"x-functions-key": self.master_key}
        return self.session.request(
            method, f"{self.url}/admin/{path}", headers=headers, timeout=10, **options
        )

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.admin("GET", "host/counts").json()
        return counts

    def instances(self) -> list[tuple[int, int]]:
        """The process ids of each host and of its worker."""
        return [(each["host"], each["worker"]) for each in self._state()["instances"]]

    def pids(self) -> set[int]:
        return {pid for instance in self.instances() for pid in instance}

    def said(self, text: str) -> bool:
        """Whether the host has written this to its console."""
        return text in self.log.read_text(encoding="utf-8")

    def notes(self, event: str) -> list[dict[str, Any]]:
        if not self.notes_file.exists():
            return []
        lines = [json.loads(line) for line in self.notes_file.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def _state_file(self) -> Path:
        return self.state / "host-state.json"

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._state_file().read_text())
        return state


def run_to_end(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Exit status and standard error of a host that cannot start."""
    ended = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "local.host", *arguments],
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stderr


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie counts as dead: some init processes take their time to reap."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
