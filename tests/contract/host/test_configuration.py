"""host.json, local.settings.json and the environment together (azure-functions.md 2.1 and 4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.host import configuration
from local.host.errors import HostError
from local.host.storage import Queues


def app(directory: Path, host: dict[str, Any], values: dict[str, str] | None = None) -> Path:
    (directory / "host.json").write_text(json.dumps({"version": "2.0", **host}))
    if values is not None:
        (directory / "local.settings.json").write_text(json.dumps({"Values": values}))
    return directory


def queues(**settings: object) -> dict[str, Any]:
    return {"extensions": {"queues": settings}}


def test_the_environment_wins_over_local_settings(tmp_path: Path) -> None:
    app(tmp_path, {}, {"A": "file", "B": "file"})

    loaded = configuration.load(tmp_path, {"A": "environment"})

    assert (loaded.settings["A"], loaded.settings["B"]) == ("environment", "file")


def test_defaults_are_the_host_s_own(tmp_path: Path) -> None:
    loaded = configuration.load(app(tmp_path, {}), {})

    assert loaded.route_prefix == "api"
    assert (loaded.queues.batch_size, loaded.queues.max_dequeue_count) == (16, 5)
    assert loaded.queues.base64
    assert loaded.queues.visibility_timeout == 0


def test_host_json_sets_the_queues(tmp_path: Path) -> None:
    host = queues(
        batchSize=2,
        newBatchThreshold=1,
        maxPollingInterval="00:00:02",
        visibilityTimeout="00:00:30",
        messageEncoding="none",
    )

    found = configuration.load(app(tmp_path, host), {}).queues

    assert (found.batch_size, found.new_batch_threshold) == (2, 1)
    assert (found.max_polling_interval, found.visibility_timeout) == (2.0, 30)
    assert not found.base64


def test_an_app_setting_overrides_host_json(tmp_path: Path) -> None:
    app(tmp_path, queues(batchSize=2))

    loaded = configuration.load(
        tmp_path, {"AzureFunctionsJobHost__extensions__queues__batchSize": "7"}
    )

    assert loaded.queues.batch_size == 7


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param({"version": "1.0"}, "version", id="version"),
        pytest.param(queues(batchSize=33), "batchSize must be from 1 to 32", id="batch"),
        pytest.param(
            queues(visibilityTimeout="30s"), "visibilityTimeout must be a time", id="time"
        ),
        pytest.param(queues(messageEncoding="hex"), "base64 or none", id="encoding"),
    ],
)
def test_a_wrong_host_json_is_refused_by_name(
    tmp_path: Path, host: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HostError, match=reason):
        configuration.load(app(tmp_path, host), {})


def test_encrypted_local_settings_are_refused_with_the_remedy(tmp_path: Path) -> None:
    app(tmp_path, {})
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true}')

    with pytest.raises(HostError, match="func settings decrypt"):
        configuration.load(tmp_path, {})


def test_percent_names_are_resolved_and_a_missing_one_is_named(tmp_path: Path) -> None:
    loaded = configuration.load(app(tmp_path, {}, {"QUEUE": "Outbox"}), {})

    assert loaded.resolve("%QUEUE%-x", "function f") == "Outbox-x"
    with pytest.raises(HostError, match="function f names the setting NONE"):
        loaded.resolve("%NONE%", "function f")


@pytest.mark.parametrize(
    "setting", [{"AzureWebJobs.f.Disabled": "true"}, {"AzureWebJobs_f_Disabled": "1"}]
)
def test_a_function_is_disabled_by_a_setting(tmp_path: Path, setting: dict[str, str]) -> None:
    loaded = configuration.load(app(tmp_path, {}), setting)

    assert loaded.is_disabled("f")
    assert not loaded.is_disabled("g")


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300.0), ("1.00:00:00", 86400.0), ("00:00:00.500", 0.5)]
)
def test_time_spans_are_dot_net_s(text: str, seconds: float) -> None:
    assert configuration.time_span(text, "x") == seconds


def test_no_time_limit_is_minus_one(tmp_path: Path) -> None:
    host = app(tmp_path, {"functionTimeout": "-1"})

    assert configuration.load(host, {}).function_timeout is None


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        pytest.param(
            {"S__queueServiceUri": "https://a.queue.core.windows.net"}, "a", id="queue-uri"
        ),
        pytest.param({"S__accountName": "b"}, "b", id="account-name"),
    ],
)
def test_a_connection_may_be_an_identity_with_an_address(
    settings: dict[str, str], host: str
) -> None:
    resolved = Queues({**settings, "S__credential": "managedidentity"}, lambda _: None)

    queue = resolved.open("S", "Outbox", "function f")

    assert queue.url == f"https://{host}.queue.core.windows.net/outbox"
    queue.close()


@pytest.mark.parametrize(
    ("settings", "queue", "reason"),
    [
        pytest.param({}, "outbox", "the setting S is missing", id="no-setting"),
        pytest.param({"S": "nonsense"}, "outbox", "not a storage connection string", id="nonsense"),
        pytest.param({"S": "x"}, "no_underscores", "not a queue name", id="queue-name"),
    ],
)
def test_a_wrong_connection_names_function_and_setting(
    settings: dict[str, str], queue: str, reason: str
) -> None:
    with pytest.raises(HostError, match=f"function f: .*{reason}"):
        Queues(settings, lambda _: None).open("S", queue, "function f")
