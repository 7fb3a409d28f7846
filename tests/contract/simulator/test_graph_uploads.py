"""Upload sessions as graph-mail.md 2.3 describes them."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import GraphClient, error_of

CHUNK = 2 * 1024 * 1024
CONTENT = bytes(range(256)) * 4 * 4 * 1024
"""4 MiB: two chunks."""


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def open_session(graph: GraphClient, draft: str, **changes: Any) -> requests.Response:
    item = {"attachmentType": "file", "name": "big.bin", "size": len(CONTENT), **changes}
    path = f"/me/messages/{draft}/attachments/createUploadSession"
    return graph.post(path, json={"AttachmentItem": item})


def put(
    graph: GraphClient, url: str, start: int, chunk: bytes, **headers: str
) -> requests.Response:
    content_range = f"bytes {start}-{start + len(chunk) - 1}/{len(CONTENT)}"
    return graph.session.put(
        url,
        data=chunk,
        headers={"Content-Type": "application/octet-stream", "Content-Range": content_range}
        | headers,
        timeout=30,
    )


@pytest.fixture
def upload(graph: GraphClient) -> tuple[str, str]:
    """A draft's id and the URL to upload to."""
    draft = graph.draft()["id"]
    return draft, open_session(graph, draft).json()["uploadUrl"]


def test_a_session_names_a_url_outside_graph(graph: GraphClient) -> None:
    response = open_session(graph, graph.draft()["id"])

    session = response.json()
    assert response.status_code == 201
    assert "/v1.0/" not in session["uploadUrl"]
    assert "authtoken=" in session["uploadUrl"]
    assert session["nextExpectedRanges"] == ["0-"]
    assert session["expirationDateTime"]


def test_chunks_in_order_make_the_attachment(graph: GraphClient, upload: tuple[str, str]) -> None:
    draft, url = upload

    middle = put(graph, url, 0, CONTENT[:CHUNK])
    last = put(graph, url, CHUNK, CONTENT[CHUNK:])
    graph.post(f"/me/messages/{draft}/send")

    assert (middle.status_code, middle.json()["nextExpectedRanges"]) == (200, [str(CHUNK)])
    assert (last.status_code, last.content) == (201, b"")
    assert "/Attachments('" in last.headers["Location"]
    (attachment,) = graph.state.deliveries()[0]["attachments"]
    assert attachment["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_a_bearer_token_on_the_upload_is_refused(
    graph: GraphClient, upload: tuple[str, str]
) -> None:
    response = put(graph, upload[1], 0, CONTENT[:CHUNK], Authorization=f"Bearer {graph.token}")

    assert error_of(response) == (401, "InvalidAudienceForResource")
    assert "oAuthEventOperationId" in response.json()["error"]["innerError"]


@pytest.mark.parametrize(
    ("start", "length", "headers", "expected"),
    [
        pytest.param(CHUNK, CHUNK, {}, (400, "ErrorInvalidContentRange"), id="out of order"),
        pytest.param(
            0, 10, {"Content-Range": "10"}, (400, "ErrorInvalidContentRange"), id="malformed"
        ),
        pytest.param(
            0,
            10,
            {"Content-Range": f"bytes 0-10/{len(CONTENT)}"},
            (400, "ErrorContentLengthMismatch"),
            id="length differs",
        ),
        pytest.param(
            0,
            10,
            {"Content-Range": "bytes 0-9/77"},
            (400, "ErrorInvalidContentRange"),
            id="another total",
        ),
    ],
)
def test_a_chunk_that_is_not_the_next_one_is_refused(
    graph: GraphClient,
    upload: tuple[str, str],
    start: int,
    length: int,
    headers: dict[str, str],
    expected: tuple[int, str],
) -> None:
    response = put(graph, upload[1], start, CONTENT[:length], **headers)

    assert error_of(response) == expected


def test_a_chunk_over_4_mb_is_refused(graph: GraphClient) -> None:
    size = 5 * 1024 * 1024
    url = open_session(graph, graph.draft()["id"], size=size).json()["uploadUrl"]
    headers = {"Content-Range": f"bytes 0-{size - 1}/{size}"}

    assert put(graph, url, 0, b"x" * size, **headers).status_code == 413


def test_a_cancelled_session_is_gone(graph: GraphClient, upload: tuple[str, str]) -> None:
    assert graph.session.delete(upload[1], timeout=30).status_code == 204
    assert error_of(put(graph, upload[1], 0, CONTENT[:CHUNK])) == (404, "ErrorItemNotFound")


def test_a_session_expires(graph: GraphClient, upload: tuple[str, str]) -> None:
    graph.simulator.state.clock.advance(3 * 3600)

    assert error_of(put(graph, upload[1], 0, CONTENT[:CHUNK])) == (404, "ErrorItemNotFound")


def test_another_authtoken_is_refused(graph: GraphClient, upload: tuple[str, str]) -> None:
    response = put(graph, upload[1] + "x", 0, CONTENT[:CHUNK])

    assert response.status_code == 401


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 1000}, (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")),
        ({"size": 40 * 1024 * 1024}, (400, "ErrorMessageSizeExceeded")),
        (
            {"attachmentType": "item"},
            (405, "ErrorAttachmentSessionIsSupportedOnlyForFileAttachments"),
        ),
        ({"name": None}, (400, "ErrorRequiredPropertyMissing")),
        ({"colour": "red"}, (400, "UnableToDeserializePostBody")),
    ],
)
def test_a_session_that_outlook_does_not_open(
    graph: GraphClient, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert error_of(open_session(graph, graph.draft()["id"], **changes)) == expected


def test_an_upload_url_says_what_is_expected_next(graph: GraphClient) -> None:
    session = graph.post(
        f"/me/messages/{graph.draft()['id']}/attachments/createUploadSession",
        json={"AttachmentItem": {"attachmentType": "file", "name": "a.bin", "size": 2 * CHUNK}},
    ).json()
    graph.session.put(
        session["uploadUrl"],
        data=b"a" * CHUNK,
        headers={"Content-Range": f"bytes 0-{CHUNK - 1}/{2 * CHUNK}"},
        timeout=30,
    )

    status = graph.session.get(session["uploadUrl"], timeout=30)

    assert status.status_code == 200
    assert status.json()["nextExpectedRanges"] == [str(CHUNK)]
    assert status.json()["expirationDateTime"]


def test_an_upload_url_is_on_another_host_than_graph(graph: GraphClient) -> None:
    session = graph.post(
        f"/me/messages/{graph.draft()['id']}/attachments/createUploadSession",
        json={"AttachmentItem": {"attachmentType": "file", "name": "a.bin", "size": 2 * CHUNK}},
    ).json()

    assert urlsplit(session["uploadUrl"]).hostname != urlsplit(graph.base).hostname
