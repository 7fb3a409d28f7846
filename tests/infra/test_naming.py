"""Names fit their resources' rules for a thousand prefixes."""

from __future__ import annotations

import pytest

from tests.infra.checks import naming
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_names_are_valid_for_a_thousand_prefixes() -> None:
    assert naming.problems(INFRA / "main.bicep", 1000) == []


def test_there_are_a_thousand_different_prefixes_of_all_lengths() -> None:
    prefixes = list(naming.prefixes(1000, 64))

    assert len(prefixes) == 1000
    assert len({*prefixes}) > 950
    assert {len(prefix) for prefix in prefixes} == {*range(1, 65)}


@pytest.mark.parametrize(
    ("pattern", "replacement", "parts"),
    [
        pytest.param("'log-", f"'log-{'o' * 60}", ["63 characters long"], id="too long"),
        pytest.param("'st\\$", "'ST$", ["does not fit [a-z0-9]"], id="upper case"),
        pytest.param(
            "'kv\\$\\{stem\\}", "'kv--${stem}", ["must not have --"], id="two hyphens in a vault"
        ),
        pytest.param("'func-", "'-func-", ["does not fit"], id="begins with a hyphen"),
    ],
)
def test_name_against_the_rules_is_reported(
    copy: Copy, pattern: str, replacement: str, parts: list[str]
) -> None:
    copy.change(pattern, replacement, "main.bicep")

    assert has(naming.problems(copy.main, 50), *parts)


def test_two_resources_of_one_name_are_reported(copy: Copy) -> None:
    copy.change(r"^  'outbox-poison'", "  'outbox'", "storage.bicep")

    assert has(naming.problems(copy.main, 20), "the same resource as")
