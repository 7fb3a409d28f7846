"""Sockets: what any HTTP client may rely on."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.simulator.server import Simulator
from local.simulator.state import SimulatorState
from local.simulator.wire import Request, Response, Route


@contextlib.contextmanager
def raw(simulator: Simulator) -> Iterator[socket.socket]:
    """A bare connection to the plain port."""
    port = int(simulator.urls.http.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        yield sock


def said(sock: socket.socket, request: bytes) -> str:
    """Send, then read until the other side closes."""
    sock.sendall(request)
    received = b""
    while chunk := sock.recv(65536):
        received += chunk
    return received.decode()


def test_both_ports_serve_the_same_routes(simulator: Simulator, http: requests.Session) -> None:
    answers = [
        http.get(f"{base}/control/clock").json()
        for base in (simulator.urls.http, simulator.urls.https)
    ]

    assert answers[0].keys() == answers[1].keys()


def test_a_connection_serves_many_requests(simulator: Simulator) -> None:
    request = b"GET /control/clock HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /control/clock HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with raw(simulator) as sock:
        text = said(sock, request * 3 + last)

    assert text.count("HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"nonsense", 400),
        (b"GET /nowhere HTTP/1.0", 404),
        (b"PUT /control/reset HTTP/1.0", 405),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1", None),
    ],
    ids=["garbage", "unknown", "other-method", "endless-line"],
)
def test_what_cannot_be_served_is_refused(
    simulator: Simulator, request_line: bytes, status: int | None
) -> None:
    with raw(simulator) as sock, contextlib.suppress(ConnectionResetError):
        text = said(sock, request_line + b"\r\n\r\n")
        assert status is None or text.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "localhost.evil.example", "localhost:1@evil", "", "[::1]"],
)
@pytest.mark.parametrize("path", ["/control/clock", "/inbox", "/nowhere"])
def test_a_host_that_is_not_this_computer_is_refused_on_both_ports(
    simulator: Simulator, http: requests.Session, host: str, path: str
) -> None:
    for base in (simulator.urls.http, simulator.urls.https):
        assert http.get(base + path, headers={"Host": host}).status_code == 421


def test_another_name_is_served_over_tls_by_a_simulator_that_was_told_so(tmp_path: Path) -> None:
    with Simulator(tmp_path, also_called=["graph.microsoft.com"]) as called:
        trusting = ssl.create_default_context(cafile=called.ca_file)
        port = int(called.urls.https.rpartition(":")[2])
        for host, status in (("graph.microsoft.com", 200), ("login.microsoftonline.com", 421)):
            with (
                socket.create_connection(("127.0.0.1", port), 5) as sock,
                trusting.wrap_socket(sock, server_hostname="graph.microsoft.com") as secured,
            ):
                secured.sendall(f"GET /control/clock HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert secured.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:7171"])
def test_this_computers_names_are_served_with_any_port(
    simulator: Simulator, http: requests.Session, host: str
) -> None:
    answer = http.get(f"{simulator.urls.http}/control/clock", headers={"Host": host})

    assert answer.status_code == 200


def test_chunked_bodies_are_decoded(simulator: Simulator, http: requests.Session) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"offset_'
        yield b'seconds": 60}'

    kind = {"Content-Type": "application/json"}
    answer = http.post(f"{simulator.urls.control}/clock", data=chunks(), headers=kind).json()

    assert answer["offset_seconds"] == pytest.approx(60, abs=5)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(simulator: Simulator) -> None:
    with raw(simulator) as sock:
        text = said(
            sock,
            b"POST /control/clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000000\r\n\r\n",
        )

    assert text.startswith("HTTP/1.1 413 ")


def test_an_expected_continue_is_answered(simulator: Simulator) -> None:
    head = b"POST /control/clock HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    head += b"Content-Type: application/json\r\n"
    with raw(simulator) as sock:
        text = said(sock, head + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")

    assert text.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_head_leaves_the_body_out(simulator: Simulator, http: requests.Session) -> None:
    response = http.head(f"{simulator.urls.control}/clock")

    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


def test_a_client_that_never_finishes_its_handshake_holds_up_nobody(
    simulator: Simulator, http: requests.Session
) -> None:
    port = int(simulator.urls.https.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5):
        began = time.monotonic()
        http.get(f"{simulator.urls.https}/control/clock")

    assert time.monotonic() - began < 2


def test_only_the_loopback_interface_is_served(simulator: Simulator) -> None:
    # Linux answers on all of 127/8 where a server listens on every interface.
    port = int(simulator.urls.http.rpartition(":")[2])
    with pytest.raises(OSError):  # noqa: PT011 - each system says it in its own words
        socket.create_connection(("127.0.0.2", port), 1)


def test_the_certificate_is_for_localhost_and_verifies_strictly(simulator: Simulator) -> None:
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    port = int(simulator.urls.https.rpartition(":")[2])

    for name in ("localhost", "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", port), 5) as sock,
            context.wrap_socket(sock, server_hostname=name) as secured,
        ):
            assert secured.version() == "TLSv1.3"


def test_a_failing_handler_is_a_500_not_a_dead_connection(
    simulator: Simulator, state: SimulatorState, capsys: pytest.CaptureFixture[str]
) -> None:
    from local.simulator.dispatch import Dispatcher

    def broken(_: Request) -> Response:
        raise RuntimeError("defect")

    dispatcher = Dispatcher(state, [Route("x.y", "GET", "/x", broken)])
    response = dispatcher.answer(Request("GET", "/x", {}, {}, b"", "http://localhost"))

    assert response.status == 500
    assert "defect" in capsys.readouterr().err


def test_many_clients_are_served_at_once(simulator: Simulator) -> None:
    """A floor that a loaded computer reaches; an idle one serves several times as many."""
    request = b"GET /control/clock HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answered: list[int] = []

    def client() -> None:
        with raw(simulator) as sock:
            answered.append(said(sock, request * 49 + last).count("HTTP/1.1 200"))

    threads = [threading.Thread(target=client) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answered == [50] * 8
    assert 400 / (time.monotonic() - began) > 100


def test_stopping_ends_open_connections_and_frees_the_ports(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path)
    simulator.start()
    with raw(simulator) as sock:
        simulator.stop()
        assert sock.recv(1) == b""

    port = int(simulator.urls.http.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_the_program_writes_its_stack_file_and_ends_on_interrupt(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.simulator", "--state-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        while "stack file" not in process.stdout.readline():
            assert process.poll() is None
        stack_file = tmp_path / "stack.json"
        stack = json.loads(stack_file.read_text())
        assert stack_file.stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0

    assert stack["pids"] == {"simulator": process.pid}
    assert stack["client_secret"].startswith("SIMSECRET~")
    assert {"address": "billing@contoso.com", "kind": "work"} in stack["mailboxes"]
    assert not stack_file.exists()
    for name in ("localhost.pem", "ca.pem"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
