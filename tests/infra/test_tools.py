"""A check whose tool is missing fails, and says what to do."""

from __future__ import annotations

import pytest

from tests.infra import schemas, tools
from tests.infra.checks import scanner, scripts, syntax


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(lambda: syntax.problems(tools.INFRA), id="parsers"),
        pytest.param(lambda: scanner.scan(tools.INFRA), id="checkov"),
        pytest.param(lambda: scripts.of_scripts([]), id="shellcheck"),
        pytest.param(lambda: scripts.of_workflows([]), id="actionlint"),
        pytest.param(schemas.ask_all, id="azmcp"),
    ],
)
def test_missing_tool_fails_the_check_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, check: object
) -> None:
    nowhere = tools.ROOT / ".local" / "nowhere"
    monkeypatch.setattr(tools, "VENV", nowhere)
    monkeypatch.setattr(tools, "NODE", nowhere)
    assert callable(check)

    with pytest.raises(tools.ToolMissing, match="make tools"):
        check()


def test_tools_are_where_the_makefile_puts_them() -> None:
    makefile = (tools.ROOT / "Makefile").read_text()

    for folder in (tools.VENV, tools.NODE.parent):
        assert str(folder.relative_to(tools.ROOT)) in makefile


def test_lists_of_packages_say_nothing_of_where_they_were_made() -> None:
    for name in ("requirements-infra.txt", "requirements-bicep.txt"):
        assert "://" not in (tools.ROOT / name).read_text()
    assert '"resolved"' not in (tools.ROOT / "infra-tools" / "package-lock.json").read_text()
