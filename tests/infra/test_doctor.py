"""azure-functions-doctor finds the app and its deployment well."""

from __future__ import annotations

from pathlib import Path

from tests.infra.checks import doctor
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_doctor_finds_nothing(tmp_path: Path) -> None:
    doctor.stage(tmp_path, INFRA)

    assert doctor.problems(doctor.examine(tmp_path)) == []


def test_doctor_finds_what_flex_consumption_forbids(copy: Copy, tmp_path: Path) -> None:
    copy.change("'AzureWebJobsDisableHomepage'", "'FUNCTIONS_WORKER_RUNTIME'")
    copy.change("^          authentication: ", "          auth: ", "function-app.bicep")
    staged = tmp_path / "staged"
    staged.mkdir()
    doctor.stage_templates(staged, copy.infra)

    found = doctor.problems(doctor.examine(staged))

    assert has(found, "check_flex_deprecated_settings")
    assert has(found, "check_flex_deployment_storage")
