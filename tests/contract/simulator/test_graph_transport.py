"""What happens behind a 202: graph-mail.md 1.2, 4.4, 5.3 and 6.1."""

from __future__ import annotations

import email
import threading
import time
from datetime import timedelta
from email import policy

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import (
    ADA,
    GraphClient,
    error_of,
    keyed,
    mail,
    people,
)

ITEM_CLASS = "singleValueExtendedProperties($filter=id eq 'String 0x001A')"


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def advance(graph: GraphClient, seconds: float) -> None:
    graph.simulator.state.clock.advance(seconds)


def test_the_sent_copy_comes_later_and_the_draft_is_hidden_meanwhile(graph: GraphClient) -> None:
    graph.option(sent_items_delay_seconds=60)

    graph.send(mail(singleValueExtendedProperties=keyed("k")))

    assert graph.messages() == []
    assert len(graph.state.deliveries()) == 1
    advance(graph, 61)
    assert [one["isDraft"] for one in graph.messages("sentitems")] == [False]


def test_a_submitted_draft_may_still_be_seen_but_not_sent_again(graph: GraphClient) -> None:
    graph.option(sent_items_delay_seconds=60, submitted_draft_visible=True)
    draft = graph.draft()

    graph.post(f"/me/messages/{draft['id']}/send")

    assert [one["isDraft"] for one in graph.messages()] == [True]
    again = graph.post(f"/me/messages/{draft['id']}/send")
    assert error_of(again) == (404, "ErrorItemNotFound")


def test_without_saving_nothing_is_left(graph: GraphClient) -> None:
    graph.send(mail(), saveToSentItems=False)

    assert graph.messages() == []
    assert graph.state.deliveries()[0]["saved_to_sent_items"] is False


def test_local_recipients_find_the_mail_in_their_inbox(graph: GraphClient) -> None:
    graph.send(
        mail(
            to=ADA,
            bccRecipients=people("admin@contoso.com"),
            singleValueExtendedProperties=keyed("k"),
        )
    )

    ada = graph.acting(ADA).messages("inbox", expand=ITEM_CLASS.replace("0x001A", "0x001a"))
    admin = graph.acting("admin@contoso.com").messages("inbox")

    assert [one["subject"] for one in (*ada, *admin)] == ["Hello", "Hello"]
    assert ada[0]["isRead"] is False
    assert ada[0]["bccRecipients"] == []
    assert ada[0]["internetMessageId"] == graph.messages("sentitems")[0]["internetMessageId"]
    assert ada[0]["singleValueExtendedProperties"][0]["value"] == "IPM.Note"


def test_the_received_source_has_no_bcc(graph: GraphClient) -> None:
    graph.send(mail(to=ADA, bccRecipients=people("secret@example.org")))
    ada = graph.acting(ADA)

    source = ada.get(f"/me/messages/{ada.messages('inbox')[0]['id']}/$value").content
    own = graph.get(f"/me/messages/{graph.messages('sentitems')[0]['id']}/$value").content

    assert b"secret@example.org" not in source
    assert b"Bcc: secret@example.org" in own


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("nobody@contoso.com", "5.1.10"),
        ("nomailbox@contoso.com", "5.1.10"),
        ("bounce@example.org", "5.1.1"),
        ("mailbox-full@example.org", "5.2.2"),
        ("bounce+5.7.708@example.org", "5.7.708"),
    ],
)
def test_what_cannot_be_delivered_comes_back_as_a_report(
    graph: GraphClient, recipient: str, status: str
) -> None:
    assert graph.send(mail("Grüße", recipient)).status_code == 202

    (report,) = graph.messages("inbox", expand=ITEM_CLASS)
    source = email.message_from_bytes(
        graph.get(f"/me/messages/{report['id']}/$value").content, policy=policy.default
    )
    (sent,) = graph.messages("sentitems")
    assert report["subject"] == "Undeliverable: Grüße"
    assert report["singleValueExtendedProperties"][0]["value"] == "REPORT.IPM.Note.NDR"
    assert report["from"]["emailAddress"]["address"].startswith("MicrosoftExchange329e71ec")
    assert source["X-MS-Exchange-Message-Is-Ndr"] == ""
    assert source["Auto-Submitted"] == "auto-replied"
    assert source["In-Reply-To"] == sent["internetMessageId"]
    assert source.get_content_type() == "multipart/report"
    assert f"Status: {status}" in str(source)
    assert f"Final-Recipient: rfc822;{recipient}" in str(source)


def test_reports_can_be_found_by_their_item_class(graph: GraphClient) -> None:
    graph.send(mail(to="bounce@example.org"))
    query = (
        "singleValueExtendedProperties/Any(ep: ep/id eq 'String 0x001A' "
        "and ep/value eq 'REPORT.IPM.Note.NDR')"
    )

    assert len(graph.messages("inbox", filter=query)) == 1


def test_a_report_may_come_late_or_never(graph: GraphClient) -> None:
    graph.option(ndr_delay_seconds=300)
    graph.send(mail(to="bounce@example.org"))
    assert graph.messages("inbox") == []
    advance(graph, 301)
    assert len(graph.messages("inbox")) == 1

    graph.option(ndr_to_sender=False)
    graph.send(mail(to="bounce@example.org"))
    advance(graph, 301)
    assert len(graph.messages("inbox")) == 1


def test_a_partly_refused_mail_reaches_the_others(graph: GraphClient) -> None:
    graph.send({**mail(), "toRecipients": people("bounce@example.org", ADA)})

    assert len(graph.acting(ADA).messages("inbox")) == 1
    (delivery,) = graph.state.deliveries()
    assert delivery["bounces"] == [{"recipient": "bounce@example.org", "status": "5.1.1"}]


def test_recipients_over_the_daily_limit_bounce_until_the_next_day(graph: GraphClient) -> None:
    graph.option(recipients_per_day=1)

    for _ in range(2):
        assert graph.send(mail()).status_code == 202
    advance(graph, 24 * 3600 + 1)
    graph.token = graph.issue()
    graph.send(mail())

    statuses = [[one["status"] for one in each["bounces"]] for each in graph.state.deliveries()]
    assert statuses == [[], ["5.1.92"], []]


def test_mail_over_the_minutes_limit_is_spread_over_later_minutes(graph: GraphClient) -> None:
    graph.option(messages_per_minute=2)

    for _ in range(5):
        assert graph.send(mail()).status_code == 202

    counts = [len(graph.state.deliveries())]
    for _ in range(2):
        advance(graph, 60.5)
        counts.append(len(graph.state.deliveries()))
    assert counts == [2, 4, 5]


def test_a_deferred_mail_waits_for_its_time(graph: GraphClient) -> None:
    when = graph.simulator.state.clock.now() + timedelta(hours=1)
    deferred = [{"id": "SystemTime 0x3FEF", "value": when.strftime("%Y-%m-%dT%H:%M:%SZ")}]

    graph.send(mail(singleValueExtendedProperties=deferred))

    assert graph.state.deliveries() == []
    advance(graph, 3601)
    assert len(graph.state.deliveries()) == 1


def test_waiting_returns_as_soon_as_the_mail_is_there(graph: GraphClient) -> None:
    sender = threading.Timer(0.1, lambda: graph.send(mail()))
    sender.start()

    began = time.monotonic()
    arrived = graph.state.wait_for_deliveries(1, 10)
    sender.join()

    assert arrived
    assert time.monotonic() - began < 5
    assert not graph.state.wait_for_deliveries(2, 0.05)


def test_a_mime_message_id_may_be_rewritten(graph: GraphClient) -> None:
    source = b"To: grace@example.org\r\nMessage-ID: <own@id>\r\nSubject: s\r\n\r\nx"

    graph.send_mime(source)
    graph.option(mime_message_id_kept=False)
    graph.send_mime(source)

    kept, rewritten = (one["internet_message_id"] for one in graph.state.deliveries())
    assert kept == "<own@id>"
    assert rewritten.endswith(".prod.outlook.com>")


def test_a_reset_empties_everything(graph: GraphClient) -> None:
    graph.option(concurrent_requests=1)
    graph.send(mail())

    graph.state.reset()

    assert graph.state.deliveries() == []
    assert graph.state.letters() == []
    assert graph.messages() == []
    assert graph.state.options.concurrent_requests == 4


def test_the_services_real_limits_are_one_preset(graph: GraphClient) -> None:
    graph.option(preset="exchange-online", latency_seconds=0)

    options = graph.state.options
    assert (options.messages_per_minute, options.recipients_per_day) == (30, 10_000)
    assert options.latency_seconds == 0


@pytest.mark.parametrize("changes", [{"colour": "red"}, {"preset": "nothing"}])
def test_an_unknown_option_is_refused_by_name(graph: GraphClient, changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"colour|nothing"):
        graph.option(**changes)
