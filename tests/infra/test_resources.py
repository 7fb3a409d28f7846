"""Resources against their schemas; tests/long/infra holds the schemas to what azmcp says."""

from __future__ import annotations

import pytest

from tests.infra import schemas
from tests.infra.bicep.azure import MADE
from tests.infra.bicep.evaluate import deploy
from tests.infra.bicep.functions import GROUP_ID
from tests.infra.checks import resources
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA


def test_every_resource_fits_its_schema() -> None:
    assert resources.problems(INFRA) == []


def test_every_declared_resource_was_compared() -> None:
    assert resources.declared(INFRA) - resources.reached(INFRA) == set()


def test_type_without_a_schema_has_a_shape_with_its_source() -> None:
    for kind, version in schemas.versions().items():
        document = schemas.schema(kind)
        assert document["type"].lower() == kind.lower()
        assert document["version"] in version.versions
        if version.schema == "shape":
            assert document["source"].startswith("https://github.com/")


def test_network_is_written_without_its_subnets_and_they_keep_what_is_attached() -> None:
    """Written with them, each deployment takes away what others have added."""
    nat, group = (f"{GROUP_ID}/providers/Microsoft.Network/{kind}/x" for kind in ("nat", "nsg"))
    given = {"network": "private", "natGatewayId": nat, "networkSecurityGroupId": group}
    found = {
        r.name: r.body()["properties"]
        for r in deploy(INFRA / "main.bicep", given).resources()
        if "/virtualNetworks" in r.type
    }

    (network,) = (body for name, body in found.items() if "/" not in name)
    (app,) = (body for name, body in found.items() if name.endswith("/app"))
    (endpoints,) = (body for name, body in found.items() if name.endswith("/private-endpoints"))
    assert "subnets" not in network
    assert app["natGateway"] == {"id": nat}
    assert app["networkSecurityGroup"] == endpoints["networkSecurityGroup"] == {"id": group}


@pytest.mark.parametrize("kind", sorted(MADE))
def test_what_is_said_to_be_made_by_azure_is_in_the_schema(kind: str) -> None:
    """Of resources that have a schema of azmcp's: a property that is read has to exist."""
    if schemas.versions()[kind].schema == "shape":
        known = set(schemas.schema(kind)["body"]["properties"])
        assert set(MADE[kind]("name", "id")) <= known
        return
    document = schemas.schema(kind)
    bodies = [document["body"], *document["body"].get("elements", {}).values()]
    types = [
        b["properties"]["properties"]["type"] for b in bodies if "properties" in b["properties"]
    ]
    for name in MADE[kind]("name", "id").get("properties", {}):
        assert any(name in document["definitions"][t]["properties"] for t in types), name


@pytest.mark.parametrize(
    ("pattern", "replacement", "parts"),
    [
        pytest.param(
            "allowSharedKeyAccess:", "allowSharedKeysAccess:", ["no such property"], id="property"
        ),
        pytest.param("^  kind: 'StorageV2'\n", "", ["kind is required"], id="required"),
        pytest.param(
            r"Microsoft.Web/sites@[\d-]+",
            "Microsoft.Web/sites@2024-12-24",
            ["2024-12-24"],
            id="version",
        ),
        pytest.param(
            "Microsoft.KeyVault/vaults@",
            "Microsoft.KeyVault/vault@",
            ["not in api_versions"],
            id="type",
        ),
        pytest.param("'StorageV2'", "'StorageV3'", ["'StorageV3' is none of"], id="enum"),
        pytest.param(
            "httpsOnly: true", "httpsOnly: 'true'", ["bool is wanted"], id="kind of value"
        ),
        pytest.param(
            "softDeleteRetentionInDays: 90",
            "softDeleteRetentionInDays: '90'",
            ["int is wanted"],
            id="text for a number",
        ),
        pytest.param(
            "level: 'CanNotDelete'", "level: 'DoNotDelete'", ["DoNotDelete"], id="enum of a shape"
        ),
        pytest.param(
            "failingPeriods:", "failingPeriod:", ["no such property"], id="property of a shape"
        ),
        pytest.param(
            "^        instanceMemoryMB: instanceMemoryMB",
            "        instanceMemory: instanceMemoryMB",
            ["functionAppConfig.scaleAndConcurrency.instanceMemory"],
            id="property far below",
        ),
        pytest.param("audiences: ", "audience: ", ["audiences is required"], id="Microsoft Graph"),
    ],
)
def test_broken_resource_is_reported(
    copy: Copy, pattern: str, replacement: str, parts: list[str]
) -> None:
    copy.change(pattern, replacement)

    assert has(resources.problems(copy.infra), *parts)
