"""A server that sends a byte now and then, so that no time-out of a socket is ever met."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ProtocolError

from local.simulator.tls import server_context
from shared.adapters.http import resolving
from shared.adapters.http.client import HttpClient
from shared.adapters.http.deadline import Deadline, current, deadline
from shared.adapters.http.session import BoundedSession
from shared.adapters.storage.session import StorageSession
from shared.errors import AnswerLost, NotSent
from tests.unit.adapters.dripping import dripping

LIMIT = 0.6
SLACK = 1.0
"""Until a passed deadline is noticed, on a busy machine."""

PHASES = {
    "status line": (b"", b"HTTP/1.1 200 OK" * 20),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Name: value\r\n" * 20),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"a" * 1000),
    "body of a closing server": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n",
        b"a" * 1000,
    ),
    "body without length": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"a" * 1000),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 200),
}


@contextmanager
def ends_in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LIMIT + SLACK


@pytest.mark.parametrize("phase", PHASES)
def test_an_answer_that_drips_is_lost_when_its_time_is_over(phase: str) -> None:
    with (
        dripping(*PHASES[phase]) as port,
        HttpClient(f"http://127.0.0.1:{port}", system="graph", ca_file=None, plain=True) as line,
        ends_in_time(),
        pytest.raises(AnswerLost),
    ):
        line.request("POST", "/me/sendMail", within_seconds=LIMIT, headers={}, body=b"x")


def test_a_202_counts_although_its_body_drips() -> None:
    head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n"
    with (
        dripping(head, b"a" * 1000) as port,
        HttpClient(f"http://127.0.0.1:{port}", system="graph", ca_file=None, plain=True) as line,
        ends_in_time(),
    ):
        answer = line.request("POST", "/me/sendMail", within_seconds=LIMIT, headers={}, body=b"x")

    assert answer.status == 202


def test_a_handshake_that_drips_has_sent_nothing() -> None:
    """The first bytes of a TLS record, whose rest never comes."""
    with (
        dripping(b"\x16\x03\x03\x0f\xff", b"\x02" * 1000) as port,
        HttpClient(f"https://127.0.0.1:{port}", system="graph", ca_file=None) as line,
        ends_in_time(),
        pytest.raises(NotSent),
    ):
        line.request("POST", "/me/sendMail", within_seconds=LIMIT, headers={}, body=b"x")


def test_an_answer_over_tls_that_drips_is_lost_when_its_time_is_over(tmp_path: Path) -> None:
    context, ca_file = server_context(tmp_path)
    with (
        dripping(*PHASES["body"], context=context) as port,
        HttpClient(f"https://localhost:{port}", system="graph", ca_file=str(ca_file)) as line,
        ends_in_time(),
        pytest.raises(AnswerLost),
    ):
        line.request("GET", "/me", within_seconds=LIMIT, headers={})


def test_a_request_that_nobody_reads_ends_in_time() -> None:
    """The server accepts the connection and reads nothing: the buffers fill, and the write waits."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        HttpClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            system="graph",
            ca_file=None,
            plain=True,
        ) as line,
        ends_in_time(),
        pytest.raises(AnswerLost),
    ):
        line.request("POST", "/", within_seconds=LIMIT, headers={}, body=b"x" * 32_000_000)


@pytest.mark.parametrize("phase", PHASES)
def test_an_sdk_gets_no_answer_from_a_server_that_drips(phase: str) -> None:
    """What MSAL, Key Vault and the managed identity send through."""
    with (
        dripping(*PHASES[phase]) as port,
        BoundedSession(LIMIT) as session,
        ends_in_time(),
        pytest.raises((ReadTimeout, NoConnection)),
    ):
        session.request("GET", f"http://127.0.0.1:{port}/", timeout=(5, 5))


@pytest.mark.parametrize("phase", PHASES)
def test_a_storage_sdk_gets_no_answer_from_a_server_that_drips(phase: str) -> None:
    from azure.core.exceptions import ServiceResponseError

    transport = RequestsTransport(
        session=StorageSession(1, LIMIT), connection_timeout=5, read_timeout=5
    )
    with (
        dripping(*PHASES[phase]) as port,
        transport,
        ends_in_time(),
        pytest.raises(ServiceResponseError),
    ):
        transport.send(HttpRequest("GET", f"http://127.0.0.1:{port}/"))


def test_a_streamed_answer_keeps_to_the_deadline_of_its_whole_call() -> None:
    """As a blob is read: the SDK reads the body after the request has returned."""
    with (
        dripping(*PHASES["body"]) as port,
        StorageSession(1, 60.0) as session,
        ends_in_time(),
        deadline(LIMIT),
    ):
        answer = session.request(
            "GET", f"http://127.0.0.1:{port}/", headers={}, timeout=(5, 5), stream=True
        )
        with pytest.raises(ProtocolError):
            answer.raw.read()


def test_a_connection_of_another_thread_is_left_alone() -> None:
    """Once its answer is whole a connection goes back to the pool, and the deadline of the thread
    that used it may pass while another one uses it."""
    running = Deadline(time.monotonic() + 100)
    ours, other = socket.socketpair()
    with ours, other:

        class Connection:
            used_sock = ours

        connection = Connection()
        running.attach(connection)
        running.detach(connection)
        running.enforce()
        other.sendall(b"still open")

        assert ours.recv(10) == b"still open"


def test_the_outer_deadline_is_the_latest_end() -> None:
    with deadline(0.2) as outer:
        with deadline(100) as inner:
            assert inner.ends == outer.ends
        assert current() is outer
    assert current() is None


def test_no_request_begins_after_the_deadline() -> None:
    with (
        dripping(b"HTTP/1.1 204 No Content\r\n\r\n", b"") as port,
        HttpClient(f"http://127.0.0.1:{port}", system="graph", ca_file=None, plain=True) as line,
        deadline(0.0),
        pytest.raises(NotSent),
    ):
        line.request("GET", "/", within_seconds=60, headers={})


def test_a_look_up_that_hangs_is_left_behind_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answered.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = resolving.left_behind()
    try:
        with (
            HttpClient("https://graph.example", system="graph", ca_file=None) as line,
            ends_in_time(),
            pytest.raises(NotSent),
        ):
            line.request("GET", "/", within_seconds=LIMIT, headers={})
        assert resolving.left_behind() == before + 1
        with pytest.raises(NotSent, match="DNS servers"):
            resolving.probe()
    finally:
        answered.set()
    wait_until(lambda: resolving.left_behind() == before)


def test_a_name_that_nobody_knows_is_not_sent_at_once() -> None:
    with (
        HttpClient("https://nobody.invalid", system="graph", ca_file=None) as line,
        pytest.raises(NotSent),
    ):
        line.request("GET", "/", within_seconds=10, headers={})


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)
