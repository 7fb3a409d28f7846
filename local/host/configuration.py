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

from local.host import host_json
from local.host.errors import HostError

_TIME_SPAN = re.compile(r"^(?:(\d{1,8})\.)?([01]?\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,7}))?$")
# What a .NET TimeSpan holds.
_LONGEST = 922_337_203_685.0
# "No function may run longer", for hosts that are not on a Consumption plan:
# https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout
_DEFAULT_TIMEOUT = 30 * 60.0
_CONSUMPTION_TIMEOUT = 10 * 60.0
_LEAST_POLLING = 0.1


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
    """`unknown`: names in host.json that the host ignores."""

    route_prefix: str
    queues: QueueSettings
    function_timeout: float | None
    settings: Mapping[str, str]
    has_queue_extension: bool = True
    unknown: tuple[str, ...] = ()

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


def settings_of(app_directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The app settings; a value of the environment overrides that of local.settings.json. Raises
    HostError if that file cannot be read."""
    path = app_directory / "local.settings.json"
    if not path.exists():
        return dict(environment)
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise HostError(f"{path.name} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise HostError(f"{path.name} must hold a JSON object")
    if document.get("IsEncrypted"):
        raise HostError(f"{path.name} is encrypted; run: func settings decrypt")
    values = document.get("Values", {})
    return {**{str(name): str(value) for name, value in values.items()}, **environment}


def load(app_directory: Path, settings: Mapping[str, str]) -> Configuration:
    """Read host.json. Raises HostError where the real host answers 503 to everything."""
    document = host_json.read(app_directory / "host.json", settings)
    http = host_json.section(document, "extensions", "http")
    return Configuration(
        route_prefix=str(http.get("routeprefix", "api")).strip("/"),
        queues=_queue_settings(host_json.section(document, "extensions", "queues")),
        function_timeout=_timeout(document.get("functiontimeout"), settings),
        settings=settings,
        has_queue_extension=bool(host_json.section(document, "extensionbundle")),
        unknown=tuple(host_json.unknown(document)),
    )


def time_span(text: str, where: str) -> float:
    """Seconds of a .NET TimeSpan such as 00:05:00 or 1.00:00:00."""
    match = _TIME_SPAN.match(text)
    if match is None:
        raise HostError(f"{where} must be a time such as 00:05:00, not {text!r}")
    days, hours, minutes, seconds, fraction = match.groups()
    whole = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    if whole > _LONGEST:
        raise HostError(f"{where}: {text} is longer than a time can be")
    return whole + float(f"0.{fraction or 0}")


def _queue_settings(section: Mapping[str, Any]) -> QueueSettings:
    batch = _integer(section, "batchSize", 16, 1, 32)
    polling = _queue_time(section, "maxPollingInterval", "00:00:02")
    if polling < _LEAST_POLLING:
        raise HostError("host.json: extensions.queues.maxPollingInterval must be 100 ms or more")
    encoding = str(section.get("messageencoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise HostError("host.json: extensions.queues.messageEncoding must be base64 or none")
    return QueueSettings(
        batch_size=batch,
        new_batch_threshold=_integer(
            section, "newBatchThreshold", batch // 2 * (os.cpu_count() or 1), 0, 1_000_000
        ),
        max_polling_interval=polling,
        visibility_timeout=int(_queue_time(section, "visibilityTimeout", "00:00:00")),
        max_dequeue_count=_integer(section, "maxDequeueCount", 5, 1, 1_000_000),
        base64=encoding == "base64",
    )


def _queue_time(section: Mapping[str, Any], name: str, default: str) -> float:
    value = section.get(name.lower(), default)
    return time_span(str(value), f"host.json: extensions.queues.{name}")


def _integer(section: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    try:
        value = int(section.get(name.lower(), default))
    except (TypeError, ValueError):
        value = least - 1
    if not least <= value <= most:
        raise HostError(f"host.json: extensions.queues.{name} must be from {least} to {most}")
    return value


def _timeout(value: object, settings: Mapping[str, str]) -> float | None:
    on_consumption = settings.get("WEBSITE_SKU") == "Dynamic"
    if value is None:
        return _DEFAULT_TIMEOUT / 6 if on_consumption else _DEFAULT_TIMEOUT
    if str(value) in ("-1", "-1.00:00:00") and not on_consumption:
        return None
    seconds = time_span(str(value), "host.json: functionTimeout")
    if seconds < 1 or (on_consumption and seconds > _CONSUMPTION_TIMEOUT):
        most = " and 10 minutes at most on a Consumption plan" if on_consumption else ""
        raise HostError(f"host.json: functionTimeout must be 1 second at least{most}")
    return seconds
