"""What Azure would add to a resource: the values a template reads of what it has made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.bicep.functions import TENANT, guid_of

Made = Callable[[str, str], Mapping[str, Any]]
"""From name and resource id to what Azure adds at the top of the resource."""

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
GRAPH_SCOPES = {
    # https://learn.microsoft.com/graph/permissions-reference; azure-functions fact sheet 7.4
    "Mail.Send": "e383f46e-2787-4529-855e-0e479a3ffac0",
    "Mail.ReadWrite": "024d486e-b451-40bb-833d-3e66d98c5c73",
    "Mail.Send.Shared": "a367ab51-6b49-43bf-a716-a1fb06d2a174",
    "Mail.ReadWrite.Shared": "5df07973-7d5d-46ed-9847-1271055cbd51",
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
}


def _storage(name: str, identifier: str) -> Mapping[str, Any]:
    kinds = ("blob", "queue", "table", "file", "web", "dfs")
    endpoints = {kind: f"https://{name}.{kind}.core.windows.net/" for kind in kinds}
    return {"properties": {"primaryEndpoints": endpoints}}


def _identity(name: str, identifier: str) -> Mapping[str, Any]:
    return {
        "properties": {
            "clientId": guid_of(identifier, "client"),
            "principalId": guid_of(identifier, "principal"),
            "tenantId": TENANT,
        }
    }


def _site(name: str, identifier: str) -> Mapping[str, Any]:
    return {
        "identity": {"principalId": guid_of(identifier, "principal"), "tenantId": TENANT},
        "properties": {
            "defaultHostName": f"{name}.azurewebsites.net",
            "state": "Running",
            "possibleOutboundIpAddresses": "203.0.113.7",
        },
    }


def _component(name: str, identifier: str) -> Mapping[str, Any]:
    key = guid_of(identifier, "instrumentation")
    region = "https://westeurope-5.in.applicationinsights.azure.com/"
    return {
        "properties": {
            "ConnectionString": f"InstrumentationKey={key};IngestionEndpoint={region}",
            "InstrumentationKey": key,
            "AppId": guid_of(identifier, "app"),
        }
    }


def _graph_principal(name: str, identifier: str) -> Mapping[str, Any]:
    scopes = [
        {"id": scope, "value": value, "type": "User", "isEnabled": True}
        for value, scope in GRAPH_SCOPES.items()
    ]
    return {
        "id": guid_of(identifier, "service principal"),
        "appId": GRAPH_APP_ID,
        "oauth2PermissionScopes": scopes,
    }


MADE: dict[str, Made] = {
    "Microsoft.Storage/storageAccounts": _storage,
    "Microsoft.KeyVault/vaults": lambda name, _: {
        "properties": {"vaultUri": f"https://{name}.vault.azure.net/"}
    },
    "Microsoft.KeyVault/vaults/secrets": lambda name, identifier: {
        "properties": {"secretUri": f"https://made-up.vault.azure.net/secrets/{name}"}
    },
    "Microsoft.ManagedIdentity/userAssignedIdentities": _identity,
    "Microsoft.Web/sites": _site,
    "Microsoft.Insights/components": _component,
    "Microsoft.OperationalInsights/workspaces": lambda _, identifier: {
        "properties": {"customerId": guid_of(identifier, "customer")}
    },
    "Microsoft.Graph/applications": lambda _, identifier: {
        "id": guid_of(identifier, "object"),
        "appId": guid_of(identifier, "application"),
    },
    "Microsoft.Graph/servicePrincipals": _graph_principal,
    "Microsoft.Logic/workflows": lambda _, identifier: {
        "identity": {"principalId": guid_of(identifier, "principal"), "tenantId": TENANT}
    },
    "Microsoft.Resources/deploymentScripts": lambda _, __: {
        "properties": {"outputs": {"redirectUri": "https://app.example.com/api/auth/callback"}}
    },
}


def made(kind: str, name: str, identifier: str) -> Mapping[str, Any]:
    return MADE[kind](name, identifier) if kind in MADE else {}
