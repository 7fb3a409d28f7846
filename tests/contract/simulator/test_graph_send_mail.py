"""sendMail as graph-mail.md section 1 describes it, asked with plain `requests`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import (
    GraphClient,
    error_of,
    file,
    keyed,
    mail,
    people,
)

MIME = (
    b"From: Billing <billing@contoso.com>\r\nTo: Grace <grace@example.org>\r\n"
    b"Bcc: audit@example.org\r\nSubject: Both parts\r\nX-Postroom-Key: k-7\r\n"
    b"Auto-Submitted: auto-generated\r\nReferences: <a@b>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nplain words\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>rich words</p>\r\n--b--\r\n"
)


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def test_a_json_mail_is_accepted_with_202_and_an_empty_body(graph: GraphClient) -> None:
    response = graph.post(
        "/me/sendMail",
        json={"message": mail(), "saveToSentItems": True},
        headers={"client-request-id": "b0a5d4f2-0000-4000-8000-000000000001"},
    )

    assert (response.status_code, response.content) == (202, b"")
    assert response.headers["Content-Length"] == "0"
    assert response.headers["client-request-id"] == "b0a5d4f2-0000-4000-8000-000000000001"
    assert response.headers["request-id"]
    assert response.headers["Cache-Control"] == "private"


def test_every_documented_field_reaches_transport(graph: GraphClient) -> None:
    message = mail(
        ccRecipients=people("cc@example.org"),
        bccRecipients=people("bcc@example.org"),
        replyTo=people("answers@example.org"),
        importance="High",
        categories=["c"],
        flag={"flagStatus": "notFlagged"},
        isReadReceiptRequested=False,
        isDeliveryReceiptRequested=False,
        internetMessageHeaders=[{"name": "x-our-id", "value": "v"}],
        singleValueExtendedProperties=keyed("k-1"),
        attachments=[file(contentId="c1", isInline=False)],
    )

    assert graph.send(message).status_code == 202
    (delivery,) = graph.state.deliveries()
    assert delivery["mailbox"] == delivery["from"] == delivery["sender"] == "billing@contoso.com"
    assert delivery["to"] == ["grace@example.org"]
    assert delivery["cc"] == ["cc@example.org"]
    assert delivery["bcc"] == ["bcc@example.org"]
    assert delivery["reply_to"] == ["answers@example.org"]
    assert delivery["importance"] == "high"
    assert delivery["key"] == "k-1"
    assert delivery["headers"] == [{"name": "x-our-id", "value": "v"}]
    assert (delivery["has_html"], delivery["has_text"]) == (True, False)
    assert delivery["attachments"] == [
        {
            "kind": "fileAttachment",
            "name": "a.txt",
            "content_type": "text/plain",
            "size": 2,
            "sha256": "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4",
            "is_inline": False,
            "content_id": "c1",
        }
    ]


def test_action_parameters_may_be_pascal_case_and_the_bool_a_string(graph: GraphClient) -> None:
    body = {"Message": mail(), "SaveToSentItems": "false"}

    assert graph.post("/me/sendmail", json=body).status_code == 202
    assert graph.state.deliveries()[0]["saved_to_sent_items"] is False


def test_a_user_path_by_address_or_id_is_the_same_mailbox(graph: GraphClient) -> None:
    user = graph.simulator.state.directory.find("billing@contoso.com")
    assert user

    for path in (user.address, user.object_id):
        assert graph.send(mail(), f"/users/{path}/sendMail").status_code == 202
    assert graph.send(mail(), f"/users('{user.address}')/sendMail").status_code == 202
    assert {one["mailbox"] for one in graph.state.deliveries()} == {"billing@contoso.com"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "BadRequest", id="empty payload"),
        pytest.param(b"{", "UnableToDeserializePostBody", id="no JSON"),
        pytest.param(json.dumps(mail()).encode(), "UnableToDeserializePostBody", id="no wrapper"),
        pytest.param(b'{"message": []}', "UnableToDeserializePostBody", id="message is a list"),
        pytest.param(
            json.dumps({"message": mail(), "save": True}).encode(),
            "UnableToDeserializePostBody",
            id="unknown parameter",
        ),
        pytest.param(
            json.dumps({"message": mail(), "saveToSentItems": "yes"}).encode(),
            "UnableToDeserializePostBody",
            id="not a bool",
        ),
    ],
)
def test_a_body_that_is_not_the_action_is_refused(
    graph: GraphClient, body: bytes, code: str
) -> None:
    headers = {"Content-Type": "application/json"}

    response = graph.post("/me/sendMail", data=body, headers=headers)

    assert error_of(response) == (400, code)


def test_an_empty_payload_has_graphs_words(graph: GraphClient) -> None:
    response = graph.post("/me/sendMail", headers={"Content-Type": "application/json"})

    assert response.json()["error"]["message"] == "Empty Payload. JSON content expected."


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"colour": "red"}, "UnableToDeserializePostBody", id="unknown field"),
        pytest.param({"id": "x"}, "UnableToDeserializePostBody", id="read-only field"),
        pytest.param({"subject": 7}, "UnableToDeserializePostBody", id="wrong type"),
        pytest.param({"importance": "urgent"}, "UnableToDeserializePostBody", id="not an enum"),
        pytest.param({"toRecipients": {}}, "UnableToDeserializePostBody", id="no list"),
        pytest.param({"toRecipients": []}, "ErrorInvalidRecipients", id="nobody"),
        pytest.param({"toRecipients": people("ada")}, "ErrorInvalidRecipients", id="no address"),
        pytest.param(
            {"bccRecipients": people(*[f"p{n}@example.org" for n in range(500)])},
            "ErrorExceededMaxRecipientLimit",
            id="501 recipients",
        ),
        pytest.param(
            {"internetMessageHeaders": [{"name": "List-Unsubscribe", "value": "x"}]},
            "InvalidInternetMessageHeader",
            id="header without x-",
        ),
        pytest.param(
            {"internetMessageHeaders": [{"name": f"x-{n}", "value": "v"} for n in range(6)]},
            "InvalidInternetMessageHeaderCollection",
            id="six headers",
        ),
        pytest.param(
            {"attachments": [file(contentBytes=None)]},
            "ErrorRequiredPropertyMissing",
            id="no contentBytes",
        ),
        pytest.param(
            {"attachments": [file(contentBytes="a")]},
            "UnableToDeserializePostBody",
            id="bad base64",
        ),
        pytest.param(
            {"attachments": [{"name": "a"}]}, "UnableToDeserializePostBody", id="no odata type"
        ),
        pytest.param(
            {"singleValueExtendedProperties": [{"id": "Name Key", "value": "v"}]},
            "ErrorInvalidExtendedProperty",
            id="malformed property id",
        ),
    ],
)
def test_a_message_that_graph_does_not_take_is_refused_and_not_sent(
    graph: GraphClient, change: dict[str, Any], code: str
) -> None:
    assert error_of(graph.send({**mail(), **change})) == (400, code)
    assert graph.state.deliveries() == []


def test_refusals_have_graphs_words(graph: GraphClient) -> None:
    def text(change: dict[str, Any]) -> str:
        message: str = graph.send({**mail(), **change}).json()["error"]["message"]
        return message

    assert text({"toRecipients": []}).endswith("because it contains no recipients.")
    assert "Recipient 'ada' is not resolved." in text({"toRecipients": people("ada")})
    assert text({"subject": 7}) == "were unable to deserialize "
    assert (
        text({"internetMessageHeaders": [{"name": "Foo", "value": "x"}]})
        == "The internet message header name 'Foo' should start with 'x-' or 'X-'."
    )


def test_five_hundred_recipients_are_accepted(graph: GraphClient) -> None:
    everybody = people(*[f"p{n}@example.org" for n in range(500)])

    assert graph.send({**mail(), "toRecipients": everybody}).status_code == 202


def test_a_missing_content_type_is_refused(graph: GraphClient) -> None:
    body = json.dumps({"message": mail()}).encode()

    assert error_of(graph.post("/me/sendMail", data=body)) == (400, "RequestBodyRead")


def test_a_request_over_4_mb_is_refused_by_the_gateway(graph: GraphClient) -> None:
    response = graph.send(mail(attachments=[file(content=b"x" * 3_200_000)]))

    assert response.status_code == 413
    assert response.headers["Content-Type"].startswith("text/html")


def test_a_request_over_4_mb_can_be_refused_in_json(graph: GraphClient) -> None:
    graph.option(large_body_as_json=True)

    response = graph.send(mail(attachments=[file(content=b"x" * 3_200_000)]))

    assert error_of(response) == (413, "BadRequest")
    assert response.json()["error"]["message"] == "The maximum request length supported is 4MB."


def test_three_million_bytes_of_attachment_fit(graph: GraphClient) -> None:
    assert graph.send(mail(attachments=[file(content=b"x" * 3_000_000)])).status_code == 202


def test_mime_is_sent_to_everybody_in_its_headers(graph: GraphClient) -> None:
    response = graph.send_mime(MIME)

    assert (response.status_code, response.content) == (202, b"")
    (delivery,) = graph.state.deliveries()
    assert delivery["to"] == ["grace@example.org"]
    assert delivery["bcc"] == ["audit@example.org"]
    assert delivery["key"] == "k-7"
    assert (delivery["has_html"], delivery["has_text"]) == (True, True)


def test_mime_loses_auto_submitted_and_keeps_threading_headers(graph: GraphClient) -> None:
    graph.send_mime(MIME)

    names = {one["name"] for one in graph.state.deliveries()[0]["headers"]}

    assert "Auto-Submitted" not in names
    assert "References" in names


def test_mime_that_is_not_base64_is_refused(graph: GraphClient) -> None:
    headers = {"Content-Type": "text/plain"}

    response = graph.post("/me/sendMail", data=b"From: me", headers=headers)

    assert error_of(response) == (400, "ErrorMimeContentInvalidBase64String")


def test_oversize_mime_answers_200_and_sends_nothing(graph: GraphClient) -> None:
    response = graph.send_mime(MIME + b"x" * 2_300_000)

    assert (response.status_code, response.content) == (200, b"")
    assert graph.state.deliveries() == []


def test_mime_over_4_mb_is_refused(graph: GraphClient) -> None:
    assert graph.send_mime(MIME + b"x" * 3_200_000).status_code == 413


def test_unknown_mime_headers_vanish_until_json_has_taught_them(graph: GraphClient) -> None:
    taught = [{"name": "X-Postroom-Key", "value": "k"}]

    graph.send_mime(MIME)
    graph.send(mail(internetMessageHeaders=taught))
    graph.send_mime(MIME)

    kept = [
        [one["value"] for one in mail["headers"] if one["name"] == "X-Postroom-Key"]
        for mail in graph.state.deliveries()
    ]
    assert kept == [[], ["k"], ["k-7"]]


def test_deliveries_tell_a_key_whose_header_vanished(graph: GraphClient) -> None:
    graph.send_mime(MIME)

    (sent,) = graph.state.deliveries()
    assert sent["key"] == "k-7"


@pytest.mark.parametrize("as_mime", [True, False])
def test_headers_that_are_named_never_arrive(graph: GraphClient, as_mime: bool) -> None:
    graph.option(dropped_headers=["REFERENCES", "x-ref"], mime_drops_unknown_headers=False)

    if as_mime:
        graph.send_mime(b"X-Ref: 7\r\nX-Other: 8\r\n" + MIME)
    else:
        headers = [{"name": "X-Ref", "value": "7"}, {"name": "X-Other", "value": "8"}]
        graph.send(mail(internetMessageHeaders=headers))

    (delivery,) = graph.state.deliveries()
    names = {one["name"] for one in delivery["headers"]}
    assert "X-Other" in names
    assert names.isdisjoint({"X-Ref", "References"})
    assert delivery["attachments"] == []


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("filename=a.txt", "a.txt"),
        ('filename="=?utf-8?q?=C3=A9.txt?="', "é.txt"),
        ("filename*=utf-8''%C3%A9.txt", "é.txt"),
        ("filename*=utf-8''%3D%3Futf-8%3Fq%3F%3DC3%3DA9%3F%3D", "=?utf-8?q?=C3=A9?="),
        ("filename*=utf-8''%20a%20%20b.txt", " a  b.txt"),
        ("filename*0*=utf-8''%C3%A9;\r\n filename*1*=.txt", "é.txt"),
    ],
)
def test_the_name_of_a_file_in_mime_is_decoded_once(
    graph: GraphClient, disposition: str, name: str
) -> None:
    part = (
        f"--b\r\nContent-Type: x/y\r\nContent-Disposition: attachment; {disposition}\r\n\r\nx\r\n"
    )
    graph.send_mime(MIME.replace(b"--b--", part.encode() + b"--b--"))

    (delivery,) = graph.state.deliveries()
    assert [one["name"] for one in delivery["attachments"]] == [name]


def test_new_property_names_run_out(graph: GraphClient) -> None:
    graph.option(named_property_quota=1)

    assert graph.send(mail(singleValueExtendedProperties=keyed("a"))).status_code == 202
    assert graph.send(mail(singleValueExtendedProperties=keyed("b"))).status_code == 202
    new = [{"name": "x-new", "value": "v"}]
    response = graph.send(mail(internetMessageHeaders=new))
    assert error_of(response) == (403, "ErrorQuotaExceeded")
    assert response.json()["error"]["message"] == "Cannot get ID from name."


def test_an_unknown_path_is_a_bad_request(graph: GraphClient) -> None:
    assert error_of(graph.post("/me/sendMails", json={})) == (400, "BadRequest")


def test_errors_carry_dates_and_both_ids(graph: GraphClient) -> None:
    response = graph.send(mail(to="x"))

    inner = response.json()["error"]["innerError"]
    assert inner.keys() == {"date", "request-id", "client-request-id"}
    assert inner["request-id"] == response.headers["request-id"]


def test_base64_with_line_breaks_is_fine_in_mime(graph: GraphClient) -> None:
    headers = {"Content-Type": "text/plain"}

    response = graph.post("/me/sendMail", data=base64.encodebytes(MIME), headers=headers)

    assert response.status_code == 202
