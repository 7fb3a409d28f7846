"""The supervisor of the local stack: what it starts, what it writes, and that nothing is left."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import children, ports, stack, stack_files
from local.azurite import Azurite
from local.console import Console
from local.stack import Stack
from local.stack_errors import StackError
from local.state_lock import StateLock
from tests.contract.host.driver import REPOSITORY, SAMPLE_APP, is_alive, until

SETTINGS = {
    "SAMPLE_QUEUE": "outbox",
    "AzureWebJobs.buried.Disabled": "true",
    "AzureWebJobs.tick.Disabled": "true",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack, with the sample app."""
    yield from _run(tmp_path_factory.mktemp("stack"))


def _run(state: Path) -> Iterator[Stack]:
    with Stack(
        state, 0, 0, 1, app_dir=SAMPLE_APP, settings=SETTINGS, local_settings=False
    ) as started:
        parts = pids(started.state_dir)
        yield started
    assert parts
    assert not any(is_alive(pid) for pid in parts)
    assert not stack_files.path(started.state_dir).exists()


def pids(state: Path) -> list[int]:
    info = stack_files.read(stack_files.path(state)) or {}
    found = []
    for name, value in info.get("pids", {}).items():
        # A stack inside the test's own process is not one that must go.
        if name != "stack":
            found += value if isinstance(value, list) else [value]
    return found


def descendants(pid: int) -> list[int]:
    try:
        own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in own for each in (int(child), *descendants(int(child)))]


def command_line(state: Path, *more: str) -> list[str]:
    one, two = ports.free_ports(2)
    command = [sys.executable, "-m", "local.start", "--state-dir", str(state)]
    return [*command, "--port", str(one), "--simulator-port", str(two), *more]


def run_to_its_end(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own modules
        command, capture_output=True, text=True, cwd=REPOSITORY, timeout=20, check=False
    )


def test_the_app_answers_and_the_key_in_stack_json_opens_it(running: Stack) -> None:
    info = json.loads((running.state_dir / "stack.json").read_text())
    headers = {"x-functions-key": info["function_key"]}

    assert requests.get(f"{info['app_url']}/guarded", headers=headers, timeout=5).status_code == 200
    assert info["queue_name"] == "outbox"
    assert {"azurite", "host", "instances", "simulator", "workers"} <= info["pids"].keys()


def test_stack_json_is_for_its_owner_alone(running: Stack) -> None:
    mode = (running.state_dir / "stack.json").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("module", ["local.start", "local.simulator"])
def test_a_second_one_in_the_same_folder_is_refused_and_leaves_the_first_alone(
    running: Stack, module: str
) -> None:
    path = stack_files.path(running.state_dir)
    before = path.read_text()

    ended = run_to_its_end([sys.executable, "-m", module, "--state-dir", str(running.state_dir)])

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: a stack is running in ")
    assert f"(process {os.getpid()})" in ended.stderr
    assert "POSTROOM_STATE_DIR=" in ended.stderr
    assert path.read_text() == before


def test_a_folder_whose_stack_was_killed_is_free_again(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from local.state_lock import StateLock; "
    script += "StateLock(Path(sys.argv[1])).take(); print('taken', flush=True); sys.stdin.read()"
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(StackError, match=f"process {process.pid}"):
        StateLock(tmp_path).take()

    process.kill()
    process.communicate()

    lock = StateLock(tmp_path)
    lock.take()
    lock.release()


def test_the_simulator_alone_writes_its_file_and_removes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.simulator", "--state-dir", str(tmp_path)]
    process = children.spawn(command, tmp_path / "log", directory=REPOSITORY)
    path = stack_files.path(tmp_path)
    until(lambda: stack_files.read(path) is not None)

    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    assert not path.exists()


def test_what_the_app_expects_in_storage_is_there(running: Stack) -> None:
    connection = running.info["storage_connection_string"]
    with QueueServiceClient.from_connection_string(connection) as queues:
        assert {"outbox", "outbox-poison"} <= {str(each.name) for each in queues.list_queues()}
    with TableServiceClient.from_connection_string(connection) as tables:
        found = {each.name for each in tables.list_tables()}
        assert found == {"mails", "keys", "flows", "accounts", "waiting"}
    with BlobServiceClient.from_connection_string(connection) as blobs:
        assert {each.name for each in blobs.list_containers()} == {"payloads", "attachments"}


def test_the_settings_are_those_of_the_app_in_azure_with_local_addresses(running: Stack) -> None:
    settings = running.settings

    assert settings["POSTROOM_REDIRECT_URI"] == f"{running.app_url}/api/auth/callback"
    assert settings["POSTROOM_AUTHORITY_HOST"].startswith("https://localhost:")
    assert settings["POSTROOM_CLIENT_ID"] == running.info["client_id"]
    assert running.info["client_secret"] not in settings.values()


def test_a_taken_port_is_named_with_its_remedy(tmp_path: Path, azurite: Azurite) -> None:
    taken = azurite.ports.queue

    ended = run_to_its_end([*command_line(tmp_path), "--port", str(taken)])

    assert ended.returncode == 1
    remedy = f"free it or run: make run PORT={taken + 10}"
    assert ended.stderr == f"error: port {taken} is in use; {remedy}\n"


def test_a_part_that_dies_while_starting_is_named_and_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "_SIMULATOR", "tests.no_such_simulator")

    before = descendants(os.getpid())

    with pytest.raises(StackError, match="the simulator has ended"):
        Stack(tmp_path, 0, 0, local_settings=False).start()

    assert set(descendants(os.getpid())) <= set(before)


def test_an_app_with_a_mistake_ends_the_start_with_the_reason_and_what_azure_would_do(
    tmp_path: Path,
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text("import no_such_module\n")

    with pytest.raises(StackError) as caught:
        Stack(tmp_path, 0, 0, app_dir=tmp_path / "app", local_settings=False).start()

    assert "No module named 'no_such_module' (function_app.py, line 1)" in str(caught.value)
    assert "Azure would not refuse this: the app starts, answers 404" in str(caught.value)


def test_an_interrupt_while_starting_leaves_nothing_behind(tmp_path: Path) -> None:
    process = children.spawn(command_line(tmp_path), tmp_path / "log", directory=REPOSITORY)
    until(lambda: len(descendants(process.pid)) >= 3)
    started = descendants(process.pid)

    process.send_signal(signal.SIGINT)

    # Not what it takes, but what a busy machine may make of it.
    assert process.wait(60) == 0
    # A grandchild ends with its parent, and that may take it a moment.
    until(lambda: not any(is_alive(pid) for pid in started))


def test_a_kill_of_the_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    process = children.spawn(command_line(tmp_path), tmp_path / "log", directory=REPOSITORY)
    until(lambda: len(descendants(process.pid)) >= 3)
    started = descendants(process.pid)

    process.kill()
    process.wait(5)

    until(lambda: not any(is_alive(pid) for pid in started))


def test_local_settings_are_those_that_func_start_reads(tmp_path: Path) -> None:
    stack_files.write_local_settings(tmp_path, 7071, {"A": "1"})

    assert json.loads((tmp_path / "local.settings.json").read_text()) == {
        "IsEncrypted": False,
        "Values": {"A": "1"},
        "Host": {"LocalHttpPort": 7071},
    }


def test_progress_is_one_plain_line_per_step_when_not_on_a_terminal() -> None:
    stream = io.StringIO()

    times = iter((100.0, 101.26))

    with Console(stream, clock=lambda: next(times)).step("brewing"):
        pass

    assert stream.getvalue() == "✓ brewing (1.3 s)\n"
