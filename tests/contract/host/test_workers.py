"""Several workers on one port, their ends and beginnings (azure-functions.md 2.5)."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest
import requests

from local import ports
from local.azurite import Azurite
from tests.contract.host.conftest import without_storage
from tests.contract.host.driver import SAMPLE_APP, Host, is_alive, run_to_end, until


def answering(host: Host, calls: int = 20) -> set[int]:
    """Pids that answer when each call opens a connection of its own."""
    found = set()
    for _ in range(calls):
        answer = requests.get(f"{host.url}/slow?seconds=0", timeout=5)
        found.add(int(answer.text))
    return found


def test_workers_share_the_port_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    with Host(tmp_path, without_storage(), workers=2) as host:
        before = set(host.workers())
        assert answering(host) == before

        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in host.workers())

        after = set(host.workers())
        assert len(after) == 2
        assert answering(host) == after


def test_a_stopping_host_finishes_its_messages_and_calls_and_ends_with_0(
    azurite: Azurite, queue_host: Host
) -> None:
    answers: list[int] = []
    call = threading.Thread(
        target=lambda: answers.append(queue_host.get("/slow?seconds=0.5").status_code)
    )
    call.start()
    queue_host.post("/enqueue", data=b"sleep 0.5")
    until(lambda: bool(queue_host.notes("work") and queue_host.notes("slow-began")))

    queue_host.process.terminate()

    assert queue_host.process.wait(10) == 0
    call.join(5)
    assert answers == [200]
    assert len(queue_host.notes("work-ended")) == 1


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    with Host(tmp_path, without_storage(), workers=2) as host:
        workers = host.workers()

        host.process.kill()

        until(lambda: not any(is_alive(pid) for pid in workers))


def test_a_function_out_of_time_fails_its_neighbours_and_replaces_the_worker(
    tmp_path: Path,
) -> None:
    limit = {"AzureFunctionsJobHost__functionTimeout": "00:00:01"}
    with Host(tmp_path, without_storage() | limit) as host:
        (worker,) = host.workers()

        assert host.get("/slow?seconds=30").status_code == 500

        until(lambda: host.workers() != [worker])
        until(lambda: ports.is_open(int(host.url.rsplit(":")[-1])))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("x = 1", "has no function app", id="no-app"),
        pytest.param(
            "import azure.functions as func\n"
            "app = func.FunctionApp()\n"
            "@app.route(route='x')\n"
            "def f(request): return 'x'\n",
            "function f: parameter request has no binding",
            id="wrong-parameter",
        ),
    ],
)
def test_a_wrong_app_ends_the_host_with_one_line(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')

    status, errors = run_to_end(
        ["--app-dir", str(tmp_path), "--state-dir", str(tmp_path), "--port", "0"], {}
    )

    assert status != 0
    assert errors.startswith("error: ")
    assert reason in errors
    assert errors.count("\n") == 1


def test_a_taken_port_is_named_with_its_remedy(web_host: Host, tmp_path: Path) -> None:
    port = web_host.url.rsplit(":")[-1]

    status, errors = run_to_end(
        ["--app-dir", str(SAMPLE_APP), "--state-dir", str(tmp_path), "--port", port], {}
    )

    assert status == 1
    assert errors == f"error: port {port} is in use; free it or give another one with --port\n"


def test_what_hangs_beyond_the_grace_does_not_hold_the_host_up(tmp_path: Path) -> None:
    with Host(tmp_path, without_storage(), grace=0.3) as host:
        hanging = threading.Thread(target=lambda: refused(host, "/slow?seconds=60"))
        hanging.start()
        until(lambda: bool(host.notes("slow-began")))

        host.process.terminate()

        assert host.process.wait(5) == 0
        hanging.join(5)


def refused(host: Host, path: str) -> None:
    with contextlib.suppress(requests.ConnectionError):
        host.get(path)
