"""`infra/deploy.sh` against a stand-in for Azure."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.packaging.conftest import Cloud
from tests.packaging.fake_az import ADMINISTRATOR, CLIENT_ID, PRINCIPAL, SECRET, TENANT

REGISTER = ("--register", "--yes")
SECRET_KIND = ("--credential", "secret")
GIVEN = ("--client-id", CLIENT_ID, "--yes")


def position(calls: list[str], beginning: str) -> int:
    found = [index for index, call in enumerate(calls) if call.startswith(beginning)]
    assert found, f"no call {beginning}"
    return found[0]


def test_one_command_brings_all_of_it_up(cloud: Cloud, published_app: Any) -> None:
    result = cloud.deploy(
        *REGISTER,
        *SECRET_KIND,
        "--allowed-mailboxes",
        "billing@contoso.com, fabrikam.com",
        PYTHON=sys.executable,
    )

    state = cloud.state
    assert result.returncode == 0, result.stderr
    assert state["groups"] == ["rg-postroom"]
    assert state["app"]["uris"] == ["https://func-postroom.example.net/api/auth/callback"]
    assert state["secrets"]["postroom-client-secret"]["value"] == SECRET
    assert "host.json" in state["published"]
    assert state["parameters"] == {
        "prefix": "postroom",
        "location": "westeurope",
        "clientId": CLIENT_ID,
        "authorityTenant": TENANT,
        "credential": "secret",
        "allowedMailboxes": "billing@contoso.com, fabrikam.com",
        "alertEmail": "",
        "network": "public",
        "administratorId": ADMINISTRATOR,
    }


def test_what_would_change_is_shown_before_anything_is_deployed(
    cloud: Cloud, published_app: Any
) -> None:
    result = cloud.deploy(*GIVEN)

    calls = cloud.calls()
    preview = position(calls, "deployment group what-if")
    deployed = position(calls, "deployment group create")
    published = position(calls, "functionapp deployment source config-zip")
    assert preview < deployed < published
    assert "--build-remote true" in calls[published]
    assert result.stdout.index("12 to create") < result.stdout.index("Deploying")


def test_the_next_step_is_printed(cloud: Cloud, published_app: Any) -> None:
    result = cloud.deploy(*GIVEN)

    assert "https://func-postroom.example.net/signin" in result.stdout
    assert "https://func-postroom.example.net/api/auth/callback" in result.stdout
    assert "--function-name open_session" in result.stdout
    assert f"infra/register-app.sh --client-id {CLIENT_ID}" in result.stdout


def test_a_second_run_makes_the_same_calls_and_a_third_too(
    cloud: Cloud, published_app: Any
) -> None:
    assert cloud.deploy(*REGISTER, *SECRET_KIND).returncode == 0
    first, before = cloud.calls(), cloud.state
    assert cloud.deploy(*REGISTER, *SECRET_KIND).returncode == 0
    second = cloud.calls()
    assert cloud.deploy(*REGISTER, *SECRET_KIND).returncode == 0
    third = cloud.calls()

    made_once = (
        "group create",
        "ad app create",
        "ad sp create",
        "ad app credential",
        "keyvault secret set",
    )
    assert {**cloud.state, "made": 0, "deployments": 0} == {**before, "made": 0, "deployments": 0}
    assert second == third
    assert not [call for call in second if call.startswith(made_once)]
    asked = {call for call in second if call.startswith("deployment group list")}
    assert {call for call in second if call.startswith(("deployment", "functionapp"))} == asked | {
        call for call in first if call.startswith(("deployment", "functionapp"))
    }


def test_a_run_with_fewer_options_opens_nothing_that_an_earlier_one_closed(
    cloud: Cloud, published_app: Any
) -> None:
    closed = ("--network", "private", "--allowed-mailboxes", "billing@contoso.com")
    kept = ("--alert-email", "ops@contoso.com", *SECRET_KIND)
    assert cloud.deploy(*REGISTER, *closed, *kept).returncode == 0
    before = dict(cloud.state["parameters"])

    assert cloud.deploy(*REGISTER).returncode == 0

    assert cloud.state["parameters"] == before
    assert before["network"] == "private"


def test_the_client_secret_is_in_no_command_line_and_no_output(
    cloud: Cloud, published_app: Any
) -> None:
    result = cloud.deploy(*REGISTER, *SECRET_KIND)

    assert SECRET not in result.stdout + result.stderr
    assert SECRET not in "\n".join(cloud.calls())
    assert list(cloud.folder.glob("tmp*")) == []


def test_as_it_comes_there_is_no_secret(cloud: Cloud, published_app: Any) -> None:
    result = cloud.deploy(*REGISTER)

    assert result.returncode == 0, result.stderr
    assert cloud.state["secrets"] == {}
    assert cloud.state["app"]["federated"]["subject"] == PRINCIPAL


def test_an_administrator_that_was_named_is_not_replaced(cloud: Cloud, published_app: Any) -> None:
    cloud.deploy(*GIVEN, *SECRET_KIND, "--parameter", "administratorId=somebody-else")

    assert cloud.state["parameters"]["administratorId"] == "somebody-else"
    assert not [call for call in cloud.calls() if call.startswith("ad signed-in-user")]


def test_what_if_alone_changes_nothing(cloud: Cloud) -> None:
    cloud.change(groups=["rg-postroom"])
    before = cloud.state

    result = cloud.deploy("--register", "--what-if")

    assert result.returncode == 0, result.stderr
    assert cloud.state == before
    assert "12 to create" in result.stdout


def test_what_if_says_so_when_the_group_is_not_there(cloud: Cloud) -> None:
    result = cloud.deploy("--client-id", CLIENT_ID, "--what-if")

    assert result.returncode == 0, result.stderr
    assert "is not there" in result.stdout
    assert cloud.state["groups"] == []


def test_code_alone_is_published_without_a_deployment(cloud: Cloud, published_app: Any) -> None:
    cloud.deploy(*GIVEN)
    cloud.calls()

    result = cloud.run("deploy.sh", "--resource-group", "rg-postroom", "--code-only")

    calls = cloud.calls()
    assert result.returncode == 0, result.stderr
    assert position(calls, "functionapp deployment source config-zip")
    assert not [call for call in calls if call.startswith("deployment group create")]


def test_what_was_deployed_and_cannot_be_read_is_not_overwritten(
    cloud: Cloud, published_app: Any
) -> None:
    cloud.deploy(*GIVEN, "--network", "private", "--allowed-mailboxes", "contoso.com")
    before = cloud.state
    cloud.calls()
    cloud.fail("deployment group list")

    result = cloud.deploy(*GIVEN)

    assert result.returncode == 1
    assert "nothing was changed" in result.stderr
    assert cloud.state == before
    assert not [call for call in cloud.calls() if call.startswith("deployment group create")]


def test_every_parameter_stays_until_it_is_cleared(cloud: Cloud, published_app: Any) -> None:
    given = ("maskLedger=true", "publicHost=mail.contoso.com", 'allowedIpRanges=["203.0.113.7"]')
    options = [word for one in given for word in ("--parameter", one)]
    cloud.deploy(*GIVEN, *options, "--alert-email", "ops@contoso.com")
    before = cloud.state["parameters"]

    cloud.deploy(*GIVEN)
    kept = cloud.state["parameters"]
    cloud.deploy(*GIVEN, "--parameter", "alertEmail=", "--parameter", "publicHost=")

    assert kept == before
    assert cloud.state["parameters"] == before | {"alertEmail": "", "publicHost": ""}


def test_parameter_that_the_template_no_longer_has_is_left_out(
    cloud: Cloud, published_app: Any
) -> None:
    cloud.deploy(*GIVEN, "--parameter", "formerly=1")

    cloud.deploy(*GIVEN)

    assert "formerly" not in cloud.state["parameters"]


def test_postroom_that_azd_deployed_keeps_its_parameters(cloud: Cloud, published_app: Any) -> None:
    cloud.deploy(*GIVEN, "--network", "private")
    record = cloud.state["deployments"]["postroom"]
    cloud.change(deployments={"prod-1700000000": record})

    again = cloud.deploy(*GIVEN)
    parameters, names = cloud.state["parameters"], cloud.state["deployments"].keys()
    cloud.change(deployments={"prod-1700000000": record})
    code = cloud.run("deploy.sh", "--resource-group", "rg-postroom", "--code-only")

    assert parameters["network"] == "private"
    assert names == {"prod-1700000000", "postroom"}
    assert "prod-1700000000, not by this script" in again.stderr
    assert "azd" in code.stderr
    assert code.returncode == 0, code.stderr


def test_prefixes_that_differ_in_a_hyphen_have_a_record_each(
    cloud: Cloud, published_app: Any
) -> None:
    cloud.deploy(*GIVEN)
    cloud.deploy(*GIVEN, "--prefix", "a-b", "--network", "private")
    cloud.deploy(*GIVEN, "--prefix", "ab")

    assert len(cloud.state["deployments"]) == 3
    assert cloud.state["parameters"]["network"] == "public"


def test_of_several_postrooms_none_is_guessed(cloud: Cloud, published_app: Any) -> None:
    cloud.deploy(*GIVEN)
    cloud.deploy(*GIVEN, "--prefix", "invoices")

    result = cloud.run("deploy.sh", "--resource-group", "rg-postroom", "--code-only")

    assert result.returncode == 1
    assert "invoices, postroom" in result.stderr
    assert "--prefix" in result.stderr


def test_code_alone_after_a_failed_deployment_says_what_is_missing(
    cloud: Cloud, published_app: Any
) -> None:
    cloud.deploy(*GIVEN)
    record = cloud.state["deployments"]["postroom"]
    cloud.change(deployments={"postroom": record | {"failed": True, "made": 7}})
    code = ("deploy.sh", "--resource-group", "rg-postroom", "--code-only")

    alone = cloud.run(*code)
    cloud.change(deployments={**cloud.state["deployments"], "prod-17": record})
    with_one_before = cloud.run(*code)

    assert alone.returncode == 1
    assert "the last one failed" in alone.stderr
    assert "Traceback" not in alone.stderr
    assert with_one_before.returncode == 0, with_one_before.stderr


def test_registration_is_not_made_in_another_tenant_than_its_mailboxes(cloud: Cloud) -> None:
    other = "4f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"

    result = cloud.deploy(*REGISTER, "--tenant", other)

    assert result.returncode == 1
    assert TENANT in result.stderr
    assert other in result.stderr
    assert cloud.state["app"] is None


@pytest.mark.parametrize(
    ("found", "said"),
    [({"version": "2.75.0"}, "az upgrade"), ({"bicep": "0.35.1"}, "az bicep upgrade")],
)
def test_tool_that_is_too_old_is_named_first(
    cloud: Cloud, found: dict[str, str], said: str
) -> None:
    cloud.change(**found)

    result = cloud.deploy(*GIVEN)

    assert result.returncode == 1
    assert said in result.stderr
    assert cloud.state["groups"] == []


def test_without_az_it_says_where_to_get_it(cloud: Cloud) -> None:
    (cloud.tools / "az").unlink()

    result = cloud.deploy(*GIVEN)

    assert result.returncode == 1
    assert "az) is missing" in result.stderr
    assert "install-azure-cli" in result.stderr


def test_who_is_not_signed_in_is_told_how_to(cloud: Cloud) -> None:
    cloud.change(signed_in=False)

    result = cloud.deploy(*GIVEN)

    assert result.returncode == 1
    assert "az login" in result.stderr
    assert cloud.calls()[-1].startswith("account show")


def test_without_a_yes_nothing_is_made_where_nobody_can_be_asked(cloud: Cloud) -> None:
    result = cloud.deploy("--client-id", CLIENT_ID)

    assert result.returncode == 1
    assert "--yes" in result.stderr
    assert cloud.state["groups"] == []


@pytest.mark.parametrize(
    ("failing", "said", "never"),
    [
        pytest.param("deployment group what-if", "made, and used", "deployment group create"),
        pytest.param("deployment group create", "code was not published", "functionapp"),
        pytest.param("functionapp deployment", "--code-only", "none"),
        pytest.param("group create", "Contributor", "deployment"),
        pytest.param("deployment group show", "outputs", "functionapp"),
    ],
)
def test_a_failure_stops_it_with_its_remedy(
    cloud: Cloud, published_app: Any, failing: str, said: str, never: str
) -> None:
    cloud.fail(failing)

    result = cloud.deploy(*GIVEN)

    assert result.returncode == 1
    assert said in result.stderr
    assert not [call for call in cloud.calls() if call.startswith(never)]
    cloud.fail("")
    assert cloud.deploy(*GIVEN).returncode == 0


def test_an_app_that_does_not_come_up_is_reported_with_what_it_answered(
    cloud: Cloud, published_app: Any
) -> None:
    published_app.status = 503

    result = cloud.deploy(*GIVEN, HEALTH_SECONDS="1")

    assert result.returncode == 1
    assert "misconfigured" in result.stderr
    assert "last answer: 503" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--location", "x", "--register"), "--resource-group is missing"),
        pytest.param(("--resource-group", "g", "--register"), "--location is missing"),
        pytest.param(("--resource-group", "g", "--location", "x"), "--register or --client-id"),
        pytest.param(("--resource-group",), "needs a value"),
        pytest.param(("--colour", "red"), "unknown option: --colour"),
        pytest.param(
            ("--resource-group", "g", "--location", "x", "--register", "--network", "vpn"),
            "--network must be",
        ),
        pytest.param(
            ("--resource-group", "g", "--location", "x", "--register", "--parameter", "x"),
            "NAME=VALUE",
        ),
        pytest.param(("--resource-group", "g", "--what-if", "--code-only"), "exclude each other"),
        pytest.param(
            ("-g", "g", "-l", "x", "--register", "--parameter", "network=public"), "option of its"
        ),
    ],
)
def test_a_wrong_option_is_named_before_azure_is_asked(
    cloud: Cloud, options: tuple[str, ...], said: str
) -> None:
    result = cloud.run("deploy.sh", *options)

    assert result.returncode == 1
    assert said in result.stderr
    assert cloud.calls() == []
