"""What reaches an HTTP function and what becomes of its answer.

The judge is section 11.2 of azure-functions.md, "Seen in the real host"; 1.7 and 3 for the rest.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.contract.host.driver import Host


@pytest.fixture
def wire(web_host: Host) -> Iterator[socket.socket]:
    """A bare connection, for requests that no client library would send."""
    parts = urlsplit(web_host.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10) as connection:
        yield connection


def asked(connection: socket.socket, *lines: bytes) -> http.client.HTTPResponse:
    """The answer to a GET with these lines after the request line."""
    connection.sendall(b"\r\n".join([*lines, b"", b""]))
    return answer(connection, method="GET")


def answer(connection: socket.socket, *, method: str = "POST") -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return response


def test_header_names_are_lower_case_and_repeated_headers_are_joined(wire: socket.socket) -> None:
    wire.sendall(b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Tag: one\r\nx-tag: two\r\n\r\n")

    with answer(wire) as response:
        assert b'"x-tag": "one,two"' in response.read()


def test_repeated_query_keys_are_joined_and_empty_ones_dropped(web_host: Host) -> None:
    seen = web_host.get("/echo?a=1&A=2&empty=&b=x%20y").json()

    assert seen["params"] == {"a": "1,2", "b": "x y"}


def test_the_url_keeps_its_query_and_the_method_is_upper_case(web_host: Host) -> None:
    seen = web_host.session.request("post", f"{web_host.url}/echo?q=1", data=b"x").json()

    assert seen["url"] == f"{web_host.url}/echo?q=1"
    assert seen["method"] == "POST"


def test_a_body_with_a_length_arrives(web_host: Host) -> None:
    assert web_host.post("/echo", data=b"abc").json()["body"] == "abc"


def test_a_chunked_body_is_lost_and_the_connection_stays_usable(wire: socket.socket) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.sendall(head + b"3\r\nabc\r\n0\r\n\r\n")

    with answer(wire) as response:
        assert b'"body": ""' in response.read()
    wire.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with answer(wire) as response:
        assert response.status == 200


def test_context_names_the_function_and_the_invocation(web_host: Host) -> None:
    seen = web_host.get("/echo").json()

    assert seen["function_name"] == "echo"
    assert len(seen["invocation_id"]) == 36


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        pytest.param("/echo", {}, id="optional-absent"),
        pytest.param("/ECHO/7", {"id": "7"}, id="literals-ignore-case"),
        pytest.param("/echo/a%20b%2Fc", {"id": "a b%2Fc"}, id="decoded-but-for-slashes"),
    ],
)
def test_route_parameters_reach_the_function(
    web_host: Host, path: str, parameters: dict[str, str]
) -> None:
    assert web_host.get(path).json()["route_params"] == parameters


def test_a_route_takes_the_rest_of_the_path_only_where_its_constraint_holds(
    web_host: Host,
) -> None:
    guid = "6f9619ff-8b86-d011-b42d-00c04fc964ff"

    assert web_host.get(f"/items/{guid}/parts/a/b").json() == {"id": guid, "rest": "a/b"}
    assert web_host.get("/items/7/parts/a/b").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/unknown", id="unknown-route"),
        pytest.param("PUT", "/guarded", id="method-not-listed"),
    ],
)
def test_what_no_route_takes_is_404(web_host: Host, method: str, path: str) -> None:
    headers = {"x-functions-key": web_host.function_key}

    response = web_host.session.request(method, web_host.url + path, headers=headers, timeout=10)

    assert response.status_code == 404


def test_a_function_can_take_the_root(web_host: Host) -> None:
    response = web_host.get("/")

    assert response.text == "home"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_only_the_last_of_repeated_response_headers_goes_out(web_host: Host) -> None:
    response = web_host.get("/cookies")

    assert response.raw.headers.getlist("Vary") == ["Origin"]


def test_cookies_are_rebuilt_from_what_simple_cookie_knows(web_host: Host) -> None:
    cookies = web_host.get("/cookies").raw.headers.getlist("Set-Cookie")

    # The value is escaped, empty Domain and Path are written out, `Partitioned` loses its cookie.
    assert cookies == [
        "plain=a%2Bb%2Fc%3D; domain=; path=",
        "__Secure-flow=v1; max-age=600; domain=; path=/api; secure; samesite=none; httponly",
    ]


def test_an_answer_is_chunked_without_a_length_and_names_kestrel(wire: socket.socket) -> None:
    wire.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        received += wire.recv(4096)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\nServer: Kestrel" in head
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert body == b"4\r\nhome\r\n0\r\n\r\n"


def test_an_answer_without_a_body_has_the_length_0(web_host: Host) -> None:
    response = web_host.get("/unknown")

    assert response.headers["Content-Length"] == "0"
    assert "Transfer-Encoding" not in response.headers


def test_a_client_of_http_1_0_gets_the_body_as_it_is_and_the_end_of_the_connection(
    wire: socket.socket,
) -> None:
    wire.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    received = b""
    while more := wire.recv(4096):
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"home"


@pytest.mark.parametrize("path", ["/fails?token=in-the-query", "/fails-later"])
def test_an_exception_is_an_empty_500_and_its_message_and_stack_are_logged(
    web_host: Host, path: str
) -> None:
    response = web_host.get(path)

    assert (response.status_code, response.content) == (500, b"")
    log = web_host.log.read_text()
    failed = log[
        log.index(f"Executed 'Functions.{path[1:].partition('?')[0].replace('-', '_')}' (F") :
    ]
    lines = failed.splitlines()[1:5]
    assert lines[:3] == ["Result: Failure", "Exception: ValueError: what went wrong", "Stack:"]
    assert "function_app.py" in lines[3]
    # URLs in the log carry no query.
    assert "in-the-query" not in log


def test_a_function_that_returns_none_is_a_500(web_host: Host) -> None:
    response = web_host.get("/nothing")

    assert (response.status_code, response.content) == (500, b"")
    assert web_host.said("Executed 'Functions.nothing' (Failed")


def test_async_functions_run_on_the_event_loop(web_host: Host) -> None:
    assert web_host.get("/async").text == "event-loop"


def test_a_head_request_has_no_body(web_host: Host) -> None:
    response = web_host.session.head(web_host.url + "/echo", timeout=10)

    assert response.status_code == 200
    assert not {"Content-Length", "Transfer-Encoding"} & response.headers.keys()
    assert response.content == b""


@pytest.mark.parametrize(
    "expect", [b"", b"Expect: 100-continue\r\n"], ids=["sent-at-once", "asked-first"]
)
def test_a_body_over_the_limit_is_an_empty_500(wire: socket.socket, expect: bytes) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 104857601\r\n"
    wire.sendall(head + expect + b"\r\n")

    with answer(wire) as response:
        assert (response.status, response.read()) == (500, b"")


def test_a_body_of_exactly_the_limit_is_taken(web_host: Host) -> None:
    response = web_host.post("/size", data=bytes(104_857_600))

    assert response.text == "104857600"


def test_a_body_over_the_limit_is_a_401_where_no_function_may_read_it(wire: socket.socket) -> None:
    wire.sendall(b"POST /guarded HTTP/1.1\r\nHost: a\r\nContent-Length: 104857601\r\n\r\n")

    with answer(wire) as response:
        assert response.status == 401


def test_an_upload_that_is_slower_than_240_bytes_a_second_is_a_500_after_some_seconds(
    wire: socket.socket,
) -> None:
    wire.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\nabc")
    began = time.monotonic()

    with answer(wire) as response:
        assert (response.status, response.read()) == (500, b"")
    assert 4.5 < time.monotonic() - began < 8


def test_a_query_is_taken_up_to_a_request_line_of_8192_bytes(wire: socket.socket) -> None:
    around = len(b"GET /echo?q= HTTP/1.1\r\n")
    longest = b"a" * (8192 - around)

    with asked(wire, b"GET /echo?q=" + longest + b" HTTP/1.1", b"Host: a") as response:
        assert json.loads(response.read())["params"] == {"q": longest.decode()}
    with asked(wire, b"GET /echo?q=a" + longest + b" HTTP/1.1", b"Host: a") as response:
        assert response.status == 414


def test_utf_8_in_a_header_is_read_as_utf_8(wire: socket.socket) -> None:
    with asked(wire, b"GET /echo HTTP/1.1", b"Host: a", "X-Name: Zoë 😀".encode()) as response:
        assert json.loads(response.read())["headers"]["x-name"] == "Zoë 😀"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"X-Name: Zo\xeb"], id="latin-1"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"X-Name: a", b" b"], id="folded"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"X-Name : a"], id="space-before-colon"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"X-Name"], id="no-colon"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b": a"], id="no-name"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"X-Name: a\0b"], id="nul-in-a-header"),
        pytest.param([b"GET /echo/%00 HTTP/1.1", b"Host: a"], id="nul-in-the-path"),
        pytest.param([b"GET /echo/\xc3\xab HTTP/1.1", b"Host: a"], id="path-not-encoded"),
        pytest.param([b"GET /echo HTTP/1.1"], id="no-host"),
        pytest.param([b"GET /echo HTTP/1.1", b"Host: a", b"Host: b"], id="two-hosts"),
        pytest.param([b"GET echo HTTP/1.1", b"Host: a"], id="no-slash"),
        pytest.param([b"GET /echo HTTP/2", b"Host: a"], id="other-version"),
        pytest.param(
            [b"POST /echo HTTP/1.1", b"Host: a", b"Content-Length: +1"], id="length-with-a-sign"
        ),
        pytest.param(
            [b"POST /echo HTTP/1.1", b"Host: a", b"Transfer-Encoding: gzip"], id="other-coding"
        ),
    ],
)
def test_a_malformed_head_is_a_400_and_the_end_of_the_connection(
    wire: socket.socket, lines: list[bytes]
) -> None:
    with asked(wire, *lines) as response:
        assert (response.status, response.headers["Connection"]) == (400, "close")
    assert wire.recv(1) == b""


def test_headers_over_32_kib_or_more_than_100_are_a_431(web_host: Host) -> None:
    parts = urlsplit(web_host.url)
    for headers in ([b"X: " + b"a" * 33_000], [b"X-%d: a" % n for n in range(100)]):
        with (
            socket.create_connection((str(parts.hostname), parts.port or 0), 10) as connection,
            asked(connection, b"GET / HTTP/1.1", b"Host: a", *headers) as response,
        ):
            assert response.status == 431


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        pytest.param("/echo/a%20b?x=%41", "/echo/a%20b?x=%41", id="as-sent"),
        pytest.param("/echo/%ff?q=%ff", "/echo/%ff?q=%ff", id="not-utf-8"),
        pytest.param("/ECHO/%c3%ab", "/ECHO/%c3%ab", id="case-kept"),
        pytest.param("/x/../echo/./a", "/echo/a", id="dot-segments"),
        pytest.param("/x/%2e%2E/echo/a", "/echo/a", id="encoded-dot-segments"),
    ],
)
def test_the_url_is_percent_encoded_as_it_was_sent_without_dot_segments(
    wire: socket.socket, target: str, seen: str
) -> None:
    with asked(wire, f"GET {target} HTTP/1.1".encode(), b"Host: a") as response:
        assert json.loads(response.read())["url"] == f"http://a{seen}"


def test_what_is_not_utf_8_stays_encoded_in_parameters_too(wire: socket.socket) -> None:
    with asked(wire, b"GET /echo/%fFa%20b?q=%ff%c3%ab HTTP/1.1", b"Host: a") as response:
        seen = json.loads(response.read())
    assert seen["route_params"] == {"id": "%fFa b"}
    assert seen["params"] == {"q": "%ffë"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/echo/", 200), ("/echo//", 404), ("//echo", 404), ("/items//parts", 404)],
)
def test_one_slash_at_the_end_of_a_path_does_not_count_and_two_are_a_404(
    wire: socket.socket, path: str, status: int
) -> None:
    with asked(wire, f"GET {path} HTTP/1.1".encode(), b"Host: a") as response:
        assert response.status == status


def test_a_traceparent_of_the_caller_reaches_the_function(web_host: Host) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert web_host.get("/echo", headers={"traceparent": parent}).json()["trace"] == parent


def test_forwarding_headers_change_the_url_that_the_function_sees(web_host: Host) -> None:
    forged = {"DISGUISED-HOST": "evil.example", "X-Forwarded-Proto": "https"}

    seen = web_host.get("/echo", headers=forged).json()

    assert seen["url"] == "https://evil.example/echo"
