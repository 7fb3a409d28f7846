"""What Postroom writes, as the simulated mail service reads it: JSON and MIME."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email import policy

import pytest
from msgspec.structs import replace

from local.simulator.graph.compose import source_of
from shared.adapters.graph.mail_service import Graph
from shared.mail.address import Address
from shared.mail.graph_payload import send_request
from shared.mail.message import Attachment, Message, problems_of
from tests.calendars import ICS
from tests.contract.conftest import Stand
from tests.contract.test_graph_adapter import BILLING, KEY, NOW, deliveries, issue

HELLO = Message(
    sender=None, to=(Address("ada@contoso.com", "Ada"),), subject="Hello", text="Good day."
)
LITERAL = [
    "=?utf-8?q?a=0D=0AX-Injected=3A_yes=0D=0A?=",
    "=?utf-8?q?=2E=2E=2Fevil=2Eexe?=",
    " a  b.txt",
    'a"; filename="evil.exe',
    f"{'é' * 250}.txt",
]


@pytest.fixture
def graph(stand: Stand) -> Iterator[Graph]:
    adapter = Graph(
        stand.stack["graph_url"], ca_file=stand.ca_file, send_seconds=5.0, clock=lambda: NOW
    )
    yield adapter
    adapter.close()


def send(stand: Stand, graph: Graph, message: Message) -> None:
    assert problems_of(message) == []
    request = send_request(message, BILLING, KEY, NOW)
    token = issue(stand, "Mail.Send")
    answer = graph.send_mail(token, "/me", request.content_type, request.body)
    assert answer.status == 202


@pytest.mark.parametrize("html", [None, "<p>Good day.</p>"])
@pytest.mark.parametrize("text", LITERAL)
def test_names_and_texts_arrive_literally(
    stand: Stand, graph: Graph, text: str, html: str | None
) -> None:
    stand.control("options", {"mime_drops_unknown_headers": False})
    filename = text.replace("/", "")
    message = replace(
        HELLO,
        subject=text,
        html=html,
        to=(Address("ada@example.org", text),),
        attachments=(Attachment(filename, b"x", "text/plain"),),
        headers=(("X-Ref", text),),
    )

    send(stand, graph, message)

    (sent,) = deliveries(stand)
    assert sent["subject"] == text.strip() or sent["subject"] == text
    assert [one["name"] for one in sent["attachments"]] == [filename]
    values = {one["name"]: one["value"] for one in sent["headers"]}
    assert values["X-Ref"].strip() == text.strip()
    assert "X-Injected" not in values
    source = source_of(stand.simulator.state.graph.letters()[-1].message)
    for part in email.message_from_bytes(source, policy=policy.compat32).walk():
        assert "X-Injected" not in part


def test_a_thread_and_a_list_arrive_byte_for_byte(stand: Stand, graph: Graph) -> None:
    headers = {
        "List-Id": "<news.contoso.com>",
        "List-Unsubscribe": f"<https://contoso.com/u?a=?b&t={'x' * 900}>",
    }
    message = replace(
        HELLO,
        in_reply_to="<abc=?def@contoso.com>",
        references=("<first@contoso.com>",),
        headers=tuple(headers.items()),
    )

    send(stand, graph, message)

    (sent,) = deliveries(stand)
    values = {one["name"]: one["value"] for one in sent["headers"]}
    assert {name: values[name] for name in headers} == headers
    assert values["In-Reply-To"] == "<abc=?def@contoso.com>"
    assert values["References"] == "<first@contoso.com> <abc=?def@contoso.com>"


def test_an_invitation_arrives_as_a_calendar_with_its_method(stand: Stand, graph: Graph) -> None:
    item = Attachment("invite.ics", ICS.encode(), "text/calendar; method=REQUEST")

    send(stand, graph, replace(HELLO, html="<p>Good day.</p>", attachments=(item,)))

    source = source_of(stand.simulator.state.graph.letters()[-1].message)
    *_, calendar = email.message_from_bytes(source, policy=policy.compat32).walk()
    assert (calendar.get_content_type(), calendar.get_param("method")) == (
        "text/calendar",
        "REQUEST",
    )
    assert calendar.get_payload(decode=True) == ICS.encode()


def test_a_header_that_the_service_drops_leaves_the_mail_as_it_is(
    stand: Stand, graph: Graph
) -> None:
    stand.control(
        "options",
        {"dropped_headers": ["List-Id", "Precedence"], "mime_drops_unknown_headers": False},
    )
    headers = (("List-Id", "<news.contoso.com>"), ("Precedence", "bulk"), ("X-Ref", "7"))

    send(stand, graph, replace(HELLO, headers=headers))

    (sent,) = deliveries(stand)
    names = {one["name"] for one in sent["headers"]}
    assert names.isdisjoint({"List-Id", "Precedence"})
    assert {"X-Ref", "Subject"} <= names
