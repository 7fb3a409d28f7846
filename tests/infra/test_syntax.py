"""Every template can be read, and one that cannot is reported."""

from __future__ import annotations

from tests.infra.checks import syntax
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_every_template_can_be_read() -> None:
    assert syntax.problems(INFRA) == []


def test_list_of_unreadable_files_is_explained() -> None:
    assert all(len(reason) > 20 for reason in syntax.UNREADABLE.values())


def test_file_that_no_parser_reads_is_reported(copy: Copy) -> None:
    copy.change(r"^module (\w+) '", r"modul \1 '", "main.bicep")

    found = syntax.problems(copy.infra)

    assert has(found, "main.bicep", "neither parser")
    assert has(found, "main.bicep", "'modul' begins no statement")


def test_parameters_file_that_azd_prefers_is_reported(copy: Copy) -> None:
    """https://github.com/Azure/azure-dev/pull/2628"""
    copy.main.with_suffix(".bicepparam").write_text("using './main.bicep'\n")

    assert has(syntax.problems(copy.infra), "main.bicepparam: azd would take it")


def test_parameter_of_azd_that_is_not_there_is_reported(copy: Copy) -> None:
    copy.change('"clientId":', '"clientID":', "main.parameters.json")

    assert has(syntax.problems(copy.infra), "main.parameters.json: no such parameter: clientID")
