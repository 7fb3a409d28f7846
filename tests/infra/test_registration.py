"""`infra/register-app.sh` in a directory in which others have registrations too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.conftest import Directory
from tests.infra.directory import ME, PIPELINE, SUBSCRIPTION, registration
from tests.packaging.fake_az import PRINCIPAL, TENANT

GRAPH = "00000003-0000-0000-c000-000000000000"
SHAREPOINT = "00000003-0000-0ff1-ce00-000000000000"
MAIL_SEND = "e383f46e-2787-4529-855e-0e479a3ffac0"
CALENDARS = "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42"
ANYBODY = "b633e1c5-b582-4048-a93e-9f11b44c7e96"
MALLORY = "66666666-1111-4222-8333-999999999999"
CALLBACK = "https://func-postroom.example.net/api/auth/callback"
ISSUER = f"https://login.microsoftonline.com/{TENANT}/v2.0"
DEFAULT_NAME = f"Postroom (postroom, {SUBSCRIPTION[:8]})"


def trusted(name: str, subject: str) -> dict[str, Any]:
    return {"name": name, "issuer": ISSUER, "subject": subject, "audiences": []}


def test_new_registration_is_called_after_prefix_and_subscription(cloud: Directory) -> None:
    cloud.run("register-app.sh")
    cloud.run("register-app.sh", "--prefix", "invoices")

    names = [app["displayName"] for app in cloud.apps]
    assert names == [DEFAULT_NAME, f"Postroom (invoices, {SUBSCRIPTION[:8]})"]


@pytest.mark.parametrize("options", [("--redirect-uri", CALLBACK), ("--scope", "Mail.ReadWrite")])
def test_audience_stays_where_none_is_given(cloud: Directory, options: tuple[str, ...]) -> None:
    cloud.change(apps=[registration(1, "Mail", ME, signInAudience="AzureADMultipleOrgs")])

    result = cloud.run("register-app.sh", "--client-id", cloud.apps[0]["appId"], *options)

    assert result.returncode == 0, result.stderr
    assert cloud.apps[0]["signInAudience"] == "AzureADMultipleOrgs"


def test_audience_changes_where_one_is_given(cloud: Directory) -> None:
    cloud.change(apps=[registration(1, "Mail", ME, signInAudience="AzureADMultipleOrgs")])

    cloud.run("register-app.sh", "--client-id", cloud.apps[0]["appId"], "--accounts", "tenant")

    assert cloud.apps[0]["signInAudience"] == "AzureADMyOrg"


def test_permissions_that_are_there_stay(cloud: Directory) -> None:
    """Graph's others, roles of the app itself, and those of other resources."""
    sharepoint = {"resourceAppId": SHAREPOINT, "resourceAccess": [{"id": "s", "type": "Scope"}]}
    more = [{"id": CALENDARS, "type": "Scope"}, {"id": ANYBODY, "type": "Role"}]
    graph = {"resourceAppId": GRAPH, "resourceAccess": [*more, {"id": MAIL_SEND, "type": "Scope"}]}
    app = registration(1, "Mail", ME, requiredResourceAccess=[sharepoint, graph])
    cloud.change(apps=[app])

    result = cloud.run("register-app.sh", "--client-id", app["appId"])

    kept, merged = cloud.apps[0]["requiredResourceAccess"]
    scopes = [one["id"] for one in merged["resourceAccess"]]
    assert result.returncode == 0, result.stderr
    assert kept == sharepoint
    assert merged["resourceAccess"][:2] == more
    assert scopes.count(MAIL_SEND) == 1
    assert len(scopes) == 8


def test_scope_of_an_earlier_run_stays(cloud: Directory) -> None:
    cloud.run("register-app.sh", "--scope", "Mail.ReadWrite", "--redirect-uri", CALLBACK)
    before = cloud.apps
    cloud.calls()

    cloud.run("register-app.sh", "--redirect-uri", CALLBACK, "--yes")

    assert cloud.apps == before
    assert not [call for call in cloud.calls() if call.startswith("ad app update")]


@pytest.mark.parametrize("more", [(), ("--find-only",), ("--identity-principal", PRINCIPAL)])
def test_registration_of_somebody_else_is_not_taken_by_its_name(
    cloud: Directory, more: tuple[str, ...]
) -> None:
    app = registration(6, DEFAULT_NAME, MALLORY)
    cloud.change(apps=[app])

    result = cloud.run("register-app.sh", *more)

    assert result.returncode == 1
    assert result.stdout == ""
    assert cloud.apps == [app]
    for said in (app["appId"], "6666@contoso.com", "2025-03-01", "--client-id"):
        assert said in result.stderr


def test_deployment_does_not_take_a_registration_of_somebody_else(cloud: Directory) -> None:
    app = registration(6, f"Postroom (postroom, rg-postroom, {SUBSCRIPTION[:8]})", MALLORY)
    cloud.change(apps=[app])

    result = cloud.deploy("--register", "--yes")

    assert result.returncode == 1
    assert app["appId"] in result.stderr
    assert cloud.state["groups"] == []
    assert cloud.apps == [app]


def test_azd_does_not_take_a_registration_of_somebody_else(cloud: Directory) -> None:
    app = registration(6, f"Postroom (postroom, rg, {SUBSCRIPTION[:8]})", MALLORY)
    cloud.change(apps=[app])

    result = cloud.run("azd-hook.sh", "preprovision", AZURE_RESOURCE_GROUP="rg")

    assert result.returncode == 1
    assert cloud.azd() == {}


def test_of_several_registrations_the_own_one_is_taken(cloud: Directory) -> None:
    cloud.change(apps=[registration(6, "Mail", MALLORY), registration(1, "Mail", ME)])

    result = cloud.run("register-app.sh", "--name", "Mail", "--yes")

    assert result.stdout.strip() == cloud.apps[1]["appId"]
    assert cloud.apps[0]["requiredResourceAccess"] == []


def test_service_principal_goes_on_with_its_own_registration(cloud: Directory) -> None:
    cloud.change(caller="servicePrincipal", apps=[registration(5, "Mail", PIPELINE)])

    result = cloud.run("register-app.sh", "--name", "Mail", "--yes")

    assert result.stdout.strip() == cloud.apps[0]["appId"]
    assert len(cloud.apps) == 1


@pytest.mark.parametrize("failing", ["ad signed-in-user", "ad app owner list"])
def test_owner_that_cannot_be_told_is_nobody(cloud: Directory, failing: str) -> None:
    cloud.change(apps=[registration(1, "Mail", ME)])
    cloud.fail(failing)

    result = cloud.run("register-app.sh", "--name", "Mail")

    assert result.returncode == 1
    assert "--client-id" in result.stderr
    assert cloud.apps[0]["requiredResourceAccess"] == []


def test_registration_that_is_named_by_its_id_may_be_anybodys(cloud: Directory) -> None:
    cloud.change(apps=[registration(6, "Mail", MALLORY)])

    result = cloud.run("register-app.sh", "--client-id", cloud.apps[0]["appId"])

    assert result.returncode == 0, result.stderr
    assert cloud.apps[0]["requiredResourceAccess"]


def test_registration_that_is_only_called_postroom_is_not_taken(cloud: Directory) -> None:
    cloud.change(apps=[registration(1, "Postroom", ME)])

    result = cloud.run("register-app.sh")

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == cloud.apps[1]["appId"]


@pytest.mark.parametrize("more", [(), ("--find-only",), ("--yes",)])
def test_registration_that_others_own_too_is_not_taken_by_its_name(
    cloud: Directory, more: tuple[str, ...]
) -> None:
    """Anybody may add an administrator to the owners of an app of his."""
    app = registration(6, DEFAULT_NAME, MALLORY)
    app["owners"].append({"id": ME, "userPrincipalName": "ada@contoso.com"})
    cloud.change(apps=[app])

    result = cloud.run("register-app.sh", *more)

    assert result.returncode == 1
    assert result.stdout == ""
    assert cloud.apps == [app]
    for said in ("not its only owner", app["appId"], "6666@contoso.com", "ada@", "--client-id"):
        assert said in result.stderr


def test_registration_is_not_taken_by_its_name_where_nobody_can_be_asked(cloud: Directory) -> None:
    cloud.change(apps=[registration(1, "Mail", ME)])

    result = cloud.run("register-app.sh", "--name", "Mail")

    assert result.returncode == 1
    for said in (cloud.apps[0]["appId"], "2025-03-01", f"{ME[:4]}@contoso.com", "--yes"):
        assert said in result.stderr


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"passwordCredentials": [{"displayName": "mine"}]}, "Secret:       mine"),
        ({"keyCredentials": [{"keyId": "k-1"}]}, "Certificate:  k-1"),
        ({"web": {"redirectUris": ["https://evil.example/"]}}, "URI: https://evil.example/"),
        ({"spa": {"redirectUris": ["https://e.example/"]}}, "no credential: https://e.example/"),
        ({"isFallbackPublicClient": True}, "Public client"),
        ({"federated": [trusted("mine", "s-1")]}, "s-1"),
    ],
)
def test_what_others_left_in_a_registration_is_shown_and_not_taken_over_unasked(
    cloud: Directory, found: dict[str, Any], said: str
) -> None:
    """Whoever made it may have taken himself off its owners, and kept a credential."""
    cloud.change(apps=[registration(1, "Mail", ME, **found)])
    app = cloud.apps[0]

    by_name = cloud.run("register-app.sh", "--name", "Mail", "--yes")
    by_id = cloud.run("register-app.sh", "--client-id", app["appId"])

    assert by_name.returncode == 1
    assert "did not put there" in by_name.stderr
    assert said in by_name.stderr
    assert by_id.returncode == 0, by_id.stderr
    assert said in by_id.stderr


def test_each_identity_has_its_own_credential(cloud: Directory) -> None:
    first = trusted("postroom-identity", "99999999-0000-4000-8000-000000000009")
    cloud.change(apps=[registration(1, "Mail", ME, federated=[first])])

    cloud.run(
        "register-app.sh", "--client-id", cloud.apps[0]["appId"], "--identity-principal", PRINCIPAL
    )

    kept, added = cloud.apps[0]["federated"]
    assert kept == first
    assert (added["name"], added["subject"]) == (f"postroom-{PRINCIPAL}", PRINCIPAL)


def test_identity_that_an_earlier_version_made_trusted_is_not_added_again(cloud: Directory) -> None:
    credentials = [trusted("postroom-identity", PRINCIPAL)]
    cloud.change(apps=[registration(1, "Mail", ME, federated=credentials)])

    result = cloud.run(
        "register-app.sh", "--client-id", cloud.apps[0]["appId"], "--identity-principal", PRINCIPAL
    )

    assert result.returncode == 0, result.stderr
    assert "trusted already" in result.stderr
    assert cloud.apps[0]["federated"] == credentials


def test_limit_of_entra_is_told_with_what_to_do(cloud: Directory) -> None:
    full = [trusted(f"other-{number}", str(number)) for number in range(20)]
    cloud.change(apps=[registration(1, "Mail", ME, federated=full)])

    result = cloud.run(
        "register-app.sh", "--client-id", cloud.apps[0]["appId"], "--identity-principal", PRINCIPAL
    )

    assert result.returncode == 1
    assert "20 federated credentials" in result.stderr
    assert "federated-credential list" in result.stderr
    assert cloud.apps[0]["federated"] == full


def test_deployment_keeps_an_audience_that_was_changed_by_hand(
    cloud: Directory, published_app: Any
) -> None:
    cloud.deploy("--register", "--yes")
    (app,) = cloud.apps
    cloud.change(apps=[{**app, "signInAudience": "AzureADMultipleOrgs"}])

    cloud.deploy("--register", "--yes")
    kept = cloud.apps[0]["signInAudience"]
    cloud.deploy("--register", "--yes", "--tenant", TENANT)

    assert kept == "AzureADMultipleOrgs"
    assert cloud.apps[0]["signInAudience"] == "AzureADMyOrg"


POSTROOM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-postroom"


def by_template(kind: str = "/applications", **given: Any) -> list[dict[str, Any]]:
    from tests.infra.bicep.evaluate import deploy
    from tests.infra.tools import INFRA

    template = deploy(INFRA / "entra.bicep", {"postroomResourceGroupId": POSTROOM} | given)
    return [found.body() for found in template.resources() if found.type.endswith(kind)]


def test_two_postrooms_by_template_do_not_share_a_registration() -> None:
    """They may be registered by deployments of the same group of a directory's people."""
    (first,) = by_template()
    staging = POSTROOM.replace("rg-postroom", "rg-staging")
    others = [by_template(prefix="invoices")[0], by_template(postroomResourceGroupId=staging)[0]]

    assert first["displayName"] == f"Postroom (postroom, rg-postroom, {SUBSCRIPTION[:8]})"
    assert len({one["uniqueName"] for one in [first, *others]}) == 3
    assert len({one["displayName"] for one in [first, *others]}) == 3
    assert by_template(prefix="Postroom")[0]["uniqueName"] == first["uniqueName"]
    assert (
        by_template(postroomResourceGroupId=POSTROOM.upper())[0]["uniqueName"]
        == (first["uniqueName"])
    )


def test_template_without_redirect_uris_leaves_those_that_are_registered() -> None:
    assert "redirectUris" not in by_template()[0]["web"]
    assert by_template(redirectUris=[CALLBACK])[0]["web"]["redirectUris"] == [CALLBACK]


def test_template_and_script_name_a_credential_alike() -> None:
    (credential,) = by_template("/federatedIdentityCredentials", identityPrincipalId=PRINCIPAL)

    assert credential["name"].endswith(f"/postroom-{PRINCIPAL}")
