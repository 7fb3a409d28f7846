"""Starts and stops the local stack: Azurite, the simulator, and the host with the app.

    with Stack(tmp_path, app_port=0, simulator_port=0, local_settings=False) as stack:
        requests.post(stack.app_url + "/api/send", headers={"x-functions-key": stack.function_key})

On the command line: `python -m local.start`. If the process that called `start()` ends, even by
SIGKILL, every process of the stack ends (Linux; see `children`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from local import children, ports, stack_files
from local.azurite import Azurite, AzuriteError, check_tools
from local.console import Console
from local.host import counts
from local.stack_errors import StackError, check_python, port_taken
from local.stack_files import REPOSITORY
from local.state_lock import StateLock

_START_TIMEOUT = 60.0
_SIMULATOR = "local.simulator"


class Instance(NamedTuple):
    """An instance's number, from 0, and the process ids of its host and its Python worker."""

    number: int
    host: int
    worker: int


CREDENTIALS = ("secret", "certificate", "managed-identity")


class Stack:
    def __init__(
        self,
        state_dir: Path = REPOSITORY / ".local",
        app_port: int = 7071,
        simulator_port: int = 7072,
        instances: int = 1,
        storage: str | None = None,
        *,
        storage_dir: Path | None = None,
        app_dir: Path = REPOSITORY,
        python: Path | None = None,
        settings: Mapping[str, str] | None = None,
        local_settings: bool = True,
        console: Console | None = None,
        credential: str = "secret",
        also_called: Sequence[str] = (),
        host_options: Sequence[str] = (),
    ) -> None:
        """Ports of 0 take free ones. `storage` is a connection string to use instead of Azurite.

        `storage_dir` keeps Azurite's data, which otherwise lives in memory. `settings` are added to
        the app's environment. `local_settings` also writes local.settings.json for `func start`.
        `credential` is how the app proves who it is: `secret`, `certificate` or `managed-identity`.
        `python` is another interpreter for the host and the app; of this repository it then sees
        nothing but `local`, so that an unpacked package has to be complete by itself. `also_called`
        are names that the simulator answers to as well, such as `graph.microsoft.com`.
        `host_options` are more options of `python -m local.host`. The host is strict: it ends where
        the app has a mistake with which Azure would start.
        """
        self.state_dir = state_dir.resolve()
        self.info: dict[str, Any] = {}
        self._app_port = app_port
        self._simulator_port = simulator_port
        self._instances = instances
        self._storage = storage
        self._storage_dir = storage_dir
        self._app_dir = app_dir.resolve()
        self._python = python
        self._extra = dict(settings or {})
        self._local_settings = local_settings
        self._credential = credential
        self._also_called = tuple(also_called)
        self._host_options = tuple(host_options)
        self._console = console or Console(quiet=True)
        self._logs = self.state_dir / "logs"
        self._lock = StateLock(self.state_dir)
        self._azurite: Azurite | None = None
        self._simulator: subprocess.Popen[bytes] | None = None
        self._provision: subprocess.Popen[bytes] | None = None
        self._host: subprocess.Popen[bytes] | None = None

    @property
    def app_url(self) -> str:
        return str(self.info["app_url"])

    @property
    def function_key(self) -> str:
        return str(self.info["function_key"])

    @property
    def master_key(self) -> str:
        return str(self.info["master_key"])

    @property
    def settings(self) -> dict[str, str]:
        """The app's settings, as the host gets them."""
        return {
            **stack_files.app_settings(self.info, self._app_port, self._credential),
            **self._extra,
        }

    def instances(self) -> list[Instance]:
        """The instances that run now; a process that is killed is replaced by another."""
        state = stack_files.read(self.state_dir / "host-state.json") or {}
        return [Instance(**each) for each in state.get("instances", [])]

    def held_messages(self) -> list[int]:
        """How many queue messages each instance holds now, in the order of their numbers."""
        return counts.held(self.state_dir / "host-counts")

    def start(self) -> Stack:
        began = time.monotonic()
        try:
            self._start()
        except AzuriteError as error:
            self.stop()
            raise StackError(str(error)) from error
        except BaseException:
            self.stop()
            raise
        self._console.line(f"  ready in {time.monotonic() - began:.1f} s")
        return self

    def stop(self) -> None:
        """End all processes, the app first, so that it can finish its work."""
        self.stop_host()
        for name in ("_provision", "_simulator"):
            process = getattr(self, name)
            if process is not None:
                children.stop(process, grace=5.0)
                setattr(self, name, None)
        if self._azurite is not None:
            self._azurite.stop()
            self._azurite = None
        if self._lock.is_held:
            # Its content is no longer true. The file of another stack must not be removed.
            stack_files.path(self.state_dir).unlink(missing_ok=True)
            self._lock.release()

    def start_host(self, instances: int | None = None) -> None:
        """Start the host with the app; for tests also after `stop_host()`, with more or fewer
        `instances`."""
        self._instances = instances or self._instances
        state = self.state_dir / "host-state.json"
        state.unlink(missing_ok=True)
        command = [str(self._python or sys.executable), "-m", "local.host"]
        command += ["--port", str(self._app_port), "--app-dir", str(self._app_dir)]
        command += ["--state-dir", str(self.state_dir), "--instances", str(self._instances)]
        command += ["--grace", "15", "--strict", *self._host_options]
        environment = {**os.environ, **self.settings}
        self._host = self._spawn("host", command, environment, directory=self._host_directory())
        self._wait("host", self._host, state.exists)
        self.info["pids"]["host"] = self._host.pid
        self.info["pids"]["instances"] = [each.host for each in self.instances()]
        self.info["pids"]["workers"] = [each.worker for each in self.instances()]

    def stop_host(self) -> None:
        if self._host is not None:
            children.stop(self._host, grace=25.0)
            self._host = None

    def check(self) -> None:
        """Raise StackError if a part has died."""
        for name, process in (("simulator", self._simulator), ("host", self._host)):
            if process is not None and process.poll() is not None:
                raise StackError(self._died(name))
        if self._azurite is not None and not self._azurite.is_running():
            raise StackError(self._died("azurite"))

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        with self._console.step("tools and ports"):
            self._check()
        # All three take some time to start, so they start at the same time.
        self._launch()
        with self._console.step("simulator (Entra, Graph, Key Vault, identity)"):
            self._await_simulator()
        if self._azurite is not None:
            with self._console.step("Azurite (queue, table, blob)"):
                self._azurite.wait()
                self.info["pids"]["azurite"] = self._azurite.pid
        with self._console.step("queues, tables, containers, credential"):
            self._run_provision()
        with self._console.step(f"host with {self._instances} instance(s)"):
            self.start_host()
        self._write_files()

    def _check(self) -> None:
        check_python()
        if self._storage is None:
            check_tools()
        self._lock.take()
        self._app_port = self._app_port or ports.free_port()
        self._simulator_port = self._simulator_port or ports.free_port()
        if not ports.is_free(self._app_port):
            raise port_taken(self._app_port, "PORT")
        if not ports.is_free(self._simulator_port):
            raise port_taken(self._simulator_port, "SIMULATOR_PORT")
        for name in ("simulator", "host", "azurite", "provision"):
            (self._logs / f"{name}.log").unlink(missing_ok=True)

    def _launch(self) -> None:
        if self._storage is None:
            self._azurite = Azurite(self._logs / "azurite.log", directory=self._storage_dir)
            self._azurite.launch()
        stack_files.path(self.state_dir).unlink(missing_ok=True)
        command = [sys.executable, "-m", _SIMULATOR, "--https-port", "0"]
        command += ["--http-port", str(self._simulator_port), "--state-dir", str(self.state_dir)]
        command += ["--part-of-stack"]
        command += [f"--also-called={name}" for name in self._also_called]
        self._simulator = self._spawn("simulator", command)
        self._provision = self._spawn(
            "provision", [sys.executable, "-m", "local.provision"], stdin=subprocess.PIPE
        )

    def _await_simulator(self) -> None:
        if self._simulator is None:
            raise StackError("the simulator was not started")
        path = stack_files.path(self.state_dir)
        self._wait("simulator", self._simulator, lambda: stack_files.read(path) is not None)
        self.info = stack_files.read(path) or {}
        self.info["pids"] = {**self.info.get("pids", {}), "stack": os.getpid()}
        self.info["storage_connection_string"] = self._storage or (
            self._azurite.connection_string if self._azurite else ""
        )

    def _run_provision(self) -> None:
        process = self._provision
        if process is None or process.stdin is None:
            raise StackError("the provisioning step was not started")
        document = {
            "settings": self.settings,
            "client_secret": self.info["client_secret"],
            "control_url": self.info["control_url"],
        }
        process.stdin.write(json.dumps(document).encode())
        process.stdin.close()
        if process.wait(_START_TIMEOUT) != 0:
            raise StackError(self._died("provision"))
        self._provision = None

    def _write_files(self) -> None:
        keys = stack_files.read(self.state_dir / "keys.json") or {}
        self.info.update(
            app_url=f"http://localhost:{self._app_port}",
            function_key=keys.get("function"),
            master_key=keys.get("master"),
            queue_name="outbox",
        )
        stack_files.write(stack_files.path(self.state_dir), self.info)
        if self._local_settings:
            stack_files.write_local_settings(self._app_dir, self._app_port, self.settings)

    def _host_directory(self) -> Path:
        """The directory in which the host starts: `python -m` imports from it first."""
        if self._python is None:
            return REPOSITORY
        directory = self.state_dir / "host"
        directory.mkdir(exist_ok=True)
        if not (directory / "local").is_symlink():
            (directory / "local").symlink_to(REPOSITORY / "local", target_is_directory=True)
        return directory

    def _spawn(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        directory: Path = REPOSITORY,
    ) -> subprocess.Popen[bytes]:
        return children.spawn(
            command,
            self._logs / f"{name}.log",
            environment=environment,
            directory=directory,
            stdin=stdin,
        )

    def _wait(self, name: str, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while not ready():
            if process.poll() is not None:
                raise StackError(self._died(name))
            if time.monotonic() > deadline:
                raise StackError(f"the {name} did not start in time; see logs/{name}.log")
            time.sleep(0.02)

    def _died(self, name: str) -> str:
        log = self._logs / f"{name}.log"
        return f"the {name} has ended; the end of its log:\n{children.last_lines(log)}"
