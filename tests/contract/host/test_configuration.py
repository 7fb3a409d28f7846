"""host.json, local.settings.json and the environment together (azure-functions.md 2.1, 4 and 11.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.host import configuration
from local.host.configuration import Configuration
from local.host.errors import HostError
from local.host.storage import Queues


def app(directory: Path, host: dict[str, Any], values: dict[str, str] | None = None) -> Path:
    (directory / "host.json").write_text(json.dumps({"version": "2.0", **host}))
    if values is not None:
        (directory / "local.settings.json").write_text(json.dumps({"Values": values}))
    return directory


def load(directory: Path, environment: dict[str, str]) -> Configuration:
    return configuration.load(directory, configuration.settings_of(directory, environment))


def queues(**settings: object) -> dict[str, Any]:
    return {"extensions": {"queues": settings}}


def test_the_environment_wins_over_local_settings(tmp_path: Path) -> None:
    app(tmp_path, {}, {"A": "file", "B": "file"})

    loaded = load(tmp_path, {"A": "environment"})

    assert (loaded.settings["A"], loaded.settings["B"]) == ("environment", "file")


def test_defaults_are_the_host_s_own(tmp_path: Path) -> None:
    loaded = load(app(tmp_path, {}), {})

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

    found = load(app(tmp_path, host), {}).queues

    assert (found.batch_size, found.new_batch_threshold) == (2, 1)
    assert (found.max_polling_interval, found.visibility_timeout) == (2.0, 30)
    assert not found.base64


def test_an_app_setting_overrides_host_json(tmp_path: Path) -> None:
    app(tmp_path, queues(batchSize=2))

    loaded = load(tmp_path, {"AzureFunctionsJobHost__extensions__queues__batchSize": "7"})

    assert loaded.queues.batch_size == 7


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param({"version": "1.0"}, "version", id="version"),
        pytest.param({"version": 2.0}, "version", id="version-is-a-number"),
        pytest.param(queues(maxPollingInterval="00:00:00.050"), "100 ms", id="polling"),
        pytest.param(queues(newBatchThreshold=-1), "newBatchThreshold must be", id="threshold"),
        pytest.param(queues(maxDequeueCount=0), "maxDequeueCount must be", id="dequeues"),
        pytest.param({"functionTimeout": "00:00:00"}, "1 second at least", id="timeout-short"),
        pytest.param(
            {"functionTimeout": "10675200.00:00:00"}, "longer than a time can be", id="timeout-long"
        ),
        pytest.param({"functionTimeout": "30:00:00"}, "must be a time", id="timeout-hours"),
        pytest.param({"extensions": []}, "extensions must be an object", id="section"),
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
        load(app(tmp_path, host), {})


def test_on_a_consumption_plan_no_function_may_have_more_than_ten_minutes(tmp_path: Path) -> None:
    host = app(tmp_path, {"functionTimeout": "00:10:01"})

    assert load(host, {}).function_timeout == 601
    with pytest.raises(HostError, match="10 minutes at most on a Consumption plan"):
        load(host, {"WEBSITE_SKU": "Dynamic"})


def test_a_broken_host_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0",')

    with pytest.raises(HostError, match=r"host\.json is not valid JSON"):
        load(tmp_path, {})


def test_without_host_json_the_host_takes_its_own(tmp_path: Path) -> None:
    found = load(tmp_path, {})

    assert (found.route_prefix, found.has_queue_extension) == ("api", True)


def test_names_in_host_json_match_without_regard_to_case(tmp_path: Path) -> None:
    host = {"Extensions": {"Queues": {"BatchSize": 3}, "HTTP": {"ROUTEPREFIX": "x"}}}

    found = load(app(tmp_path, host), {})

    assert (found.queues.batch_size, found.route_prefix) == (3, "x")
    assert found.unknown == ()


def test_unknown_names_are_ignored_and_listed(tmp_path: Path) -> None:
    host = {"functionTimeOuts": "00:10:00", "extensions": {"queues": {"batchSizes": 99}}}

    found = load(app(tmp_path, host), {})

    assert found.unknown == ("functiontimeouts", "extensions.queues.batchsizes")
    assert found.queues.batch_size == 16


def test_without_an_extension_bundle_there_are_no_queue_bindings(tmp_path: Path) -> None:
    assert not load(app(tmp_path, {}), {}).has_queue_extension


def test_encrypted_local_settings_are_refused_with_the_remedy(tmp_path: Path) -> None:
    app(tmp_path, {})
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true}')

    with pytest.raises(HostError, match="func settings decrypt"):
        load(tmp_path, {})


def test_percent_names_are_resolved_and_a_missing_one_is_named(tmp_path: Path) -> None:
    loaded = load(app(tmp_path, {}, {"QUEUE": "Outbox"}), {})

    assert loaded.resolve("%QUEUE%-x", "function f") == "Outbox-x"
    with pytest.raises(HostError, match="function f names the setting NONE"):
        loaded.resolve("%NONE%", "function f")


@pytest.mark.parametrize(
    "setting", [{"AzureWebJobs.f.Disabled": "true"}, {"AzureWebJobs_f_Disabled": "1"}]
)
def test_a_function_is_disabled_by_a_setting(tmp_path: Path, setting: dict[str, str]) -> None:
    loaded = load(app(tmp_path, {}), setting)

    assert loaded.is_disabled("f")
    assert not loaded.is_disabled("g")


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300.0), ("1.00:00:00", 86400.0), ("00:00:00.500", 0.5)]
)
def test_time_spans_are_dot_net_s(text: str, seconds: float) -> None:
    assert configuration.time_span(text, "x") == seconds


def test_no_time_limit_is_minus_one(tmp_path: Path) -> None:
    host = app(tmp_path, {"functionTimeout": "-1"})

    assert load(host, {}).function_timeout is None


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
