"""What a refused queue message is told fits a queue: nobody there has a request to repeat."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from shared.errors import FieldProblem, RequestRejected
from shared.mail import problems
from shared.mail.problems import ProblemKind
from shared.services.intake.queue_wording import (
    LONGEST_HELP,
    POISONED,
    REMEDIES,
    TOO_OLD,
    help_for,
    help_for_unreadable,
)

SHARED = Path(problems.__file__).parents[1]
ON_THE_WAY = (
    *(
        "services/intake/mail_document.py",
        "services/json_reading.py",
        "services/intake/order_checks.py",
        "services/intake/idempotency.py",
        "services/mails/content_store.py",
    ),
    *("services/intake/queue_messages.py", "services/intake/labels.py"),
    *("mail/choice.py", "mail/composing.py", "mail/limits.py"),
)
"""Where a mail of the queue can be refused."""
OVER_HTTP_ALONE = {"ACCOUNT_NEEDS_SIGN_IN"}
"""A mail of the queue is held instead."""


def kinds_on_the_way() -> set[str]:
    """The names of the kinds that those modules mention."""
    return {
        node.attr
        for name in ON_THE_WAY
        for node in ast.walk(ast.parse((SHARED / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "problems"
        and node.attr.isupper()
    }


KINDS: list[ProblemKind] = [
    getattr(problems, name) for name in sorted(kinds_on_the_way() - OVER_HTTP_ALONE)
]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)


def test_every_kind_of_refusal_on_the_queue_has_its_remedy_and_no_other() -> None:
    assert len(KINDS) >= 9
    assert {kind.code for kind in KINDS} == REMEDIES.keys()


@every_kind
def test_no_remedy_speaks_of_a_request(kind: ProblemKind) -> None:
    told = help_for(RequestRejected(kind, "The mail is refused.", [FieldProblem("to", "is wrong")]))

    assert told.startswith("The mail is refused. to is wrong. ")
    assert "put the message on the queue again" in told
    assert not re.search(r"request|'errors'|\bbody\b|[<>]", told)


def test_the_bodys_faults_are_the_messages() -> None:
    told = help_for(
        RequestRejected(
            problems.INVALID_JSON,
            "The body is not valid JSON: it ends too early, at line 1, column 7.",
            [FieldProblem("body", "has too much in it")],
        )
    )

    assert told.startswith("The queue message is not valid JSON: it ends too early")
    assert "the message has too much in it" in told


def test_advice_for_the_single_case_is_kept() -> None:
    told = help_for(
        RequestRejected(
            problems.MAIL_TOO_LARGE, "It is too large.", help="Split it, or send a link to it."
        )
    )

    assert told == (
        "It is too large. Split it, or send a link to it. Then put the message on the queue again."
    )


def test_however_much_is_wrong_the_remedy_is_said() -> None:
    many = [FieldProblem(f"to[{index}]", "is no address") for index in range(500)]

    told = help_for(
        RequestRejected(problems.INVALID_MAIL, "The mail has fields that are wrong.", many)
    )

    assert len(told) <= LONGEST_HELP
    assert told.endswith(REMEDIES["invalid_mail"])


@pytest.mark.parametrize("told", [POISONED, TOO_OLD, help_for_unreadable("is empty")])
def test_what_was_no_mail_says_what_to_do_and_that_its_text_is_kept(told: str) -> None:
    assert told.startswith("The queue message ")
    assert "put the message on the queue again" in told
    assert told.endswith("Its raw text is kept.")


@pytest.mark.parametrize("told", [POISONED, TOO_OLD])
def test_what_may_have_been_sent_is_looked_for_before_it_is_sent_again(told: str) -> None:
    assert "Sent Items" in told
    assert "only if it is" in told


def test_a_field_that_is_called_body_is_told_by_its_name() -> None:
    unknown = FieldProblem("body", "is not a field of a mail: did you mean 'text' or 'html'?")
    refused = RequestRejected(problems.INVALID_MAIL, "The mail is not accepted.", [unknown])

    assert "body is not a field of a mail" in help_for(refused)
