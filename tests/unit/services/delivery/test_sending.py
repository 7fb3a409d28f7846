"""Direct sending: one request, one reading of its answer."""

from __future__ import annotations

import pytest

from shared.errors import AnswerLost, ConsentRequired, CredentialRefused, NotSent
from shared.mail.address import Address
from shared.mail.message import Message
from shared.mail.outcome import GraphAnswer, Outcome, Verdict
from shared.services.delivery.sending import DirectSending
from shared.services.mails.packing import Packed
from tests.fakes import (
    ACCEPTED,
    Answer,
    Clock,
    Faults,
    FreeClaim,
    MemoryFiles,
    MemoryGraph,
    MemoryPayloads,
    MemoryTokens,
    account_of,
    mail_of,
)

MAIL_ID = "01a01f0a-da00-72d3-a652-e44da7f29e26"
SENDER = Address("billing@contoso.com", "Billing")
PACKED = Packed(
    message=Message(sender=None, to=(Address("ada@example.com"),), subject="Hi", text="Hello"),
    sender=SENDER,
)
REVOKED = GraphAnswer(401, "InvalidAuthenticationToken", None, "req-4")


class Desk:
    """Direct sending with everything around it."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.graph = MemoryGraph(self.faults)
        self.tokens = MemoryTokens(self.faults)
        self.files = MemoryFiles(self.faults, MemoryPayloads(self.faults))
        self.delivery_mode = DirectSending(self.graph, self.tokens, self.files, Clock())

    def send(self, *answers: Answer, packed: Packed = PACKED, still_ours: bool = True) -> Outcome:
        self.graph.answers = list(answers)
        claim = FreeClaim(mail_of(MAIL_ID), ours=still_ours)
        return self.delivery_mode.send(account_of(), packed, claim)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_mail_goes_out_once_with_its_key_and_the_accounts_token(desk: Desk) -> None:
    outcome = desk.send(ACCEPTED)

    (post,) = desk.graph.posts
    assert (outcome.verdict, outcome.request_id) == (Verdict.SENT, "req-1")
    assert (post.mail_id, post.token) == (MAIL_ID, "token-billing-1")
    assert post.content_type == "application/json"


def test_a_mail_that_json_cannot_express_goes_as_mime(desk: Desk) -> None:
    both = Message(sender=None, to=(Address("a@example.com"),), text="a", html="<p>a</p>")

    desk.send(ACCEPTED, packed=Packed(message=both, sender=SENDER))

    (post,) = desk.graph.posts
    assert (post.content_type, post.mail_id) == ("text/plain", MAIL_ID)


def test_a_401_forgets_the_token_and_tries_once_more(desk: Desk) -> None:
    outcome = desk.send(REVOKED, ACCEPTED)

    assert outcome.verdict is Verdict.SENT
    assert desk.tokens.forgotten == ["token-billing-1"]
    assert [post.token for post in desk.graph.posts] == ["token-billing-1", "token-billing-2"]


def test_a_second_401_asks_for_a_sign_in(desk: Desk) -> None:
    outcome = desk.send(REVOKED, REVOKED, ACCEPTED)

    assert outcome.verdict is Verdict.NEEDS_SIGN_IN
    assert (outcome.reason, outcome.request_id) == ("InvalidAuthenticationToken", "req-4")
    assert len(desk.graph.posts) == 2


def test_the_answer_after_a_401_is_read_like_any_other(desk: Desk) -> None:
    assert desk.send(REVOKED, AnswerLost("graph", "lost")).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (ConsentRequired("AADSTS50173", "m"), Verdict.NEEDS_SIGN_IN, "AADSTS50173"),
        (CredentialRefused("AADSTS7000222", "m"), Verdict.HOLD_ACCOUNT, "AADSTS7000222"),
        (NotSent("entra", "m", retry_after=9.0), Verdict.AGAIN, "entra_unreachable"),
        (AnswerLost("vault", "m"), Verdict.AGAIN, "vault_unreachable"),
    ],
)
def test_without_a_token_nothing_is_sent(
    desk: Desk, error: Exception, verdict: Verdict, reason: str
) -> None:
    desk.faults.before("tokens.access_token", error)

    outcome = desk.send()

    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert outcome.help
    assert desk.graph.posts == []


def test_the_wait_that_entra_asked_for_is_passed_on(desk: Desk) -> None:
    desk.faults.before("tokens.access_token", NotSent("entra", "m", retry_after=9.0))

    assert desk.send().retry_after == 9.0


def test_a_request_that_never_left_is_tried_again(desk: Desk) -> None:
    outcome = desk.send(NotSent("graph", "m", retry_after=3.0))

    assert (outcome.verdict, outcome.reason, outcome.retry_after) == (
        Verdict.AGAIN,
        "not_reached",
        3.0,
    )


def test_a_lost_answer_is_unknown_and_not_repeated(desk: Desk) -> None:
    outcome = desk.send(AnswerLost("graph", "m"), ACCEPTED)

    assert (outcome.verdict, outcome.reason) == (Verdict.UNKNOWN, "answer_lost")
    assert len(desk.graph.posts) == 1


def test_a_lease_without_time_for_a_request_sends_nothing(desk: Desk) -> None:
    outcome = desk.send(still_ours=False)

    assert (outcome.verdict, outcome.reason) == (Verdict.AGAIN, "lease_spent")
    assert desk.graph.posts == []


@pytest.mark.parametrize("packed", [Packed(), Packed(raw=b"x"), Packed(message=PACKED.message)])
def test_a_mail_without_content_is_failed(desk: Desk, packed: Packed) -> None:
    outcome = desk.send(packed=packed)

    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "no_content")
    assert desk.graph.posts == []
