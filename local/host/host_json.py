"""Reads host.json as the host does: names without regard to case, unknown ones ignored.

azure-functions-host `HostJsonFileConfigurationSource`; app settings override it
(https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.host.errors import HostError

_OVERRIDE = "azurefunctionsjobhost__"

# https://learn.microsoft.com/azure/azure-functions/functions-host-json
_TOP = frozenset(
    {
        "$schema",
        "aggregator",
        "applicationinsights",
        "concurrency",
        "customhandler",
        "extensionbundle",
        "extensions",
        "functions",
        "functiontimeout",
        "healthmonitor",
        "httpworker",
        "isdefaulthostconfig",
        "logging",
        "manageddependency",
        "opentelemetry",
        "retry",
        "sendcanceledinvocationstoworker",
        "singleton",
        "telemetrymode",
        "version",
        "watchdirectories",
        "watchfiles",
    }
)
_HTTP = frozenset(
    {
        "customheaders",
        "dynamicthrottlesenabled",
        "enablechunkedrequestbinding",
        "hsts",
        "maxconcurrentrequests",
        "maxoutstandingrequests",
        "routeprefix",
    }
)
_QUEUES = frozenset(
    {
        "batchsize",
        "maxdequeuecount",
        "maxpollinginterval",
        "messageencoding",
        "newbatchthreshold",
        "visibilitytimeout",
    }
)
_KNOWN = {"": _TOP, "extensions.http": _HTTP, "extensions.queues": _QUEUES}


def read(path: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """The document with the app settings that override it; all names are in lower case. Without a
    file: the default of the host. Raises HostError if it is not JSON or of another version."""
    document: dict[str, Any] = _lower(_document(path))
    for name, text in settings.items():
        if name.lower().startswith(_OVERRIDE):
            _override(document, name[len(_OVERRIDE) :].lower().split("__"), text)
    version = document.get("version")
    if version != "2.0":
        raise HostError(f'{path.name} must say "version": "2.0", not {json.dumps(version)}')
    return document


def unknown(document: Mapping[str, Any]) -> Iterator[str]:
    """The names that no known section of host.json has."""
    for section, known in _KNOWN.items():
        found: Any = document
        for part in filter(None, section.split(".")):
            found = found.get(part) if isinstance(found, Mapping) else None
        for name in found if isinstance(found, Mapping) else ():
            if name not in known:
                yield f"{section}.{name}" if section else name


def section(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A section; empty if it is not there. Raises HostError if it is not an object."""
    found = document
    for depth, name in enumerate(path, 1):
        inner = found.get(name, {})
        if not isinstance(inner, Mapping):
            raise HostError(f"host.json: {'.'.join(path[:depth])} must be an object")
        found = inner
    return found


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        bundle = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
        return {"version": "2.0", "extensionBundle": bundle}
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise HostError(f"{path.name} must hold a JSON object")
    return document


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _lower(inner) for name, inner in value.items()}
    return value


def _override(document: dict[str, Any], path: list[str], text: str) -> None:
    """Apply AzureFunctionsJobHost__a__b=value."""
    *parents, last = path
    for part in parents:
        if not isinstance(document.get(part), dict):
            document[part] = {}
        document = document[part]
    document[last] = text
