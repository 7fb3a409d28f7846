"""The MIME source of mail: what JSON becomes, and how a client's own source is read."""

from __future__ import annotations

import base64
import email
from email import policy
from email.message import EmailMessage

import pytest
import requests

from local.simulator.graph.compose import source_of
from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import GraphClient, file, mail


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def received(graph: GraphClient) -> EmailMessage:
    """The newest mail as its recipient's program reads it."""
    parsed = email.message_from_bytes(
        source_of(graph.state.letters()[-1].message), policy=policy.default
    )
    assert isinstance(parsed, EmailMessage)
    return parsed


@pytest.mark.parametrize("text", ["a\r\nBcc: x@example.org", "a\nX-Evil: 1", "a\u2028b", "a\x00b"])
def test_no_field_of_a_json_mail_can_begin_another_header(graph: GraphClient, text: str) -> None:
    graph.send(
        mail(
            text,
            replyTo=[{"emailAddress": {"address": "r@example.org", "name": text}}],
            internetMessageHeaders=[{"name": "x-a", "value": text}],
            internetMessageId=f"<{text}>",
            attachments=[file(text)],
        )
    )

    names = received(graph).keys()
    assert not {"Bcc", "X-Evil"} & set(names)
    assert names.count("Subject") == 1


@pytest.mark.parametrize(
    "name", ["=?utf-8?q?a=0D=0AX-Evil=3A_1=0D=0A?=", "=?utf-8?q?=2E=2E=2Fa?=", " a  b.txt", 'a"b']
)
def test_the_name_of_a_file_in_json_is_text(graph: GraphClient, name: str) -> None:
    image = file(name, b"png", contentType="image/png", contentId="=?x?q?a?=", isInline=True)
    graph.send(mail(attachments=[image, file(name, b"hello")]))

    source = received(graph)
    names = [part.get_filename() for part in source.walk() if part.get_content_disposition()]
    assert names == [name.strip()] * 2
    assert all("X-Evil" not in part for part in source.walk())
    assert b"Content-ID: <=?x?q?a?=>" in source_of(graph.state.letters()[-1].message)


@pytest.mark.parametrize("name", ["Ada Lovelace", "Lovelace, Ada", 'A "B" C', "Ädä Löv, x"])
def test_names_of_people_survive(graph: GraphClient, name: str) -> None:
    to = [{"emailAddress": {"address": "a@example.org", "name": name}}]

    graph.send({**mail(), "toRecipients": to})

    (person,) = received(graph)["To"].addresses
    assert (person.display_name, person.addr_spec) == (name, "a@example.org")


def test_inline_files_are_related_and_others_attached(graph: GraphClient) -> None:
    image = file("l.png", b"png", contentType="image/png", contentId="logo", isInline=True)

    graph.send(mail(attachments=[image, file("März.txt", b"hello")]))

    source = received(graph)
    assert source.get_content_type() == "multipart/mixed"
    assert [part.get_filename() for part in source.iter_attachments()] == ["März.txt"]
    related = [part for part in source.walk() if part["Content-ID"]]
    assert [str(part["Content-ID"]) for part in related] == ["<logo>"]


def test_list_unsubscribe_can_be_set_by_its_property_tag(graph: GraphClient) -> None:
    tag = [{"id": "String 0x1045", "value": "<https://example.org/u>"}]

    graph.send(mail(singleValueExtendedProperties=tag))

    assert received(graph)["List-Unsubscribe"] == "<https://example.org/u>"


def test_a_clients_source_is_kept_byte_for_byte_behind_the_headers(graph: GraphClient) -> None:
    body = b"--b\r\nContent-Type: text/plain\r\n\r\n  signed \r\nwords\r\n--b--\r\n"

    graph.send_mime(
        b"To: grace@example.org\r\nContent-Type: multipart/signed;\r\n boundary=b\r\n\r\n" + body
    )

    source = source_of(graph.state.letters()[-1].message)
    assert source.endswith(b"\r\n\r\n" + body)
    assert {"From", "Date", "Message-ID"} <= set(received(graph).keys())


def test_files_and_texts_are_told_apart_in_a_clients_source(graph: GraphClient) -> None:
    client = EmailMessage()
    client["To"], client["Subject"] = "Grace <grace@example.org>", "Grüße"
    client.set_content("plain")
    client.add_alternative("<p>rich</p>", subtype="html")
    client.add_attachment(b"notes", "text", "plain", filename="März.txt")

    graph.send_mime(client.as_bytes(policy=policy.SMTP))

    (delivery,) = graph.state.deliveries()
    assert delivery["subject"] == "Grüße"
    assert (delivery["has_html"], delivery["has_text"]) == (True, True)
    assert [one["name"] for one in delivery["attachments"]] == ["März.txt"]


@pytest.mark.parametrize(
    "head",
    [
        b"Subject: =?nonsense?q?x?=",
        b"Subject: \xff\xfe",
        b"Content-Type: text/plain; charset=nonsense",
        b"Content-Type: multipart/mixed",
        b"Content-Transfer-Encoding: base64",
        b"no header at all",
    ],
)
def test_a_source_that_is_slightly_wrong_is_still_sent(graph: GraphClient, head: bytes) -> None:
    response = graph.send_mime(b"To: grace@example.org\r\n" + head + b"\r\n\r\n\xfcx")

    assert response.status_code == 202
    assert graph.session.get(graph.simulator.urls.inbox, timeout=30).status_code == 200


@pytest.mark.parametrize(
    "line",
    [
        b"Cc: ok@example.org, evil@example.net;",
        b"Bcc: evil@example.net;",
        b"Cc: list: a@example.org;, evil@example.net;",
        b"Bcc: evil@example.net@",
        b"Bcc: (evil@example.net",
        b"Cc: ada@example.org (x, evil@example.net",
        b"Cc: evil@example.net x",
        b"Bcc: " + b"(" * 2000 + b"evil@example.net",
    ],
)
def test_whoever_can_be_read_out_of_a_malformed_header_gets_the_mail(
    graph: GraphClient, line: bytes
) -> None:
    """A client that lets one through is seen to have sent to people whom it did not name."""
    graph.send_mime(b"To: grace@example.org\r\n" + line + b"\r\n\r\nx")

    reached = [one.address for one in graph.state.letters()[-1].recipients]
    assert "evil@example.net" in reached
    assert "grace@example.org" in reached


def test_a_message_attached_to_mime_is_listed_as_an_item(graph: GraphClient) -> None:
    source = (
        b"To: ada@contoso.com\r\nSubject: Forwarded\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"From: grace@example.org\r\nSubject: Inner\r\n\r\nhi\r\n--b--\r\n"
    )
    draft = graph.post(
        "/me/messages",
        data=base64.b64encode(source),
        headers={"Content-Type": "text/plain"},
    ).json()

    (attached,) = graph.get(f"/me/messages/{draft['id']}/attachments").json()["value"]

    assert attached["@odata.type"] == "#microsoft.graph.itemAttachment"
    assert attached["name"] == "Inner"
