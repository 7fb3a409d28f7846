"""Queues, tables and containers of the template are the code's."""

from __future__ import annotations

import pytest

from local import provision
from tests.infra.checks import storage_names
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_names_of_the_template_are_those_of_the_code() -> None:
    assert storage_names.problems(INFRA / "main.bicep") == []


def test_names_of_the_local_stack_are_those_of_the_code() -> None:
    assert [*storage_names.of_code().values()] == [
        {*provision.QUEUES},
        {*provision.TABLES},
        {*provision.CONTAINERS},
    ]


@pytest.mark.parametrize(
    ("pattern", "replacement", "parts"),
    [
        pytest.param(
            "^  'outbox-poison'", "  'outbox-poisoned'", ["uses outbox-poison,"], id="queue"
        ),
        pytest.param("^  'mails'\n", "", ["uses mails,"], id="table"),
        pytest.param("^  'payloads'", "  'payload'", ["makes payload,"], id="container"),
        pytest.param(
            "^  deploymentContainer\n", "", ["goes to a container that is not made"], id="package"
        ),
    ],
)
def test_other_name_is_reported(
    copy: Copy, pattern: str, replacement: str, parts: list[str]
) -> None:
    copy.change(pattern, replacement, "storage.bicep")

    assert has(storage_names.problems(copy.main), *parts)
