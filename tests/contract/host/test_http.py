"""What reaches an HTTP function and what becomes of its answer (azure-functions.md 1.7 and 3)."""

from __future__ import annotations

import http.client
import socket
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
    wire.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    with answer(wire) as response:
        assert response.status == 204


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


def test_no_answer_names_the_server(web_host: Host) -> None:
    assert "Server" not in web_host.get("/echo").headers


def test_an_exception_is_an_empty_500_and_its_message_is_not_logged(web_host: Host) -> None:
    response = web_host.get("/fails?token=in-the-query")

    assert (response.status_code, response.content) == (500, b"")
    log = web_host.log.read_text()
    assert "ValueError < function_app.py" in log
    assert "a-secret-in-the-message" not in log
    assert "in-the-query" not in log


def test_no_return_value_is_204(web_host: Host) -> None:
    assert web_host.get("/nothing").status_code == 204


def test_async_functions_run_on_the_event_loop(web_host: Host) -> None:
    assert web_host.get("/async").text == "event-loop"


def test_a_head_request_has_no_body(web_host: Host) -> None:
    response = web_host.session.head(web_host.url + "/echo", timeout=10)

    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) > 0
    assert response.content == b""


def test_a_body_over_the_limit_is_413_before_it_is_read(wire: socket.socket) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 104857601\r\n"
    wire.sendall(head + b"Expect: 100-continue\r\n\r\n")

    with answer(wire) as response:
        assert response.status == 413


def test_a_request_line_over_the_limit_is_414(wire: socket.socket) -> None:
    wire.sendall(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")

    with answer(wire) as response:
        assert response.status == 414


def test_forwarding_headers_change_the_url_that_the_function_sees(web_host: Host) -> None:
    forged = {"DISGUISED-HOST": "evil.example", "X-Forwarded-Proto": "https"}

    seen = web_host.get("/echo", headers=forged).json()

    assert seen["url"] == "https://evil.example/echo"
