"""Every code that Graph may answer a send with, over the wire: verdict, reason, words.

First each code as Graph would say it, then those whose cause the simulator has.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from local.docs import status_of
from shared.adapters.graph.mail_service import Graph
from shared.mail import known_errors
from shared.mail.graph_payload import GraphRequest
from shared.mail.outcome import FITTING, Outcome, Verdict, judge_send
from tests.contract.conftest import Stand
from tests.contract.test_graph_adapter import a_request, deliveries, graph, issue, token
from tests.unit.mail.test_outcome import ROWS

__all__ = ["graph", "token"]

CODED = [(status, code, verdict) for status, code, verdict in ROWS if code]
BARE = [(status, verdict) for status, code, verdict in ROWS if code is None and status >= 400]


def sent(graph: Graph, token: str, request: GraphRequest | None = None) -> Outcome:
    request = request or a_request()
    return judge_send(graph.send_mail(token, "/me", request.content_type, request.body))


@pytest.mark.parametrize(("status", "code", "verdict"), CODED)
def test_a_code_of_graphs_is_judged_and_explained(
    stand: Stand, graph: Graph, token: str, status: int, code: str, verdict: str
) -> None:
    stand.fault("graph.send_mail", status=status, code=code)
    outcome = sent(graph, token)
    row = known_errors.find(code)

    assert (outcome.verdict.value, outcome.reason) == (verdict, code)
    assert outcome.help
    if status == status_of(code):
        assert outcome.help == row.words
        assert row.retry in FITTING[outcome.verdict]
    assert deliveries(stand) == []


@pytest.mark.parametrize(("status", "verdict"), BARE)
def test_a_status_alone_is_judged_and_explained(
    stand: Stand, graph: Graph, token: str, status: int, verdict: str
) -> None:
    stand.fault("graph.send_mail", status=status, action="html")
    outcome = sent(graph, token)

    assert outcome.verdict.value == verdict
    assert outcome.help == known_errors.find(f"http_{status}").words


# Real causes.


def _written(**fields: object) -> GraphRequest:
    """A mail with fields as they are not written by Postroom itself."""
    message = {
        "subject": "Hello",
        "body": {"contentType": "text", "content": "Good day."},
        "toRecipients": [_address("grace@example.org")],
    }
    body = json.dumps({"message": message | fields}).encode()
    return GraphRequest("application/json", body)


def _address(address: str) -> dict[str, object]:
    return {"emailAddress": {"address": address}}


def _headers(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "value": "1"} for name in names]


CAUSES = {
    "a From that is another's": (
        "ErrorSendAsDenied",
        _written(**{"from": _address("ada@contoso.com")}),
    ),
    "no recipient": ("ErrorInvalidRecipients", _written(toRecipients=[])),
    "a recipient that is no address": (
        "ErrorInvalidRecipients",
        _written(toRecipients=[_address("grace")]),
    ),
    "too many recipients": (
        "ErrorExceededMaxRecipientLimit",
        _written(toRecipients=[_address(f"r{number}@example.org") for number in range(501)]),
    ),
    "too many headers": (
        "InvalidInternetMessageHeaderCollection",
        _written(internetMessageHeaders=_headers(*(f"X-{number}" for number in range(6)))),
    ),
    "a header of another name": (
        "InvalidInternetMessageHeader",
        _written(internetMessageHeaders=_headers("Reference")),
    ),
    "an attachment without content": (
        "ErrorRequiredPropertyMissing",
        _written(attachments=[{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt"}]),
    ),
    "an unknown field": ("UnableToDeserializePostBody", _written(odd=1)),
    "nothing": ("BadRequest", GraphRequest("application/json", b"")),
    "MIME that is no base64": (
        "ErrorMimeContentInvalidBase64String",
        GraphRequest("text/plain", b"!"),
    ),
}


@pytest.mark.parametrize(("code", "request_"), CAUSES.values(), ids=CAUSES)
def test_a_mail_that_graph_refuses_is_explained(
    stand: Stand, graph: Graph, code: str, request_: GraphRequest
) -> None:
    outcome = sent(graph, issue(stand, "Mail.Send", "Mail.Send.Shared", "User.Read"), request_)

    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, code)
    assert outcome.help == known_errors.find(code).words


@pytest.mark.parametrize(
    ("verdict", "code", "token_of"),
    [
        (Verdict.NEEDS_SIGN_IN, "ErrorAccessDenied", lambda stand: issue(stand, "User.Read")),
        (
            Verdict.HOLD_ACCOUNT,
            "MailboxNotEnabledForRESTAPI",
            lambda stand: issue(stand, "Mail.Send", address="nomailbox@contoso.com"),
        ),
        (Verdict.REFRESH, "InvalidAuthenticationToken", lambda stand: "SIMAT.unknown"),
    ],
    ids=["permission missing", "no mailbox", "token unknown"],
)
def test_an_account_that_graph_refuses_is_explained(
    stand: Stand, graph: Graph, verdict: Verdict, code: str, token_of: Callable[[Stand], str]
) -> None:
    outcome = sent(graph, token_of(stand))

    assert (outcome.verdict, outcome.reason) == (verdict, code)
    assert outcome.help == known_errors.find(code).words


@pytest.mark.parametrize(
    ("verdict", "code", "change"),
    [
        (Verdict.FAILED, "ErrorMessageSizeExceeded", {"message_size_limit": 10}),
        (Verdict.FAILED, "ErrorQuotaExceeded", {"named_property_quota": 0}),
        (Verdict.THROTTLED, "ApplicationThrottled", {"requests_per_window": 0}),
    ],
)
def test_a_mailbox_that_cannot_take_it_is_explained(
    stand: Stand,
    graph: Graph,
    token: str,
    verdict: Verdict,
    code: str,
    change: dict[str, object],
) -> None:
    stand.control("options", {"graph": change})
    outcome = sent(graph, token)

    assert (outcome.verdict, outcome.reason) == (verdict, code)
    assert outcome.help == known_errors.find(code).words
