"""Starts Azurite, the storage emulator, waits until it listens, and stops it.

https://github.com/Azure/Azurite#usage explains the switches. The API version check is off because
the Python SDKs are usually newer than the emulator.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from local import children, ports

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = REPOSITORY / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"

# The emulator's published account, the same on every machine:
# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class AzuriteError(Exception):
    """What is missing or went wrong, with its remedy, in one line."""


@dataclass(frozen=True)
class AzuritePorts:
    blob: int
    queue: int
    table: int


def connection_string(at: AzuritePorts) -> str:
    def endpoint(port: int) -> str:
        return f"http://{ports.LOOPBACK}:{port}/{ACCOUNT}"

    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={endpoint(at.blob)};QueueEndpoint={endpoint(at.queue)};"
        f"TableEndpoint={endpoint(at.table)};"
    )


def check_tools() -> str:
    """The path of node. Raises AzuriteError, which says what to do, if node or the npm packages are
    missing."""
    node = shutil.which("node")
    if node is None:
        raise AzuriteError("node is missing; install Node.js 20 or newer, then run: make install")
    if not SCRIPT.exists():
        raise AzuriteError("node_modules has no azurite; run: make install")
    return node


class Azurite:
    """One emulator process with its three services; its data is in memory unless a directory is
    given."""

    def __init__(
        self,
        log: Path,
        *,
        directory: Path | None = None,
        at: AzuritePorts | None = None,
    ) -> None:
        self.ports = at or AzuritePorts(*ports.free_ports(3))
        self.connection_string = connection_string(self.ports)
        self._log = log
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process without waiting, so that other processes can start meanwhile."""
        node = check_tools()
        for port in (self.ports.blob, self.ports.queue, self.ports.table):
            if not ports.is_free(port):
                raise AzuriteError(f"port {port} is in use; free it or give Azurite another one")
        self._process = children.spawn([node, str(SCRIPT), *self._switches()], self._log)

    def wait(self, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        for port in (self.ports.blob, self.ports.queue, self.ports.table):
            while not ports.is_open(port):
                self._still_starting(deadline)
                time.sleep(0.02)

    def start(self) -> Azurite:
        self.launch()
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            children.stop(self._process, grace=3.0)
            self._process = None

    def __enter__(self) -> Azurite:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _switches(self) -> list[str]:
        switches = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        for service in ("blob", "queue", "table"):
            port = getattr(self.ports, service)
            switches += [f"--{service}Host", ports.LOOPBACK, f"--{service}Port", str(port)]
        if self._directory is None:
            return [*switches, "--inMemoryPersistence"]
        self._directory.mkdir(parents=True, exist_ok=True)
        return [*switches, "--location", str(self._directory)]

    def _still_starting(self, deadline: float) -> None:
        if self._process is None or self._process.poll() is not None:
            raise AzuriteError(f"Azurite ended while starting: {children.last_lines(self._log)}")
        if time.monotonic() > deadline:
            raise AzuriteError(f"Azurite did not start in time; see {self._log.name}")
