"""The session below the storage SDKs: what each way of failing is taken for, and what is sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from azure.core.exceptions import (
    AzureError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest

from shared.adapters.storage.session import StorageSession
from tests.contract.conftest import Stand

OK = b"HTTP/1.1 200 OK\r\nX-Ms-Version: 1\r\nContent-Length: 4\r\n\r\ndone"


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    session = StorageSession(connections=2, seconds=30)
    yield RequestsTransport(
        session=session, session_owner=False, connection_timeout=1, read_timeout=0.2
    )
    session.close()


@contextmanager
def served(answer: Callable[[socket.socket], None], result: list[bytes]) -> Iterator[str]:
    """A server of one connection that reads a request whole and then does as it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                with client:
                    request = b""
                    while b"\r\n\r\n" not in request or not _whole(request):
                        request += client.recv(65536)
                    result.append(request)
                    answer(client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/account/thing"
        thread.join(5)


def _whole(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return True


def test_an_answer_arrives_with_its_headers_in_any_case(transport: RequestsTransport) -> None:
    with served(lambda client: client.sendall(OK), []) as url:
        answer = transport.send(HttpRequest("GET", url))

    assert (answer.status_code, answer.headers["x-ms-version"], answer.read()) == (
        200,
        "1",
        b"done",
    )


def test_a_stream_is_read_by_whoever_wants_it(transport: RequestsTransport) -> None:
    with served(lambda client: client.sendall(OK), []) as url:
        answer = transport.send(HttpRequest("GET", url), stream=True)

        assert b"".join(answer.iter_bytes()) == b"done"


@pytest.mark.parametrize(
    ("method", "content", "length"),
    [("PUT", "für", b"4"), ("PUT", b"\xff\x00", b"2"), ("DELETE", None, b"0"), ("GET", None, None)],
)
def test_the_length_is_counted_in_bytes_and_said_once(
    transport: RequestsTransport, method: str, content: str | bytes | None, length: bytes | None
) -> None:
    result: list[bytes] = []
    with served(lambda client: client.sendall(OK), result) as url:
        transport.send(HttpRequest(method, url, content=content))

    lines = result[0].partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    lengths = [line.partition(b":")[2].strip() for line in lines if b"content-length" in line]
    assert lengths == ([] if length is None else [length])


def hang_up(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_RDWR)


def say_nothing(client: socket.socket) -> None:
    client.settimeout(2)
    client.recv(1)


def break_off(client: socket.socket) -> None:
    client.sendall(OK[:-2])


def stop_in_the_middle(client: socket.socket) -> None:
    client.sendall(OK[:-2])
    say_nothing(client)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (hang_up, ServiceResponseError),
        (break_off, ServiceResponseError),
        (say_nothing, ServiceResponseTimeoutError),
        (stop_in_the_middle, ServiceResponseTimeoutError),
        (lambda client: client.sendall(b"no http\r\n\r\n"), ServiceResponseError),
    ],
)
def test_what_left_and_was_not_answered_whole_may_have_happened(
    transport: RequestsTransport, answer: Callable[[socket.socket], None], error: type[AzureError]
) -> None:
    with served(answer, []) as url, pytest.raises(error):
        transport.send(HttpRequest("PUT", url, content=b"x"))


def test_a_port_that_nobody_listens_on_was_not_reached(transport: RequestsTransport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(ServiceRequestError):
            transport.send(HttpRequest("GET", url))


def test_a_name_that_does_not_resolve_was_not_reached(transport: RequestsTransport) -> None:
    with pytest.raises(ServiceRequestError):
        transport.send(HttpRequest("GET", "http://storage.invalid/"))


def test_a_connection_that_is_not_made_in_time_was_not_reached(
    transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*args: object, **kwargs: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", too_late)

    with pytest.raises(ServiceRequestTimeoutError):
        transport.send(HttpRequest("GET", "http://127.0.0.1/"))


def test_a_server_that_cannot_prove_its_name_is_not_talked_to(
    stand: Stand, transport: RequestsTransport
) -> None:
    with pytest.raises(ServiceRequestError):
        transport.send(HttpRequest("GET", stand.stack["vault_url"]))


def test_what_is_out_of_the_ordinary_still_goes(transport: RequestsTransport) -> None:
    result: list[bytes] = []
    with served(lambda client: client.sendall(OK), result) as url:
        answer = transport.send(HttpRequest("POST", url, data={"a": "b"}))

    assert answer.status_code == 200
    assert result[0].endswith(b"a=b")
