"""The Graph adapter against the simulator: what each way of failing is taken for.

After every send the simulator says what really went out, so that "not sent" is proved and not
believed.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3.util.connection

from local.simulator.entra.tokens import GRAPH_AUDIENCE, Claims
from shared.adapters.graph.mail_service import Graph
from shared.adapters.http import connections
from shared.adapters.http.client import MAX_ANSWER_BYTES
from shared.errors import AnswerLost, NotSent, RemoteRefused
from shared.mail.account import user_path
from shared.mail.address import Address
from shared.mail.graph_payload import GraphRequest, send_request
from shared.mail.message import Attachment, Message
from shared.mail.outcome import Verdict, judge_send
from tests.contract.conftest import Stand

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BILLING = Address("billing@contoso.com", "Billing")
KEY = "01a203ad-b662-7144-9552-511623ad80ca"


@pytest.fixture
def graph(stand: Stand) -> Iterator[Graph]:
    adapter = Graph(
        stand.stack["graph_url"], ca_file=stand.ca_file, send_seconds=1.0, clock=lambda: NOW
    )
    yield adapter
    adapter.close()


@pytest.fixture
def token(stand: Stand) -> str:
    return issue(stand, "Mail.Send", "User.Read")


def issue(stand: Stand, *scopes: str, address: str = BILLING.email) -> str:
    """An access token of a signed-in user."""
    state = stand.simulator.state
    user = state.directory.find(address)
    assert user is not None
    return state.tokens.issue(
        Claims(
            tenant_id=user.tenant_id,
            client_id=stand.stack["client_id"],
            object_id=user.object_id,
            address=user.address,
            scopes=frozenset(scopes),
            audience=GRAPH_AUDIENCE,
            expires_at=state.clock.time() + 3600,
        )
    )


def a_request(message: Message | None = None) -> GraphRequest:
    message = message or Message(
        sender=None, to=(Address("grace@example.org"),), subject="Hello", text="Good day."
    )
    return send_request(message, BILLING, KEY, NOW)


def deliveries(stand: Stand) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stand.control("deliveries", None, "GET")["deliveries"]
    return found


def test_a_mail_is_sent_with_its_key_and_content(stand: Stand, graph: Graph, token: str) -> None:
    picture = Attachment("ü.png", b"\x89PNG\x00\xff", "image/png", "logo")
    message = Message(
        sender=None,
        to=(Address("grace@example.org", "Grace"),),
        cc=(Address("ada@contoso.com"),),
        bcc=(Address("hidden@example.org"),),
        reply_to=(Address("answers@contoso.com"),),
        subject="Grüße ✓",
        html='<img src="cid:logo">',
        attachments=(picture,),
        headers=(("X-Ref", "7"),),
    )
    request = a_request(message)

    answer = graph.send_mail(token, "/me", request.content_type, request.body)

    (sent,) = deliveries(stand)
    assert answer.status == 202
    assert answer.request_id
    assert sent["key"] == KEY
    assert sent["subject"] == "Grüße ✓"
    assert (sent["to"], sent["cc"], sent["bcc"]) == (
        ["grace@example.org"],
        ["ada@contoso.com"],
        ["hidden@example.org"],
    )
    assert sent["attachments"][0]["content_id"] == "logo"


@pytest.mark.parametrize("address", ["info@contoso.com", "$neil@contoso.com"])
def test_a_mail_leaves_from_the_mailbox_that_is_named(
    stand: Stand, graph: Graph, address: str
) -> None:
    rights = {"send_as": [BILLING.email], "full_access": [BILLING.email]}
    stand.control("mailboxes", {"address": address, "kind": "shared", **rights})
    message = Message(sender=None, to=(Address("grace@example.org"),), text="Good day.")
    request = send_request(message, Address(address), KEY, NOW)

    answer = graph.send_mail(
        issue(stand, "Mail.Send.Shared"), user_path(address), request.content_type, request.body
    )

    (sent,) = deliveries(stand)
    assert answer.status == 202
    assert (sent["mailbox"], sent["from"], sent["sender"]) == (address, address, address)


def test_text_and_html_together_arrive_as_one_mail_with_the_key(
    stand: Stand, graph: Graph, token: str
) -> None:
    message = Message(
        sender=None,
        to=(Address("grace@example.org"),),
        bcc=(Address("hidden@example.org"),),
        subject="Both",
        text="plain",
        html="<p>rich</p>",
        headers=(("List-Unsubscribe", "<mailto:off@contoso.com>"),),
    )
    request = a_request(message)

    answer = graph.send_mail(token, "/me", request.content_type, request.body)

    (sent,) = deliveries(stand)
    assert answer.status == 202
    assert sent["key"] == KEY
    assert sent["has_text"]
    assert sent["has_html"]
    assert sent["bcc"] == ["hidden@example.org"]


@pytest.mark.parametrize(
    ("fault", "verdict", "sent"),
    [
        pytest.param(
            {"status": 429, "code": "ApplicationThrottled"}, Verdict.THROTTLED, 0, id="429"
        ),
        pytest.param({"status": 503, "code": "ErrorServerBusy"}, Verdict.UNKNOWN, 0, id="503"),
        pytest.param({"status": 503, "when": "after"}, Verdict.UNKNOWN, 1, id="503-after"),
        pytest.param({"status": 504, "action": "html"}, Verdict.UNKNOWN, 0, id="504-html"),
        pytest.param(
            {"status": 500, "code": "UnknownError", "when": "after"}, Verdict.UNKNOWN, 1, id="500"
        ),
        pytest.param({"status": 200, "action": "empty"}, Verdict.UNKNOWN, 0, id="200-nothing"),
        pytest.param(
            {"status": 202, "action": "empty", "when": "after", "headers": {"Retry-After": "5"}},
            Verdict.SENT,
            1,
            id="202-with-retry-after",
        ),
        pytest.param(
            {"status": 403, "code": "ErrorSendAsDenied"}, Verdict.FAILED, 0, id="send-as-denied"
        ),
        pytest.param(
            {"status": 403, "code": "ErrorAccessDenied"}, Verdict.NEEDS_SIGN_IN, 0, id="denied"
        ),
        pytest.param(
            {"status": 401, "code": "InvalidAuthenticationToken"}, Verdict.REFRESH, 0, id="401"
        ),
        pytest.param({"status": 413, "action": "html"}, Verdict.FAILED, 0, id="413-html"),
        pytest.param(
            {"status": 429, "code": "ErrorSubmissionQuotaExceeded"},
            Verdict.HOLD_ACCOUNT,
            0,
            id="quota",
        ),
    ],
)
def test_an_answer_is_judged_by_what_it_can_mean(
    stand: Stand, graph: Graph, token: str, fault: dict[str, Any], verdict: Verdict, sent: int
) -> None:
    stand.fault("graph.send_mail", **fault)
    request = a_request()

    outcome = judge_send(graph.send_mail(token, "/me", request.content_type, request.body))

    assert outcome.verdict is verdict
    assert len(deliveries(stand)) == sent


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["reset", "hang"])
def test_an_answer_that_does_not_come_is_lost_whether_it_was_sent_or_not(
    stand: Stand, graph: Graph, token: str, when: str, action: str
) -> None:
    stand.fault("graph.send_mail", when=when, action=action, seconds=3)
    request = a_request()

    with pytest.raises(AnswerLost):
        graph.send_mail(token, "/me", request.content_type, request.body)

    assert len(deliveries(stand)) == (1 if when == "after" else 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("2.128", 2.128), ("Sun, 22 Nov 2026 09:30:30 GMT", 30.0), ("soon", None)],
)
def test_retry_after_is_read_in_every_form(
    stand: Stand, graph: Graph, token: str, value: str, seconds: float | None
) -> None:
    stand.fault("graph.send_mail", status=429, headers={"Retry-After": value})
    request = a_request()

    answer = graph.send_mail(token, "/me", request.content_type, request.body)

    assert answer.retry_after == seconds


def test_a_port_that_nobody_listens_on_has_sent_nothing(stand: Stand, token: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://localhost:{unused.getsockname()[1]}/v1.0"
    graph = Graph(url, ca_file=stand.ca_file, send_seconds=1.0, clock=lambda: NOW)
    request = a_request()

    with pytest.raises(NotSent):
        graph.send_mail(token, "/me", request.content_type, request.body)

    graph.close()


def test_a_name_that_does_not_resolve_has_sent_nothing(stand: Stand, token: str) -> None:
    graph = Graph(
        "https://graph.invalid/v1.0", ca_file=stand.ca_file, send_seconds=1.0, clock=lambda: NOW
    )
    request = a_request()

    with pytest.raises(NotSent):
        graph.send_mail(token, "/me", request.content_type, request.body)

    graph.close()


def test_a_server_that_cannot_prove_its_name_gets_no_mail(stand: Stand, token: str) -> None:
    graph = Graph(stand.stack["graph_url"], ca_file=None, send_seconds=1.0, clock=lambda: NOW)
    request = a_request()

    with pytest.raises(NotSent):
        graph.send_mail(token, "/me", request.content_type, request.body)

    assert deliveries(stand) == []
    graph.close()


def test_a_redirect_is_not_followed_with_a_mail(stand: Stand, graph: Graph, token: str) -> None:
    stand.fault(
        "graph.send_mail",
        status=302,
        action="empty",
        headers={"Location": f"{stand.stack['graph_url']}/me/sendMail"},
    )
    request = a_request()

    outcome = judge_send(graph.send_mail(token, "/me", request.content_type, request.body))

    assert outcome.verdict is Verdict.UNKNOWN
    assert deliveries(stand) == []


def test_a_connection_that_idled_too_long_is_not_used_for_a_mail(
    stand: Stand, graph: Graph, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be lost on a connection that the far side is closing stays unknown for ever."""
    request = a_request()
    opened: list[object] = []
    connect = urllib3.util.connection.create_connection

    def counted(*args: Any, **kwargs: Any) -> socket.socket:
        opened.append(args)
        return connect(*args, **kwargs)

    monkeypatch.setattr("urllib3.util.connection.create_connection", counted)
    graph.send_mail(token, "/me", request.content_type, request.body)
    graph.send_mail(token, "/me", request.content_type, request.body)
    while_warm = len(opened)
    late = time.monotonic() + connections.IDLE_SECONDS + 1
    monkeypatch.setattr("time.monotonic", lambda: late)
    graph.send_mail(token, "/me", request.content_type, request.body)

    assert while_warm == 1
    assert len(opened) == 2


def test_sends_of_many_threads_share_the_adapter(stand: Stand, graph: Graph, token: str) -> None:
    request = a_request()
    statuses: list[int] = []

    def send() -> None:
        statuses.append(graph.send_mail(token, "/me", request.content_type, request.body).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [202] * 4
    assert len(deliveries(stand)) == 4


def test_me_says_whose_mailbox_a_token_opens(stand: Stand, graph: Graph, token: str) -> None:
    user = stand.simulator.state.directory.find(BILLING.email)

    profile = graph.me(token)

    assert user is not None
    assert profile.object_id == user.object_id
    assert profile.address == BILLING.email


def test_me_falls_back_to_the_user_name_where_there_is_no_mail(stand: Stand, graph: Graph) -> None:
    address = "postroom.demo@outlook.com"

    profile = graph.me(issue(stand, "User.Read", address=address))

    assert profile.address == address


def test_me_with_a_dead_token_is_refused(graph: Graph) -> None:
    with pytest.raises(RemoteRefused):
        graph.me("not a token")


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503},
        {"status": 429},
        {"action": "reset"},
        {"action": "html", "status": 502},
    ],
    ids=str,
)
def test_me_that_fails_for_a_moment_has_done_nothing(
    stand: Stand, graph: Graph, token: str, fault: dict[str, Any]
) -> None:
    stand.fault("graph.*", **fault)

    with pytest.raises(NotSent):
        graph.me(token)


def test_the_simulator_takes_a_mail_of_the_largest_size_we_allow(
    stand: Stand, graph: Graph, token: str
) -> None:
    content = b"\x00" * 2_990_000
    message = Message(
        sender=None,
        to=(Address("grace@example.org"),),
        subject="Large",
        text="",
        attachments=(Attachment("large.bin", content),),
    )
    request = a_request(message)

    answer = graph.send_mail(token, "/me", request.content_type, request.body)

    assert (
        base64.b64decode(json.loads(request.body)["message"]["attachments"][0]["contentBytes"])
        == content
    )
    assert answer.status == 202
    assert deliveries(stand)[0]["attachments"][0]["size"] == len(content)


def test_a_connection_that_is_not_made_in_time_has_sent_nothing(
    stand: Stand, graph: Graph, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*args: Any, **kwargs: Any) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", too_late)
    request = a_request()

    with pytest.raises(NotSent):
        graph.send_mail(token, "/me", request.content_type, request.body)


def test_an_answer_without_end_is_cut_and_its_connection_not_used_again(
    stand: Stand, graph: Graph, token: str
) -> None:
    endless = "x" * (MAX_ANSWER_BYTES + 70_000)
    stand.fault("graph.send_mail", status=503, body=endless, times=1)
    request = a_request()

    cut = graph.send_mail(token, "/me", request.content_type, request.body)
    whole = graph.send_mail(token, "/me", request.content_type, request.body)

    assert (cut.status, whole.status) == (503, 202)


def test_a_user_is_looked_up_by_address(stand: Stand, graph: Graph) -> None:
    found = graph.user(issue(stand, "User.Read.All"), user_path("info@contoso.com"))

    assert (found.address, found.display_name) == ("info@contoso.com", "Contoso Info")
    assert found.object_id


@pytest.mark.parametrize("address", ["$o'neil@contoso.com", "o'neil@contoso.com"])
def test_an_apostrophe_of_an_address_is_found_in_either_form_of_the_path(
    stand: Stand, graph: Graph, address: str
) -> None:
    stand.control("mailboxes", {"address": address, "name": "O'Neil"})

    assert graph.user(issue(stand, "User.Read.All"), user_path(address)).address == address


@pytest.mark.parametrize(
    ("scope", "address", "code"),
    [
        ("Mail.Send", "info@contoso.com", "Authorization_RequestDenied"),
        ("User.Read.All", "nobody@contoso.com", "Request_ResourceNotFound"),
    ],
)
def test_why_a_user_was_not_looked_up_is_told_by_the_code(
    stand: Stand, graph: Graph, scope: str, address: str, code: str
) -> None:
    with pytest.raises(RemoteRefused) as refused:
        graph.user(issue(stand, scope), user_path(address))

    assert refused.value.code == code
