"""The parent of the workers: reserves the port, starts workers, replaces dead ones, and stops
them."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from local import children, ports
from local.host import counts, keys
from local.host.errors import HostError

_READY_TIMEOUT = 60.0


@dataclass(frozen=True)
class HostOptions:
    port: int
    app_directory: Path
    state_directory: Path
    workers: int = 1
    grace: float = 30.0


class Supervisor:
    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._workers: list[subprocess.Popen[bytes]] = []
        self._stopping = False
        self._state = options.state_directory / "host-state.json"

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns 0 if every worker ended normally."""
        self._options.state_directory.mkdir(parents=True, exist_ok=True)
        self._state.unlink(missing_ok=True)
        keys.load_or_create(self._options.state_directory / "keys.json")
        counts.create(self._options.state_directory / "host-counts", self._options.workers)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        reservation = self._reserve()
        port = reservation.getsockname()[1]
        try:
            status = self._start_all(port)
            if status == 0 and not self._stopping:
                print(f"listening on http://localhost:{port}", file=sys.stderr, flush=True)
                self._watch(port)
        finally:
            self._stop_all()
            reservation.close()
            self._state.unlink(missing_ok=True)
        return status

    def _on_signal(self, *_: object) -> None:
        self._stopping = True

    def _reserve(self) -> socket.socket:
        """Bind the port without listening, so that it stays reserved while workers are replaced."""
        port = self._options.port
        if port and not ports.is_free(port):
            raise HostError(f"port {port} is in use; free it or give another one with --port")
        reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((ports.LOOPBACK, port))
        return reservation

    def _start_all(self, port: int) -> int:
        started = [self._spawn(index, port) for index in range(self._options.workers)]
        self._workers = [process for process, _ in started]
        try:
            for process, ready in started:
                if not self._wait_ready(process, ready):
                    return process.wait() if process.poll() is not None else 1
        finally:
            for _, ready in started:
                os.close(ready)
        self._write_state(port)
        return 0

    def _spawn(self, index: int, port: int) -> tuple[subprocess.Popen[bytes], int]:
        ready, announce = os.pipe()
        options = self._options
        command = [sys.executable, "-m", "local.host", "--port", str(port)]
        command += ["--app-dir", str(options.app_directory)]
        command += ["--state-dir", str(options.state_directory), "--grace", str(options.grace)]
        command += ["--worker", str(index), "--ready-fd", str(announce)]
        # A process group of its own: Ctrl-C reaches only the parent, which stops the workers in
        # order.
        process = subprocess.Popen(  # noqa: S603 - our own module
            [*command, "--supervisor", str(os.getpid())],
            pass_fds=(announce,),
            start_new_session=True,
        )
        os.close(announce)
        return process, ready

    def _wait_ready(self, process: subprocess.Popen[bytes], ready: int) -> bool:
        deadline = time.monotonic() + _READY_TIMEOUT
        while time.monotonic() < deadline and not self._stopping:
            if select.select([ready], [], [], 0.1)[0]:
                # End of file without the byte: the worker has ended.
                if os.read(ready, 1):
                    return True
                process.wait()
                return False
        return self._stopping

    def _watch(self, port: int) -> None:
        while not self._stopping:
            for index, process in enumerate(self._workers):
                if process.poll() is not None and not self._stopping:
                    self._replace(index, port, process.returncode)
            time.sleep(0.05)

    def _replace(self, index: int, port: int, status: int) -> None:
        print(f"worker {index} ended with {status}; starting another", file=sys.stderr, flush=True)
        process, ready = self._spawn(index, port)
        self._workers[index] = process
        try:
            if not self._wait_ready(process, ready):
                time.sleep(1.0)
        finally:
            os.close(ready)
        self._write_state(port)

    def _stop_all(self) -> None:
        for process in self._workers:
            if process.poll() is None:
                process.terminate()
        for process in self._workers:
            children.stop(process, self._options.grace + 5.0)

    def _write_state(self, port: int) -> None:
        """Write the port and the process ids of the workers, for programs that wait for the
        host."""
        document = {
            "url": f"http://localhost:{port}",
            "port": port,
            "pid": os.getpid(),
            "workers": [process.pid for process in self._workers],
        }
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(self._state)
