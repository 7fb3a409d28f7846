"""Roles are the right ones, under the right names, and no more than needed."""

from __future__ import annotations

import pytest

from tests.infra.checks import roles
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_roles_are_right_and_enough_and_no_more() -> None:
    assert roles.problems(INFRA) == []


def test_role_ids_are_all_different() -> None:
    assert len({*roles.roles().values()}) == len(roles.roles())


@pytest.mark.parametrize(
    ("pattern", "replacement", "parts"),
    [
        pytest.param(
            "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
            "974c5e8b-45b9-4653-ba55-5f855dd0fb89",
            ["5f855dd0fb89 is no role"],
            id="id that is none",
        ),
        pytest.param(
            "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
            "19e7f393-937e-4f77-808e-94535e297925",
            ["Storage Queue Data Contributor is 974c5e8b"],
            id="id of another role",
        ),
        pytest.param(
            "^  'Storage Table Data Contributor'\n",
            "",
            ["main.bicep: lacks Storage Table Data Contributor"],
            id="missing role",
        ),
        pytest.param("^    principalType: .*\n", "", ["no principalType"], id="no principalType"),
        pytest.param(
            r"name: guid\(.*\)",
            "name: '6f1d0c52-2f4b-4f0e-8f55-0c9b6a1d2e33'",
            ["the name is not guid("],
            id="name that is not computed",
        ),
        pytest.param(
            "^  scope: outbox$",
            "  scope: account",
            ["client.bicep", "more than is needed"],
            id="wider scope",
        ),
        pytest.param(
            "Microsoft.Authorization/roleDefinitions'",
            "Microsoft.Authorization/roleDefinition'",
            ["no id of a role definition"],
            id="id of no definition",
        ),
    ],
)
def test_broken_role_is_reported(
    copy: Copy, pattern: str, replacement: str, parts: list[str]
) -> None:
    copy.change(pattern, replacement)

    assert has(roles.problems(copy.infra), *parts)
