"""The tree of errors."""

from __future__ import annotations

import inspect
import re

import pytest

from shared import errors
from shared.errors import (
    ConfigurationError,
    FieldProblem,
    NotSent,
    PostroomError,
    RemoteError,
    RequestRejected,
)
from shared.mail import problems

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception)
]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = re.findall(r"([│ ├└─]*)\b([A-Z]\w+)(?=\s{2,}|\n)", errors.__doc__ or "")
    depths = {name: (len(stem.expandtabs()) - 4) // 4 for stem, name in drawn}

    assert depths == {
        found.__name__: len(found.__mro__) - len(Exception.__mro__) - 1 for found in CLASSES
    }


def test_a_broken_set_up_is_not_swallowed_by_what_tolerates_a_failed_send() -> None:
    assert not issubclass(ConfigurationError, PostroomError)


@pytest.mark.parametrize("kind", [errors.NotSent, errors.AnswerLost, errors.RemoteRefused])
def test_what_a_remote_did_is_told_apart_by_class_alone(kind: type[RemoteError]) -> None:
    error = kind("graph", "not reached", retry_after=3.0)

    assert (error.system, str(error), error.retry_after) == ("graph", "not reached", 3.0)
    assert kind.__mro__[1] is RemoteError


def test_a_configuration_error_names_every_fault() -> None:
    error = ConfigurationError(["A is missing", "B is wrong"])

    assert error.faults == ("A is missing", "B is wrong")
    assert str(error) == "A is missing; B is wrong"


def test_a_refusal_has_its_kinds_remedy_where_it_has_none_of_its_own() -> None:
    plain = RequestRejected(problems.UNKNOWN_MAIL, "No mail has this id.")
    own = RequestRejected(
        problems.UNKNOWN_MAIL, "No.", [FieldProblem("id", "x")], help="Look again."
    )

    assert plain.help == problems.UNKNOWN_MAIL.help
    assert (own.help, own.errors) == ("Look again.", (FieldProblem("id", "x"),))


def test_a_remote_that_asked_for_no_wait_has_none() -> None:
    assert NotSent("graph", "m").retry_after is None
