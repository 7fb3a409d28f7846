"""The scripts of infra/ with a stand-in for the Azure CLI, and an app that answers."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.packaging import az_server, fake_az

ROOT = Path(__file__).parents[2]
TOOLS = [
    "bash",
    "cat",
    "curl",
    "date",
    "dirname",
    "env",
    "head",
    "mktemp",
    "python3",
    "rm",
    "sed",
    "sh",
    "sleep",
    "sort",
    "tail",
    "tr",
]


@cache
def package() -> Path:
    """What `infra/package.py` makes of the app as it is."""
    output = Path(tempfile.mkdtemp(prefix="package-")) / "postroom.zip"
    command = [sys.executable, str(ROOT / "infra" / "package.py"), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own script
    atexit.register(shutil.rmtree, output.parent)
    return output


class Cloud:
    """A subscription in a folder, and the scripts that are run against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools = folder / "bin"
        self.tools.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.tools / tool).symlink_to(found)
        self.write_az(az_server.client(sys.executable, fake_az.__name__))
        # The real package is built once: its bytecode takes a second. infra/package.py has tests of its
        # own, and one test deploys what it builds at that moment (`PYTHON=sys.executable`).
        python = self.write_tool(
            "python",
            f"""case "$1 $2" in
  */infra/package.py\\ --output) cat "{package()}" >"$3" ;;
  *) exec "{sys.executable}" -S "$@" ;;
esac""",
        )
        self.python = str(python)
        self.app_url = "https://func-postroom.example.net"
        self.change()

    def write_az(self, script: str) -> None:
        """The command `az` of this machine."""
        (self.tools / "az").write_text(script)
        (self.tools / "az").chmod(0o755)

    def write_tool(self, name: str, script: str) -> Path:
        """A command of this machine."""
        tool = self.tools / name
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        return tool

    def run(
        self, script: str, *options: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of infra/'s scripts with nobody at the keyboard."""
        return subprocess.run(  # noqa: S603 - our own scripts
            [str(ROOT / "infra" / script), *options],
            env={
                "PATH": str(self.tools),
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "PYTHON": self.python,
                "FAKE_AZ": str(self.folder),
                "FAKE_APP_URL": self.app_url,
                "HEALTH_SECONDS": "10",
                "HEALTH_INTERVAL": "0.1",
                **environment,
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def deploy(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`infra/deploy.sh` into a group, with what it cannot do without."""
        needed = ("--resource-group", "rg-postroom", "--location", "westeurope")
        return self.run("deploy.sh", *needed, *options, **environment)

    def fail(self, command: str) -> None:
        """From now on a command fails; none, if empty."""
        file = self.folder / "fail"
        file.unlink(missing_ok=True)
        if command:
            file.write_text(command)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    def change(self, **values: object) -> None:
        """Something was done to the subscription by others."""
        file = self.folder / "state.json"
        state = json.loads(file.read_text()) if file.exists() else fake_az.start()
        file.write_text(json.dumps(state | values))

    def calls(self) -> list[str]:
        """The calls since the last time, temporary paths made alike."""
        record = self.folder / "calls.jsonl"
        lines = record.read_text().splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        calls = []
        for line in lines:
            given = [
                "<file>" if word.lstrip("@").startswith(f"{self.folder}{os.sep}tmp") else word
                for word in json.loads(line)
            ]
            calls.append(" ".join(given))
        return calls


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """An empty subscription that somebody is signed in to."""
    return Cloud(tmp_path)


class _App(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        body = b'{"status": "ok"}' if self.status == 200 else b'{"status": "misconfigured"}'
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def published_app(cloud: Cloud) -> Iterator[type[BaseHTTPRequestHandler]]:
    """What answers at the app's address; its class attribute `status` says how."""
    handler = type("App", (_App,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        cloud.app_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield handler
        server.shutdown()
        thread.join()
