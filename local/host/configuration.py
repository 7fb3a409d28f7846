"""Reads host.json, local.settings.json and the environment.

https://learn.microsoft.com/azure/azure-functions/functions-host-json
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host.errors import HostError

_TIME_SPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d+))?$")
_OVERRIDE = "azurefunctionsjobhost__"
# "No function may run longer", for hosts that are not on a Consumption plan:
# https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
_DEFAULT_TIMEOUT = 30 * 60.0


@dataclass(frozen=True)
class QueueSettings:
    """host.json `extensions.queues`; times in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_polling_interval: float = 2.0
    visibility_timeout: int = 0
    max_dequeue_count: int = 5
    base64: bool = True


@dataclass(frozen=True)
class Configuration:
    route_prefix: str
    queues: QueueSettings
    function_timeout: float | None
    settings: Mapping[str, str]

    def resolve(self, text: str, where: str) -> str:
        """Replace each %SETTING% by its value, as the host does for names and schedules."""

        def value(match: re.Match[str]) -> str:
            found = self.settings.get(match.group(1))
            if found is None:
                raise HostError(
                    f"{where} names the setting {match.group(1)}, which is not set; "
                    "add it to local.settings.json or the environment"
                )
            return found

        return re.sub(r"%([^%]+)%", value, text)

    def is_disabled(self, function: str) -> bool:
        """https://learn.microsoft.com/azure/azure-functions/disable-function"""
        # Linux plans do not allow dots in names of settings, so both spellings exist.
        for name in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"):
            if self.settings.get(name, "").strip().lower() in ("true", "1"):
                return True
        return False


def load(app_directory: Path, environment: Mapping[str, str]) -> Configuration:
    """Read both files; a value of the environment overrides them."""
    settings = {**_local_settings(app_directory / "local.settings.json"), **environment}
    host = _host_json(app_directory / "host.json")
    for name, text in settings.items():
        if name.lower().startswith(_OVERRIDE):
            _override(host, name[len(_OVERRIDE) :].split("__"), text)
    extensions = _section(host, "extensions")
    return Configuration(
        route_prefix=str(_section(extensions, "http").get("routePrefix", "api")).strip("/"),
        queues=_queue_settings(_section(extensions, "queues")),
        function_timeout=_timeout(host.get("functionTimeout")),
        settings=settings,
    )


def time_span(text: str, where: str) -> float:
    """Seconds of a .NET TimeSpan such as 00:05:00 or 1.00:00:00."""
    match = _TIME_SPAN.match(text)
    if match is None:
        raise HostError(f"{where} must be a time such as 00:05:00, not {text!r}")
    days, hours, minutes, seconds, fraction = match.groups()
    whole = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction or 0}")


def _host_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise HostError(f"{path.name} is missing; a function app needs one, at least its version")
    host = _read_json(path)
    if host.get("version") != "2.0":
        raise HostError(f'{path.name} must say "version": "2.0"')
    return host


def _local_settings(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    document = _read_json(path)
    if document.get("IsEncrypted"):
        raise HostError(f"{path.name} is encrypted; run: func settings decrypt")
    return {str(name): str(value) for name, value in document.get("Values", {}).items()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise HostError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise HostError(f"{path.name} must hold a JSON object")
    return document


def _override(document: dict[str, Any], path: list[str], text: str) -> None:
    """Apply AzureFunctionsJobHost__a__b=value; names match without regard to case."""
    *parents, last = path
    for part in parents:
        name = _existing_name(document, part)
        if not isinstance(document.get(name), dict):
            document[name] = {}
        document = document[name]
    document[_existing_name(document, last)] = text


def _existing_name(document: Mapping[str, Any], name: str) -> str:
    return next((key for key in document if key.lower() == name.lower()), name)


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise HostError(f"host.json: {name} must be an object")
    return section


def _queue_settings(section: Mapping[str, Any]) -> QueueSettings:
    batch = _integer(section, "batchSize", 16, 1, 32)
    polling = section.get("maxPollingInterval", "00:00:02")
    visibility = section.get("visibilityTimeout", "00:00:00")
    encoding = str(section.get("messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise HostError("host.json: extensions.queues.messageEncoding must be base64 or none")
    return QueueSettings(
        batch_size=batch,
        new_batch_threshold=_integer(
            section, "newBatchThreshold", batch // 2 * (os.cpu_count() or 1), 0, 1_000_000
        ),
        max_polling_interval=max(0.1, _queue_time(polling, "maxPollingInterval")),
        visibility_timeout=int(_queue_time(visibility, "visibilityTimeout")),
        max_dequeue_count=_integer(section, "maxDequeueCount", 5, 1, 1_000_000),
        base64=encoding == "base64",
    )


def _queue_time(value: object, name: str) -> float:
    return time_span(str(value), f"host.json: extensions.queues.{name}")


def _integer(section: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    try:
        value = int(section.get(name, default))
    except (TypeError, ValueError):
        value = least - 1
    if not least <= value <= most:
        raise HostError(f"host.json: extensions.queues.{name} must be from {least} to {most}")
    return value


def _timeout(value: object) -> float | None:
    if value is None:
        return _DEFAULT_TIMEOUT
    if str(value) in ("-1", "-00:00:01"):
        return None
    return time_span(str(value), "host.json: functionTimeout")
