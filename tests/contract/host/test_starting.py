"""What the outside sees of an app with a mistake, and what its developer is told.

The judge is section 11.3 of azure-functions.md, "Seen in the real host".
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from local import ports
from local.azurite import Azurite
from tests.contract.host.conftest import without_storage
from tests.contract.host.driver import SAMPLE_APP, Host, run_to_end, until

SOUND = (
    "import azure.functions as func\n"
    "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
    "@app.route(route='x')\n"
    "def f(req: func.HttpRequest) -> str:\n"
    "    return 'x'\n"
)
LOGS_NOTHING = 'its log says only "No job functions found"'
BROKEN = [
    pytest.param("x = (", "SyntaxError", LOGS_NOTHING, id="syntax-error"),
    pytest.param("raise ValueError('too early')", "too early", LOGS_NOTHING, id="exception"),
    pytest.param("import no_such_module", "no_such_module", "names the missing", id="no-module"),
    pytest.param(None, "function_app.py is missing", LOGS_NOTHING, id="no-function-app"),
    pytest.param("x = 1", "has no function app", LOGS_NOTHING, id="no-app"),
    pytest.param(
        SOUND.replace("req:", "request:"),
        "function f: parameter request has no binding",
        LOGS_NOTHING,
        id="wrong-parameter",
    ),
]


def app_of(directory: Path, source: str | None, host: dict[str, Any] | str | None = None) -> Path:
    app = directory / "app"
    app.mkdir()
    if source is not None:
        (app / "function_app.py").write_text(source)
    document = {"version": "2.0"} if host is None else host
    (app / "host.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return app


@pytest.mark.parametrize(("source", "reason", "azure"), BROKEN)
def test_a_broken_app_starts_and_answers_404_and_the_console_has_the_reason(
    tmp_path: Path, source: str | None, reason: str, azure: str
) -> None:
    with Host(tmp_path, {}, app=app_of(tmp_path, source)) as host:
        assert host.admin("GET", "host/status").json()["state"] == "Running"
        assert host.get("/api/x").status_code == 404
        assert host.get("/").status_code == 204
        assert host.said("error: ")
        assert host.said(reason)
        assert host.said("Azure would not refuse this: the app starts, answers 404 everywhere")
        assert host.said(azure)


@pytest.mark.parametrize(("source", "reason", "azure"), BROKEN[:1])
def test_a_strict_host_ends_with_the_reason_and_says_that_azure_would_not(
    tmp_path: Path, source: str, reason: str, azure: str
) -> None:
    app = app_of(tmp_path, source)

    status, errors = run_to_end(
        ["--app-dir", str(app), "--state-dir", str(tmp_path), "--port", "0", "--strict"], {}
    )

    first, second, last = errors.splitlines()
    assert status == 2
    assert first.startswith("error: function_app.py cannot be imported: ")
    assert reason in first
    assert "Azure would not refuse this" in second
    assert azure in second
    assert last == "error: the app has no functions, and this host was started with --strict"


@pytest.mark.parametrize(
    ("host_json", "reason"),
    [
        pytest.param('{"version": "2.0"', "host.json is not valid JSON", id="broken"),
        pytest.param({"version": "1.0"}, 'must say "version": "2.0"', id="version"),
        pytest.param(
            {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}},
            "batchSize must be from 1 to 32",
            id="out-of-range",
        ),
        pytest.param(
            {"version": "2.0", "functionTimeout": "99999999.00:00:00"},
            "functionTimeout: 99999999.00:00:00 is longer than a time can be",
            id="timeout-too-long",
        ),
    ],
)
def test_a_wrong_host_json_is_a_503_with_the_host_s_words(
    tmp_path: Path, host_json: dict[str, Any] | str, reason: str
) -> None:
    with Host(tmp_path, {}, app=app_of(tmp_path, SOUND, host_json)) as host:
        for path in ("/", "/api/x"):
            response = host.get(path)
            assert (response.status_code, response.text) == (503, "Function host is not running.")
            assert "Retry-After" not in response.headers
        status = host.admin("GET", "host/status").json()
        assert status["state"] == "Error"
        assert reason in status["errors"][0]
        assert host.said(reason)
        assert host.said("Azure would start too, and answer 503")


def test_a_strict_host_ends_at_a_wrong_host_json(tmp_path: Path) -> None:
    app = app_of(tmp_path, SOUND, "{")

    status, errors = run_to_end(
        ["--app-dir", str(app), "--state-dir", str(tmp_path), "--port", "0", "--strict"], {}
    )

    assert status == 2
    assert "host.json is not valid JSON" in errors
    assert "Azure would start too" in errors


def test_a_name_that_host_json_does_not_know_is_ignored_and_the_console_has_it(
    tmp_path: Path,
) -> None:
    host_json = {"version": "2.0", "extensions": {"queues": {"visibilityTimeOuts": "x"}}}
    with Host(tmp_path, {}, app=app_of(tmp_path, SOUND, host_json)) as host:
        assert host.get("/api/x").text == "x"
        assert host.said(
            "warning: host.json: extensions.queues.visibilitytimeouts is unknown; "
            "Azure ignores it without a word"
        )


@pytest.mark.timeout(60)
def test_with_storage_that_cannot_be_reached_the_host_does_not_listen_and_ends(
    tmp_path: Path,
) -> None:
    nobody, port = ports.free_ports(2)
    storage = (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=eA==;"
        f"QueueEndpoint=http://127.0.0.1:{nobody}/a;"
    )

    status, errors = run_to_end(
        ["--app-dir", str(SAMPLE_APP), "--state-dir", str(tmp_path), "--port", str(port)],
        {"AzureWebJobsStorage": storage},
    )

    assert status == 2
    assert f"AzureWebJobsStorage cannot be reached at 127.0.0.1:{nobody}" in errors
    assert "In Azure the host does not listen either, and ends" in errors
    assert "listening on" not in errors


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        pytest.param(
            {"AzureWebJobsStorage": "nonsense"}, "not a storage connection string", id="storage"
        ),
        pytest.param({"SAMPLE_QUEUE": "no_queue_name"}, "is not a queue name", id="queue-name"),
        pytest.param({"SAMPLE_QUEUE": ""}, "is not a queue name", id="empty-queue-name"),
        pytest.param({}, "has no extensionBundle", id="bundle"),
    ],
)
def test_what_is_wrong_with_queues_turns_off_the_functions_with_queues_alone(
    azurite: Azurite, tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    disabled = without_storage()
    for name in ("work", "enqueue"):
        del disabled[f"AzureWebJobs.{name}.Disabled"]
    environment = {"AzureWebJobsStorage": azurite.connection_string, **disabled, **settings}

    with Host(tmp_path, environment, app=sample_app(tmp_path, reason)) as host:
        assert host.get("/echo").status_code == 200
        # The output binding of this one is a queue.
        assert host.post("/enqueue", data=b"x").status_code == 404
        names = {each["name"] for each in host.admin("GET", "functions").json()}
        assert "echo" in names
        assert not names & {"work", "enqueue"}
        assert host.admin("POST", "functions/work", json={}).status_code == 404
        assert host.said("error: function work: ")
        assert host.said(reason)
        assert host.said("Azure would not refuse this: the function is off")


def test_a_schedule_that_is_wrong_turns_off_that_timer_alone(
    azurite: Azurite, queue: QueueClient, tmp_path: Path
) -> None:
    source = (SAMPLE_APP / "function_app.py").read_text()
    app = app_of(tmp_path, source.replace('"*/1 * * * * *"', '"every second"'))
    environment = without_storage() | {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureWebJobs.tick.Disabled": "false",
        "AzureWebJobs.nightly.Disabled": "false",
    }

    with Host(tmp_path, environment, app=app) as host:
        until(lambda: bool(host.notes("nightly")))
        assert host.said("error: function tick: schedule 'every second'")
        assert host.get("/echo").status_code == 404
        assert host.get("/api/echo").status_code == 200


def sample_app(directory: Path, reason: str) -> Path:
    """A copy of the sample app, without the bundle where that is the mistake."""
    app = directory / "app"
    shutil.copytree(SAMPLE_APP, app)
    if "extensionBundle" in reason:
        document = json.loads((app / "host.json").read_text())
        del document["extensionBundle"]
        (app / "host.json").write_text(json.dumps(document))
    return app
