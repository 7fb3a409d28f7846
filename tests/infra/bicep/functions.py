"""Bicep's functions, as far as the templates use them.

Those that ask Azure (`resourceGroup()`, `subscription()` …) answer for one made-up deployment.
https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import uuid
from collections.abc import Callable
from typing import Any

from tests.infra.bicep.syntax import BicepError

Value = Any
"""str, int, bool, None, list, dict, or a reference to a resource or module."""

SUBSCRIPTION = "5ab5c21e-0d5e-4f6a-9b1c-7e2d4f6a8b90"
TENANT = "3f2a8c14-5d6b-4c7e-9a10-b2c3d4e5f607"
LOCATION = "westeurope"
GROUP = "rg-postroom"
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def guid_of(*parts: str) -> str:
    """The same parts, the same GUID, as `guid()` has it; not Azure's own value."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(parts)))


def unique_string(*parts: str) -> str:
    """13 characters of a-z and 2-7 that depend on the parts; not Azure's own value."""
    digest = hashlib.sha256("|".join(parts).encode()).digest()
    return "".join(_BASE32[byte % 32] for byte in digest[:13])


def text(value: Value) -> str:
    """As in an interpolated string."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value)


def is_empty(value: Value) -> bool:
    return value is None or value == "" or (isinstance(value, list | dict) and not value)


def contains(container: Value, wanted: Value) -> bool:
    if isinstance(container, dict):
        return str(wanted).lower() in {str(key).lower() for key in container}
    return wanted in container


def union(*values: Value) -> Value:
    if all(isinstance(value, dict) for value in values):
        found: dict[str, Value] = {}
        for value in values:
            for key, inner in value.items():
                both = isinstance(inner, dict) and isinstance(found.get(key), dict)
                found[key] = union(found[key], inner) if both else inner
        return found
    merged: list[Value] = []
    for value in values:
        merged += [item for item in value if item not in merged]
    return merged


def concat(*values: Value) -> Value:
    if isinstance(values[0], list):
        return [item for value in values for item in value]
    return "".join(map(text, values))


def format_text(template: str, *values: Value) -> str:
    for index, value in enumerate(values):
        template = template.replace("{" + str(index) + "}", text(value))
    return template


def substring(value: str, start: int, length: int | None = None) -> str:
    end = len(value) if length is None else start + length
    if start < 0 or end > len(value):
        raise BicepError(f"substring({start}, {length}) of a text of {len(value)} characters")
    return value[start:end]


def cidr_subnet(network: str, length: int, index: int) -> str:
    for at, found in enumerate(ipaddress.ip_network(network).subnets(new_prefix=length)):
        if at == index:
            return str(found)
    raise BicepError(f"cidrSubnet: {network} has no /{length} number {index}")


def resource_id(prefix: str, *arguments: str) -> str:
    at = next(i for i, argument in enumerate(arguments) if "/" in argument)
    kind, names = arguments[at], arguments[at + 1 :]
    if at == 1:
        prefix = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{arguments[0]}"
    return f"{prefix}/providers/{interleave(kind, names)}"


def interleave(kind: str, names: tuple[str, ...]) -> str:
    """`A.B/c/d` with (x, y) makes `A.B/c/x/d/y`."""
    namespace, *types = kind.split("/")
    if len(types) != len(names):
        raise BicepError(f"{kind} takes {len(types)} names, not {len(names)}")
    return "/".join(
        [namespace, *(part for pair in zip(types, names, strict=True) for part in pair)]
    )


def resource_group(name: str = GROUP) -> dict[str, Value]:
    identifier = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
    return {"id": identifier, "name": name, "location": LOCATION, "tags": {}}


def environment() -> dict[str, Value]:
    return {
        "name": "AzureCloud",
        "authentication": {
            "loginEndpoint": "https://login.microsoftonline.com/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
        },
        "resourceManager": "https://management.azure.com/",
        "portal": "https://portal.azure.com",
        "suffixes": {
            "storage": "core.windows.net",
            "keyvaultDns": ".vault.azure.net",
            "acrLoginServer": ".azurecr.io",
            "sqlServerHostname": ".database.windows.net",
        },
    }


def length_of(value: Value) -> int:
    return len(value)


def to_object(
    items: list[Value],
    key: Callable[[Value], Value],
    value: Callable[[Value], Value] = lambda item: item,
) -> dict[str, Value]:
    return {str(key(item)): value(item) for item in items}


def reduce(items: list[Value], start: Value, step: Callable[[Value, Value], Value]) -> Value:
    for item in items:
        start = step(start, item)
    return start


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "any": lambda value: value,
    "array": lambda value: value if isinstance(value, list) else [value],
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "bool": lambda value: str(value).lower() in ("true", "1"),
    "cidrSubnet": cidr_subnet,
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": concat,
    "contains": contains,
    "createArray": lambda *values: list(values),
    "deployer": lambda: {"objectId": guid_of("deployer"), "tenantId": TENANT},
    "deployment": lambda: {"name": "main"},
    "empty": is_empty,
    "endsWith": lambda value, end: value.lower().endswith(end.lower()),
    "environment": environment,
    "extensionResourceId": lambda scope, *rest: resource_id(scope, *rest),
    "filter": lambda items, keep: [item for item in items if keep(item)],
    "first": lambda value: value[0] if value else ("" if isinstance(value, str) else None),
    "flatten": lambda lists: [item for inner in lists for item in inner],
    "format": format_text,
    "guid": guid_of,
    "indexOf": lambda value, part: value.lower().find(part.lower()),
    "int": int,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "join": lambda items, separator: separator.join(map(text, items)),
    "json": json.loads,
    "last": lambda value: value[-1] if value else ("" if isinstance(value, str) else None),
    "length": length_of,
    "map": lambda items, change: [change(item) for item in items],
    "max": lambda *values: max(*values) if len(values) > 1 else max(values[0]),
    "min": lambda *values: min(*values) if len(values) > 1 else min(values[0]),
    "objectKeys": sorted,
    "padLeft": lambda value, width, fill=" ": text(value).rjust(width, fill),
    "range": lambda start, count: list(range(start, start + count)),
    "reduce": reduce,
    "replace": lambda value, old, new: value.replace(old, new),
    "resourceGroup": resource_group,
    "resourceId": lambda *arguments: resource_id(GROUP_ID, *arguments),
    "skip": lambda value, count: value[max(count, 0) :],
    "split": lambda value, separator: value.split(separator),
    "startsWith": lambda value, start: value.lower().startswith(start.lower()),
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "subscription": lambda: {
        "id": f"/subscriptions/{SUBSCRIPTION}",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
        "displayName": "Contoso",
    },
    "subscriptionResourceId": lambda *arguments: resource_id(
        f"/subscriptions/{SUBSCRIPTION}", *arguments
    ),
    "substring": substring,
    "take": lambda value, count: value[: max(count, 0)],
    "tenant": lambda: {"tenantId": TENANT, "displayName": "Contoso"},
    "tenantResourceId": lambda *arguments: resource_id("", *arguments),
    "toLower": lambda value: value.lower(),
    "toObject": to_object,
    "toUpper": lambda value: value.upper(),
    "trim": lambda value: value.strip(),
    "union": union,
    "uniqueString": unique_string,
    "uri": lambda base, rest: base.rstrip("/") + "/" + rest.lstrip("/"),
    # What changes with each deployment: only as the default of a parameter.
    "newGuid": lambda: guid_of("new"),
    "utcNow": lambda pattern="": "2026-11-22" if "-" in pattern else "20261122T090000Z",
}
