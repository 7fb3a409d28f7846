"""Whom `infra/deploy.sh` and `azd up` give rights, and which registration they go on with."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.infra.conftest import Directory
from tests.infra.directory import ME, PIPELINE, SUBSCRIPTION, registration
from tests.packaging.fake_az import CLIENT_ID

REGISTER = ("--register", "--yes")
GIVEN = ("--client-id", CLIENT_ID, "--yes")
SECRET = ("--credential", "secret")
BOB = "b0b0b0b0-1111-4222-8333-888888888888"
TENANT_IDS = "3f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607, 4f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"


def test_name_of_a_registration_says_which_postroom_it_is(
    cloud: Directory, published_app: Any
) -> None:
    cloud.deploy(*REGISTER)
    cloud.deploy(*REGISTER, "--prefix", "invoices")

    assert [app["displayName"] for app in cloud.apps] == [
        f"Postroom (postroom, rg-postroom, {SUBSCRIPTION[:8]})",
        f"Postroom (invoices, rg-postroom, {SUBSCRIPTION[:8]})",
    ]


def test_registration_of_the_last_deployment_is_gone_on_with(
    cloud: Directory, published_app: Any
) -> None:
    """Whatever it is called: those of earlier versions had another name."""
    mine = registration(1, "Postroom (rg-postroom)", ME)
    cloud.change(apps=[mine])
    cloud.deploy("--client-id", mine["appId"], "--yes")

    result = cloud.deploy(*REGISTER)

    assert result.returncode == 0, result.stderr
    assert len(cloud.apps) == 1
    assert cloud.state["parameters"]["clientId"] == mine["appId"]


def test_registration_that_was_removed_is_made_anew(cloud: Directory, published_app: Any) -> None:
    cloud.deploy("--client-id", CLIENT_ID, "--yes")

    result = cloud.deploy(*REGISTER)

    assert result.returncode == 0, result.stderr
    assert f"{CLIENT_ID} of the last deployment is not there" in result.stderr
    assert cloud.state["parameters"]["clientId"] == cloud.apps[0]["appId"]


def test_second_postroom_of_a_group_recalls_its_own_parameters(
    cloud: Directory, published_app: Any
) -> None:
    cloud.deploy(*GIVEN, "--network", "private")
    cloud.deploy(*GIVEN, "--prefix", "invoices", "--alert-email", "ops@contoso.com")
    second = cloud.state["parameters"]
    cloud.deploy(*GIVEN, "--prefix", "Invoices")

    assert second["network"] == "public"
    assert cloud.state["parameters"] == second | {"prefix": "Invoices"}
    first, other = cloud.state["deployments"]
    assert first == "postroom"
    assert re.fullmatch(r"postroom\.invoices-[0-9a-f]{8}", other)


def test_code_alone_goes_to_the_postroom_that_is_meant(
    cloud: Directory, published_app: Any
) -> None:
    cloud.deploy(*GIVEN)
    cloud.deploy(*GIVEN, "--prefix", "invoices")
    second = cloud.state["deployments"]
    cloud.change(
        deployments={name: second[name] | {"failed": name == "postroom"} for name in second}
    )
    code = ("deploy.sh", "-g", "rg-postroom", "--code-only", "--prefix")

    assert cloud.run(*code, "invoices").returncode == 0
    assert cloud.run(*code, "postroom").returncode == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tenant", "common"), "admits every mailbox"),
        (("--tenant", "organizations", "--allowed-mailboxes", "contoso.com"), "no proof"),
        (("--tenant", "common", "--allowed-mailboxes", f"{TENANT_IDS};a@b.com"), "no proof"),
        (("--tenant", "common", "--allowed-mailboxes", TENANT_IDS), ""),
        (("--allowed-mailboxes", "contoso.com"), ""),
        (("--tenant", "consumers", "--allowed-mailboxes", "a@outlook.com"), ""),
    ],
)
def test_allowed_address_that_is_no_proof_is_warned_of(
    cloud: Directory, options: tuple[str, ...], said: str
) -> None:
    result = cloud.deploy("--client-id", CLIENT_ID, "--what-if", *options)

    assert result.returncode == 0, result.stderr
    assert ("warning" in result.stderr) == bool(said)
    assert said in result.stderr


def test_right_to_write_the_secret_goes_to_who_stores_the_first_and_to_nobody_after(
    cloud: Directory, published_app: Any
) -> None:
    cloud.deploy(*REGISTER, *SECRET)
    first = cloud.state["parameters"]
    cloud.change(caller="servicePrincipal")

    result = cloud.deploy(*REGISTER)

    assert first["administratorId"] == ME
    assert result.returncode == 0, result.stderr
    assert cloud.state["parameters"]["administratorId"] == ME
    assert "secret is left as it is" in result.stdout
    assert len(cloud.state["keys"]) == 1


def test_service_principal_that_stores_the_secret_is_named_as_one(
    cloud: Directory, published_app: Any
) -> None:
    cloud.change(caller="servicePrincipal")

    result = cloud.deploy(*REGISTER, *SECRET)

    assert result.returncode == 0, result.stderr
    assert cloud.state["parameters"]["administratorId"] == PIPELINE
    assert cloud.state["parameters"]["administratorType"] == "ServicePrincipal"


def test_right_that_was_taken_back_is_not_given_again(cloud: Directory, published_app: Any) -> None:
    cloud.deploy(*REGISTER, *SECRET)
    cloud.deploy(*REGISTER, "--parameter", "administratorId=")

    result = cloud.deploy(*REGISTER)

    assert result.returncode == 0, result.stderr
    assert not cloud.state["parameters"].get("administratorId")


@pytest.mark.parametrize("options", [GIVEN, REGISTER])
def test_without_a_secret_nobody_is_given_a_right_to_the_vault(
    cloud: Directory, published_app: Any, options: tuple[str, ...]
) -> None:
    cloud.deploy(*options)

    assert "administratorId" not in cloud.state["parameters"]


def test_who_deploys_is_given_no_right_where_somebody_else_stores_the_secret(
    cloud: Directory, published_app: Any
) -> None:
    result = cloud.deploy(*GIVEN, *SECRET)

    assert "administratorId" not in cloud.state["parameters"]
    assert "--parameter administratorId=<their object id" in result.stdout


def test_azd_gives_the_right_to_write_the_secret_once(cloud: Directory) -> None:
    secret = {"POSTROOM_CREDENTIAL": "secret", "AZURE_RESOURCE_GROUP": "rg"}
    cloud.run("azd-hook.sh", "preprovision", **secret)
    first = cloud.azd()
    (cloud.folder / "azd").unlink()

    cloud.run("azd-hook.sh", "preprovision", **{**first, **secret, "POSTROOM_ADMINISTRATOR_ID": ""})

    assert first["POSTROOM_ADMINISTRATOR_ID"] == ME
    assert first["POSTROOM_ADMINISTRATOR_TYPE"] == "User"
    assert cloud.azd() == {}
    assert cloud.apps[0]["displayName"] == f"Postroom (postroom, rg, {SUBSCRIPTION[:8]})"


def test_azd_gives_no_right_where_somebody_else_registers(cloud: Directory) -> None:
    cloud.run(
        "azd-hook.sh", "preprovision", POSTROOM_CREDENTIAL="secret", POSTROOM_CLIENT_ID=CLIENT_ID
    )

    assert "POSTROOM_ADMINISTRATOR_ID" not in cloud.azd()


@pytest.mark.parametrize(("administrator", "stored"), [(ME, True), (BOB, False)])
def test_azd_stores_a_secret_where_the_right_is_there(
    cloud: Directory, administrator: str, stored: bool
) -> None:
    cloud.change(apps=[registration(1, "Postroom", ME)])

    result = cloud.run(
        "azd-hook.sh",
        "postprovision",
        POSTROOM_CREDENTIAL="secret",
        POSTROOM_CLIENT_ID=cloud.apps[0]["appId"],
        POSTROOM_REGISTERED_BY_AZD="true",
        POSTROOM_ADMINISTRATOR_ID=administrator,
        redirectUri="https://func.example.net/api/auth/callback",
        vaultName="kv-postroom",
    )

    assert result.returncode == 0, result.stderr
    assert bool(cloud.state["secrets"]) == stored


@pytest.mark.parametrize(
    ("credential", "ending"),
    [("managed-identity", "--identity-principal p-1"), ("secret", "--vault kv-postroom")],
)
def test_azd_prints_the_whole_command_for_who_registers(
    cloud: Directory, credential: str, ending: str
) -> None:
    result = cloud.run(
        "azd-hook.sh",
        "postprovision",
        POSTROOM_CREDENTIAL=credential,
        POSTROOM_CLIENT_ID=CLIENT_ID,
        redirectUri="https://func.example.net/api/auth/callback",
        vaultName="kv-postroom",
        identityPrincipalId="p-1",
    )

    (line,) = [line for line in result.stdout.splitlines() if "register-app.sh" in line]
    assert line.split()[:3] == ["infra/register-app.sh", "--client-id", CLIENT_ID]
    assert "--redirect-uri https://func.example.net/api/auth/callback" in line
    assert line.endswith(ending)


@pytest.mark.parametrize("name", ["AZURE_RESOURCE_GROUP", "resourceGroupName"])
def test_azd_prints_the_command_for_the_key_with_its_group(cloud: Directory, name: str) -> None:
    result = cloud.run("azd-hook.sh", "postdeploy", functionAppName="func-a", **{name: "rg-a"})

    assert "--resource-group 'rg-a' --name 'func-a'" in result.stdout
