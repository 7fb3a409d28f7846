"""`infra/register-app.sh` against a stand-in for Entra and Key Vault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.packaging.conftest import Cloud
from tests.packaging.fake_az import CLIENT_ID, PRINCIPAL, SECRET, TENANT

CALLBACK = "https://func-postroom.example.net/api/auth/callback"
SCOPES = {
    "e383f46e-2787-4529-855e-0e479a3ffac0": "Mail.Send",
    "e1fe6dd8-ba31-4d61-89e7-88639da4683d": "User.Read",
    "7427e0e9-2fba-42fe-b0c0-848c9e6a8182": "offline_access",
    "37f7f235-527c-4136-accd-4a02d197296e": "openid",
    "14dad69e-099b-42c9-810b-d002981feec1": "profile",
    "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0": "email",
    "024d486e-b451-40bb-833d-3e66d98c5c73": "Mail.ReadWrite",
}


def test_a_registration_is_made_with_the_least_permissions(cloud: Cloud) -> None:
    result = cloud.run("register-app.sh", "--redirect-uri", CALLBACK)

    app = cloud.state["app"]
    (graph,) = app["permissions"]
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{CLIENT_ID}\n"
    assert app["uris"] == [CALLBACK]
    assert app["audience"] == "AzureADMyOrg"
    assert cloud.state["sp"] is True
    assert graph["resourceAppId"] == "00000003-0000-0000-c000-000000000000"
    assert {SCOPES[access["id"]] for access in graph["resourceAccess"]} == {
        "Mail.Send",
        "User.Read",
        "offline_access",
        "openid",
        "profile",
        "email",
    }
    assert {access["type"] for access in graph["resourceAccess"]} == {"Scope"}


def test_what_is_registered_already_is_kept(cloud: Cloud) -> None:
    other = "https://mail.contoso.com/api/auth/callback"
    cloud.run("register-app.sh", "--redirect-uri", other)

    more = ("--scope", "Mail.ReadWrite", "--yes")
    result = cloud.run("register-app.sh", "--redirect-uri", CALLBACK, *more)

    app = cloud.state["app"]
    assert result.stdout == f"{CLIENT_ID}\n"
    assert app["uris"] == [other, CALLBACK]
    assert "Mail.ReadWrite" in {SCOPES[a["id"]] for a in app["permissions"][0]["resourceAccess"]}


def test_a_second_run_changes_nothing(cloud: Cloud) -> None:
    options = ("--redirect-uri", CALLBACK, "--vault", "kv-postroom", "--yes")
    cloud.run("register-app.sh", *options)
    before = cloud.state
    cloud.calls()

    result = cloud.run("register-app.sh", *options)

    assert result.returncode == 0, result.stderr
    assert cloud.state == before
    assert not [call for call in cloud.calls() if "credential reset" in call or " create" in call]


def test_a_secret_goes_to_the_vault_and_nowhere_else(cloud: Cloud) -> None:
    result = cloud.run("register-app.sh", "--vault", "kv-postroom", "--secret-days", "90")

    stored = cloud.state["secrets"]["postroom-client-secret"]
    expires = datetime.fromisoformat(stored["expires"])
    assert stored["value"] == SECRET
    assert abs(expires - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=5)
    assert SECRET not in result.stdout + result.stderr
    assert SECRET not in "\n".join(cloud.calls())
    assert not list(cloud.folder.glob("tmp*"))


def test_a_new_secret_leaves_the_old_one_valid(cloud: Cloud) -> None:
    cloud.run("register-app.sh", "--vault", "kv-postroom")
    cloud.run("register-app.sh", "--vault", "kv-postroom", "--renew-secret", "--yes")

    assert len(cloud.state["keys"]) == 2


def test_a_secret_that_cannot_be_stored_is_removed_from_entra_again(cloud: Cloud) -> None:
    cloud.fail("keyvault secret set")

    result = cloud.run("register-app.sh", "--vault", "kv-postroom")

    assert result.returncode == 1
    assert "Key Vault Secrets Officer" in result.stderr
    assert cloud.state["keys"] == {}
    assert SECRET not in result.stdout + result.stderr


def test_no_secret_is_made_for_a_vault_that_cannot_be_read(cloud: Cloud) -> None:
    cloud.fail("keyvault secret show")

    result = cloud.run("register-app.sh", "--vault", "kv-postroom")

    assert result.returncode == 1
    assert "private vault" in result.stderr
    assert cloud.state["keys"] == {}


def test_a_managed_identity_is_trusted_by_its_principal_id(cloud: Cloud) -> None:
    result = cloud.run("register-app.sh", "--identity-principal", PRINCIPAL)

    assert result.returncode == 0, result.stderr
    assert cloud.state["app"]["federated"] == {
        "name": f"postroom-{PRINCIPAL}",
        "description": "The managed identity of a function app",
        "issuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "subject": PRINCIPAL,
        "audiences": ["api://AzureADTokenExchange"],
    }
    assert cloud.state["keys"] == {}


@pytest.mark.parametrize(
    ("accounts", "audience"),
    [
        ("organizations", "AzureADMultipleOrgs"),
        ("common", "AzureADandPersonalMicrosoftAccount"),
        ("consumers", "PersonalMicrosoftAccount"),
    ],
)
def test_the_audience_follows_from_who_signs_in(cloud: Cloud, accounts: str, audience: str) -> None:
    cloud.run("register-app.sh", "--accounts", accounts)

    assert cloud.state["app"]["audience"] == audience


def test_a_name_that_several_registrations_have_is_not_guessed(cloud: Cloud) -> None:
    cloud.change(app={"name": "Ann's post", "uris": [], "federated": None, "copies": 2})

    result = cloud.run("register-app.sh", "--name", "Ann's post")

    assert result.returncode == 1
    assert "--client-id" in result.stderr


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("ad app create", "Application Developer"),
        ("ad app list", "--client-id"),
        ("ad app credential reset", "as the test asked for"),
    ],
)
def test_a_refusal_is_told_with_its_remedy(cloud: Cloud, failing: str, said: str) -> None:
    cloud.fail(failing)

    result = cloud.run("register-app.sh", "--vault", "kv-postroom")

    assert result.returncode == 1
    assert said in result.stderr
    assert cloud.state["secrets"] == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--redirect-uri", "http://contoso.com/api/auth/callback"), "must be https"),
        (("--redirect-uri", "https://contoso.com/"), "/api/auth/callback"),
        (("--scope", "Mail.Read"), "unknown permission"),
        (("--accounts", "all"), "--accounts must be"),
        (("--secret-days", "1000"), "730"),
        (("--vault", "v", "--identity-principal", PRINCIPAL), "exclude each other"),
        (("--name",), "needs a value"),
        (("--password", "x"), "unknown option"),
    ],
)
def test_a_wrong_option_is_named_before_entra_is_asked(
    cloud: Cloud, options: tuple[str, ...], said: str
) -> None:
    result = cloud.run("register-app.sh", *options)

    assert result.returncode == 1
    assert said in result.stderr
    assert cloud.calls() == []


@pytest.mark.parametrize("script", ["deploy.sh", "register-app.sh", "package.sh"])
def test_every_script_tells_its_usage(cloud: Cloud, script: str) -> None:
    result = cloud.run(script, "--help")

    assert result.returncode == 0
    assert "usage: infra/" in result.stdout.lower()
    assert cloud.calls() == []
