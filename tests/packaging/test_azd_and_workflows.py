"""`azure.yaml`, its hook, and the workflows say the same as the templates and scripts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.packaging.conftest import ROOT, Cloud
from tests.packaging.fake_az import CLIENT_ID, PRINCIPAL, TENANT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CALLBACK = "https://func-postroom.example.net/api/auth/callback"


def loaded(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def template_parameters() -> set[str]:
    text = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    return set(re.findall(r"^param (\w+) ", text, re.MULTILINE))


def test_azd_publishes_to_the_site_that_the_template_tags() -> None:
    (service,) = loaded(ROOT / "azure.yaml")["services"].items()
    app = (ROOT / "infra" / "modules" / "function-app.bicep").read_text(encoding="utf-8")

    assert service[1] == {"project": ".", "language": "python", "host": "function"}
    assert f"'azd-service-name': '{service[0]}'" in app


def test_azd_calls_scripts_that_are_there() -> None:
    for event, hook in loaded(ROOT / "azure.yaml")["hooks"].items():
        script, argument = hook["run"].split()
        assert (ROOT / script).stat().st_mode & 0o111
        assert argument == event


def test_azd_gives_parameters_that_the_template_has() -> None:
    given = json.loads((ROOT / "infra" / "main.parameters.json").read_text())["parameters"]

    assert given.keys() <= template_parameters()


def test_deploy_gives_parameters_that_the_template_has() -> None:
    script = (ROOT / "infra" / "deploy.sh").read_text(encoding="utf-8")
    given = set(re.findall(r'"(\w+)=\$', script))

    assert len(given) == 9, given
    assert given <= template_parameters()


def test_outputs_that_the_scripts_read_are_the_templates() -> None:
    main = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    outputs = set(re.findall(r"^output (\w+) ", main, re.MULTILINE))
    deploy = (ROOT / "infra" / "deploy.sh").read_text(encoding="utf-8")
    hook = (ROOT / "infra" / "azd-hook.sh").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\(output (\w+)\)", deploy))
    read |= set(re.findall(r"\$\{([a-z]\w*[A-Z]\w*):", hook))

    assert {"redirectUri", "sendUrl", "vaultName", "identityPrincipalId"} <= read
    assert read <= outputs


def test_the_page_explains_every_parameter() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    table = page.partition("## Parameters")[2].partition("\n## ")[0]

    assert set(re.findall(r"`(\w+)`", table)) >= template_parameters()


@pytest.fixture
def azd(cloud: Cloud) -> Path:
    """A stand-in for azd that keeps what it is told to set."""
    tool = cloud.tools / "azd"
    tool.write_text('#!/bin/sh\necho "$@" >>"$FAKE_AZ/azd"\n')
    tool.chmod(0o755)
    return cloud.folder / "azd"


def test_azd_registers_the_app_before_and_finishes_it_after(cloud: Cloud, azd: Path) -> None:
    before = cloud.run("azd-hook.sh", "preprovision", AZURE_ENV_NAME="prod")
    after = cloud.run(
        "azd-hook.sh",
        "postprovision",
        POSTROOM_CLIENT_ID=CLIENT_ID,
        POSTROOM_REGISTERED_BY_AZD="true",
        redirectUri=CALLBACK,
        identityPrincipalId=PRINCIPAL,
    )

    assert (before.returncode, after.returncode) == (0, 0), before.stderr + after.stderr
    assert azd.read_text().splitlines() == [
        f"env set POSTROOM_CLIENT_ID {CLIENT_ID}",
        "env set POSTROOM_REGISTERED_BY_AZD true",
        f"env set POSTROOM_TENANT {TENANT}",
    ]
    assert cloud.state["app"]["uris"] == [CALLBACK]
    assert cloud.state["app"]["federated"]["subject"] == PRINCIPAL


def test_azd_leaves_a_registration_of_others_alone(cloud: Cloud, azd: Path) -> None:
    given = {"POSTROOM_CLIENT_ID": CLIENT_ID, "POSTROOM_TENANT": TENANT, "redirectUri": CALLBACK}

    before = cloud.run("azd-hook.sh", "preprovision", **given)
    after = cloud.run("azd-hook.sh", "postprovision", **given)

    assert (before.returncode, after.returncode) == (0, 0)
    assert CALLBACK in after.stdout
    assert cloud.calls() == []


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_no_secret_and_few_rights(path: Path) -> None:
    workflow = loaded(path)
    granted = [workflow["permissions"]]
    granted += [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]

    # Masked in logs, which a public repository shows to everybody; none of them is a credential.
    named = set(re.findall(r"secrets\.(\w+)", path.read_text(encoding="utf-8")))
    assert all(re.search("_(ID|TENANT|EMAIL|MAILBOXES)$", name) for name in named)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(rights.keys() <= {"contents", "id-token"} for rights in granted)
    assert all(rights["contents"] == "read" for rights in granted)
    assert "concurrency" in workflow


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_from_outside_is_pasted_into_a_script(path: Path) -> None:
    """What a person typed reaches a shell as a variable, never as text of the script."""
    assert not [step["run"] for step in steps(loaded(path)) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_with_a_version_and_leave_no_token_behind(path: Path) -> None:
    for step in steps(loaded(path)):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_every_python_that_is_supported_is_tested() -> None:
    ci = loaded(ROOT / ".github" / "workflows" / "ci.yml")

    assert ci["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    # make takes the newest Python that the machine has, unless it is told.
    assert ci["jobs"]["test"]["steps"][-1]["env"] == {"PYTHON": "python${{ matrix.python }}"}


def test_what_would_change_is_shown_before_it_is_deployed() -> None:
    jobs = loaded(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]

    assert jobs["what-if"]["needs"] == "check"
    assert jobs["deploy"]["needs"] == "what-if"
    assert "--what-if" in jobs["what-if"]["steps"][-1]["run"]
    assert jobs["what-if"]["environment"] != jobs["deploy"]["environment"]


def test_workflow_gives_each_line_of_its_parameters(cloud: Cloud) -> None:
    step = loaded(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["what-if"]["steps"][-1]
    given = dict.fromkeys(step["env"], "") | {"GROUP": "rg", "LOCATION": "x", "CLIENT_ID": "c"}
    given["PARAMETERS"] = 'maskLedger=true\nallowedIpRanges=["203.0.113.7", "203.0.113.8"]\n'

    done = subprocess.run(  # noqa: S603 - our own workflow
        [
            str(cloud.tools / "bash"),
            "-euc",
            step["run"].replace("infra/deploy.sh", "printf '%s\\n'"),
        ],
        env=given | {"PATH": str(cloud.tools)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[6:] == [
        "--parameter",
        "maskLedger=true",
        "--parameter",
        'allowedIpRanges=["203.0.113.7", "203.0.113.8"]',
        "--what-if",
    ]


def test_azd_warns_where_everybody_could_sign_in(cloud: Cloud, azd: Path) -> None:
    everybody = cloud.run("azd-hook.sh", "preprovision", POSTROOM_TENANT="common")
    one = cloud.run("azd-hook.sh", "preprovision", POSTROOM_TENANT=TENANT, POSTROOM_CLIENT_ID="c")

    assert "every mailbox of every organisation" in everybody.stderr
    assert "warning" not in one.stderr


def test_azd_registers_nothing_in_another_tenant_than_the_mailboxes(
    cloud: Cloud, azd: Path
) -> None:
    other = "4f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"

    result = cloud.run("azd-hook.sh", "preprovision", POSTROOM_TENANT=other)

    assert result.returncode == 1
    assert other in result.stderr
    assert cloud.state["app"] is None


def test_page_lets_the_workflow_give_the_roles_of_the_template_and_no_others() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    roles = (ROOT / "infra" / "modules" / "roles.bicep").read_text(encoding="utf-8")
    guid = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    listed = page.partition("ids='")[2].partition("'")[0]

    assert set(re.findall(guid, listed)) == set(re.findall(f"'({guid})'", roles))


def test_no_part_of_the_workflow_is_only_in_one_of_its_jobs() -> None:
    """Both jobs give the same settings, so that what was shown is what is deployed."""
    jobs = loaded(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    shown, deployed = jobs["what-if"]["steps"][-1], jobs["deploy"]["steps"][-1]

    assert shown["env"] == deployed["env"]
    assert shown["run"].replace("--what-if", "") == deployed["run"].replace("--yes", "")
