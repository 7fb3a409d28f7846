"""The platform: reserves the port, starts instances, replaces those that end, and stops them."""

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
_POLL = 0.05
_PAUSE_AFTER_FAILURE = 1.0


@dataclass(frozen=True)
class HostOptions:
    """`lock`: seconds for which a received message is locked; None is Azure's own time. `strands`:
    how likely a stop leaves a batch locked. `strict`: end where Azure would start without the
    functions that are wrong."""

    port: int
    app_directory: Path
    state_directory: Path
    instances: int = 1
    grace: float = 41.0
    lock: int | None = None
    strands: float = 0.0
    strict: bool = False


@dataclass
class _Instance:
    """A running instance, and the process id of its worker; 0 if it has none."""

    process: subprocess.Popen[bytes]
    reports: int
    worker: int = 0
    is_ready: bool = False
    unread: bytes = b""

    def read(self) -> bool:
        """Take in what the instance has reported. Returns whether something has changed."""
        try:
            received = os.read(self.reports, 4096)
        except BlockingIOError:
            return False
        *lines, self.unread = (self.unread + received).split(b"\n")
        for line in lines:
            self.worker, self.is_ready = int(json.loads(line)["worker"]), True
        return bool(lines)


class Supervisor:
    def __init__(self, options: HostOptions) -> None:
        self._options = options
        self._instances: list[_Instance] = []
        self._stopping = False
        self._state = options.state_directory / "host-state.json"
        # Python workers whose host is gone end when the writing end closes, with this process.
        self._platform, self._lifeline = os.pipe()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns 0 if every instance ended normally."""
        self._options.state_directory.mkdir(parents=True, exist_ok=True)
        self._state.unlink(missing_ok=True)
        keys.load_or_create(self._options.state_directory / "keys.json")
        counts.create(self._options.state_directory / "host-counts", self._options.instances)
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
        """Bind the port without listening, so that it stays reserved while instances are
        replaced."""
        port = self._options.port
        if port and not ports.is_free(port):
            raise HostError(f"port {port} is in use; free it or give another one with --port")
        reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((ports.LOOPBACK, port))
        return reservation

    def _start_all(self, port: int) -> int:
        """Start them and wait until all are ready. Returns the exit code of one that is not."""
        self._instances = [self._spawn(index, port) for index in range(self._options.instances)]
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._stopping and any(not each.is_ready for each in self._instances):
            self._read_reports()
            for each in self._instances:
                if each.process.poll() is not None:
                    return each.process.returncode or 1
            if time.monotonic() > deadline:
                return 1
        self._write_state(port)
        return 0

    def _spawn(self, index: int, port: int) -> _Instance:
        reports, report = os.pipe()
        os.set_blocking(reports, False)
        options = self._options
        command = [sys.executable, "-m", "local.host", "--port", str(port)]
        command += ["--app-dir", str(options.app_directory)]
        command += ["--state-dir", str(options.state_directory), "--grace", str(options.grace)]
        command += ["--strand-batches-at-stop", str(options.strands)]
        if options.lock is not None:
            command += ["--shorten-message-lock", str(options.lock)]
        if options.strict:
            command += ["--strict"]
        command += ["--instance", str(index), "--report-fd", str(report)]
        command += ["--platform-fd", str(self._platform), "--supervisor", str(os.getpid())]
        # A process group of its own: Ctrl-C reaches only the parent, which stops the instances in
        # order. Its worker is in that group too.
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, pass_fds=(report, self._platform), start_new_session=True
        )
        os.close(report)
        return _Instance(process, reports)

    def _read_reports(self) -> bool:
        """Wait for a moment for reports. Returns whether something has changed."""
        waiting = [each.reports for each in self._instances if each.process.poll() is None]
        readable = select.select(waiting, [], [], _POLL)[0]
        changes = [each.read() for each in self._instances if each.reports in readable]
        return any(changes)

    def _watch(self, port: int) -> None:
        while not self._stopping:
            changed = self._read_reports()
            for index, each in enumerate(self._instances):
                if each.process.poll() is not None and not self._stopping:
                    self._replace(index, port)
                    changed = True
            if changed:
                self._write_state(port)

    def _replace(self, index: int, port: int) -> None:
        gone = self._instances[index]
        print(
            f"instance {index} ended with {gone.process.returncode}; starting another",
            file=sys.stderr,
            flush=True,
        )
        os.close(gone.reports)
        if not gone.is_ready:
            # It did not even start.
            time.sleep(_PAUSE_AFTER_FAILURE)
        self._instances[index] = self._spawn(index, port)

    def _stop_all(self) -> None:
        for each in self._instances:
            if each.process.poll() is None:
                each.process.terminate()
        for each in self._instances:
            children.stop(each.process, self._options.grace + 10.0)

    def _write_state(self, port: int) -> None:
        """Write the port and the process ids, for programs that wait for the host. Instances that
        are not ready are left out."""
        ready = [
            {"number": number, "host": each.process.pid, "worker": each.worker}
            for number, each in enumerate(self._instances)
            if each.is_ready and each.process.poll() is None
        ]
        document = {
            "url": f"http://localhost:{port}",
            "port": port,
            "pid": os.getpid(),
            "instances": ready,
        }
        temporary = self._state.with_suffix(".new")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(self._state)
