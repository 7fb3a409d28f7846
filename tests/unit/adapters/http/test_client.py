"""The wire of Graph without a server that behaves: broken answers, odd headers, lost chunks."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.graph import upload_session
from shared.adapters.graph.mail_service import error_code, retry_after
from shared.adapters.graph.upload_session import UploadSessions
from shared.adapters.http.client import Answer, HttpClient
from shared.errors import AnswerLost, NotSent
from shared.mail.backoff import LONGEST_ASKED_SECONDS, bounded, whole_seconds
from shared.mail.message import Attachment
from shared.services.mails.stored_files import Attached
from tests.fakes import Faults, MemoryFiles, MemoryPayloads

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
WEEK = LONGEST_ASKED_SECONDS


@contextmanager
def server(script: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port whose first caller is treated so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                script(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def plain_line(port: int) -> HttpClient:
    return HttpClient(f"http://127.0.0.1:{port}", system="graph", ca_file=None, plain=True)


def broken_off(status: str) -> Callable[[socket.socket], object]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\nab".encode())

    return answer


def test_a_202_whose_body_breaks_off_is_a_202() -> None:
    with server(broken_off("202 Accepted")) as port, plain_line(port) as line:
        answer = line.request("POST", "/me/sendMail", within_seconds=3, headers={}, body=b"x")

    assert (answer.status, answer.content) == (202, b"")


def test_any_other_answer_that_breaks_off_is_lost() -> None:
    with (
        server(broken_off("400 Bad Request")) as port,
        plain_line(port) as line,
        pytest.raises(AnswerLost),
    ):
        line.request("POST", "/me/sendMail", within_seconds=3, headers={}, body=b"x")


def test_a_connection_that_ends_in_its_handshake_has_sent_nothing() -> None:
    with (
        server(lambda connection: connection.recv(10)) as port,
        HttpClient(f"https://localhost:{port}", system="graph", ca_file=None) as line,
        pytest.raises(NotSent),
    ):
        line.request("POST", "/me/sendMail", within_seconds=3, headers={}, body=b"x")


def test_a_server_that_is_silent_in_the_handshake_was_sent_nothing() -> None:
    over = threading.Event()
    with (
        server(lambda connection: over.wait(10)) as port,
        HttpClient(
            f"https://localhost:{port}", system="graph", ca_file=None, connect_seconds=0.2
        ) as line,
    ):
        with pytest.raises(NotSent):
            line.request("POST", "/me/sendMail", within_seconds=3, headers={}, body=b"x")
        over.set()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2.5", 2.5),
        ("-3", 0.0),
        ("1e300", WEEK),
        ("1e999", None),
        ("9" * 400, None),
        ("nan", None),
        ("Mon, 01 Jan 9999 00:00:00 GMT", WEEK),
        ("Mon, 01 Jan 1999 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("soon", None),
    ],
)
def test_a_retry_after_is_from_nothing_to_a_week_or_none(value: str, seconds: float | None) -> None:
    assert retry_after(value, lambda: NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17.0), ("99999999", WEEK), ("9" * 400, None), ("²", None), ("-1", None), (None, None)],
)
def test_a_wait_in_whole_seconds_is_bounded_too(value: str | None, seconds: float | None) -> None:
    assert whole_seconds(value) == seconds


def test_a_bounded_wait_can_be_added_to_any_time() -> None:
    assert NOW + timedelta(seconds=bounded(1e15) or 0.0) == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    "body", [b'{"error":' + b"[" * 200_000, b'{"a":' * 100_000], ids=["[", "{"]
)
def test_an_answer_that_is_nested_too_deeply_has_no_code(body: bytes) -> None:
    assert error_code(body) is None


def test_a_part_that_exchange_did_not_have_after_all_leaves_the_upload_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Glitch:
        """Loses the first chunk, calls it a conflict the second time, and misses it at the next."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def request(
            self, method: str, path: str, *, headers: Mapping[str, str], **_: object
        ) -> Answer:
            asked.append(method)
            if method != "PUT":
                return Answer(405, {}, b"{}")
            if asked.count("PUT") == 1:
                raise AnswerLost("graph", "reset")
            if asked.count("PUT") == 2:
                return Answer(409, {}, json.dumps({"error": {"code": "Conflict"}}).encode())
            assert not headers["Content-Range"].startswith("bytes 0-")
            return Answer(416, {}, b"{}")

    monkeypatch.setattr(upload_session, "HttpClient", Glitch)
    uploads = UploadSessions(
        ca_file=None, chunk_seconds=100, clock=lambda: NOW, sleep=lambda seconds: None
    )
    files = MemoryFiles(Faults(), MemoryPayloads(Faults()))
    file = Attached(Attachment("b.bin", b"x" * 9_000_000), files)

    with pytest.raises(AnswerLost):
        uploads.carry("https://outlook.office365.com/api/x?authtoken=1", file, lambda: None)

    assert asked[-1] == "DELETE"
