"""The catalogue of problems."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from shared.mail import problems
from shared.mail.problems import CATALOGUE, ProblemKind


def test_no_code_means_two_things() -> None:
    assert [code for code, times in Counter(k.code for k in CATALOGUE).items() if times > 1] == []


def test_every_kind_of_the_module_is_in_the_catalogue() -> None:
    kinds = [value for value in vars(problems).values() if isinstance(value, ProblemKind)]

    assert len(kinds) > 15
    assert set(kinds) == set(CATALOGUE)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.code)
def test_every_kind_says_what_is_wrong_and_what_to_do(kind: ProblemKind) -> None:
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.help.endswith(".")
