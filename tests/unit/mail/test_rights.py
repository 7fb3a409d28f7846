"""Which right a denial of Microsoft's says is missing, for each kind of account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from shared.mail import rights
from shared.mail.account import Account, AccountKind, AccountState
from shared.mail.address import Address
from shared.mail.outcome import GraphAnswer, Verdict, judge_send
from tests.fakes import NOW, account_of

SCOPES = frozenset({"Mail.Send", "Mail.Send.Shared"})
OWN, OTHER = "info@contoso.com", "sales@contoso.com"
PLAIN = account_of("info", allowed_from=(OTHER,))
WORK = replace(PLAIN, scopes=SCOPES)
SHARED = replace(WORK, kind=AccountKind.SHARED, through="id-ada")
APP = replace(PLAIN, kind=AccountKind.APP, scopes=frozenset({"Mail.Send"}))

SEND_AS = GraphAnswer(403, "ErrorSendAsDenied")
ACCESS = GraphAnswer(403, "ErrorAccessDenied")
REQUEST = GraphAnswer(403, "Authorization_RequestDenied")

DENIALS = [
    (WORK, OTHER, SEND_AS, Verdict.FAILED, rights.NO_SEND_RIGHT),
    (WORK, OTHER, ACCESS, Verdict.FAILED, rights.NO_SEND_RIGHT),
    (PLAIN, OTHER, SEND_AS, Verdict.FAILED, rights.NO_SHARED_SCOPE),
    (PLAIN, OTHER, ACCESS, Verdict.FAILED, rights.NO_SHARED_SCOPE),
    (WORK, OWN, ACCESS, Verdict.NEEDS_SIGN_IN, None),
    (SHARED, OWN, ACCESS, Verdict.HOLD_ACCOUNT, rights.NO_FULL_ACCESS),
    (SHARED, OWN, SEND_AS, Verdict.HOLD_ACCOUNT, rights.NO_SEND_RIGHT_SHARED),
    (SHARED, OTHER, SEND_AS, Verdict.FAILED, rights.ANOTHERS_ADDRESS),
    (SHARED, OTHER, ACCESS, Verdict.HOLD_ACCOUNT, rights.NO_FULL_ACCESS),
    (APP, OWN, ACCESS, Verdict.HOLD_ACCOUNT, rights.NO_APP_RIGHT),
    (APP, OWN, REQUEST, Verdict.HOLD_ACCOUNT, rights.NO_APP_RIGHT),
    (APP, OTHER, SEND_AS, Verdict.FAILED, rights.ANOTHERS_ADDRESS),
]


@pytest.mark.parametrize(("account", "sender", "answer", "verdict", "help_text"), DENIALS)
def test_a_denial_names_the_right_that_is_missing(
    account: Account, sender: str, answer: GraphAnswer, verdict: Verdict, help_text: str | None
) -> None:
    outcome = rights.of_the_sender(judge_send(answer), account, Address(sender))

    assert outcome.verdict is verdict
    assert outcome.reason == answer.code
    if help_text is not None:
        assert outcome.help == help_text


@pytest.mark.parametrize("account", [WORK, SHARED, APP], ids=lambda one: str(one.kind))
@pytest.mark.parametrize("answer", [GraphAnswer(202), GraphAnswer(503), GraphAnswer(429)], ids=str)
def test_what_is_no_denial_means_the_same_for_every_kind(
    account: Account, answer: GraphAnswer
) -> None:
    outcome = judge_send(answer)

    assert rights.of_the_sender(outcome, account, Address(OTHER)) == outcome


HOLDS = [
    (SHARED, "ErrorAccessDenied", rights.NO_FULL_ACCESS),
    (SHARED, "ErrorSendAsDenied", rights.NO_SEND_RIGHT_SHARED),
    (SHARED, "ErrorSubmissionQuotaExceeded", None),
    (APP, "ErrorAccessDenied", rights.NO_APP_RIGHT),
    (APP, "AADSTS7000112", rights.APP_REFUSED),
    (APP, "ErrorSubmissionQuotaExceeded", None),
    (WORK, "ErrorAccessDenied", None),
]


@pytest.mark.parametrize(("account", "reason", "expected"), HOLDS)
def test_a_held_mailbox_goes_on_saying_which_right_it_lacks(
    account: Account, reason: str, expected: str | None
) -> None:
    until = NOW + timedelta(minutes=15)
    held = account_of(
        kind=account.kind,
        through=account.through,
        state=AccountState.HELD,
        reason=reason,
        held_until=until,
    )

    assert rights.remedy(held) == expected
