"""The app under the worker library that Azure runs: does it index, does it answer."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from shared.web.routing import AREAS

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / ".local" / "functions-runtime"


SETTINGS = {
    "POSTROOM_TENANT": "contoso.onmicrosoft.com",
    "POSTROOM_CLIENT_ID": "11112222-bbbb-3333-cccc-4444dddd5555",
    "POSTROOM_VAULT_URL": "https://contoso.vault.azure.net",
    "POSTROOM_REDIRECT_URI": "https://contoso.azurewebsites.net/api/auth/callback",
    "AzureWebJobsStorage__accountName": "contoso",
}
"""Enough to build the services; nothing remote is asked."""


def run(settings: Mapping[str, str]) -> dict[str, Any]:
    """What the probe found."""
    assert LIBRARY.is_dir(), "the worker library is missing: run make install"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHON_SCRIPT_FILE_NAME": "function_app.py",
        **settings,
    }
    result = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(Path(__file__).with_name("probe.py")), str(LIBRARY), str(ROOT)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    assert "failure" not in document, document
    return document


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Without any settings."""
    return run({})


def functions() -> set[str]:
    """The names of those that function_app.py decorates, and of the routes of all areas."""
    source = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    triggers = {
        node.name
        for node in source.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    return triggers | {route.name for area in AREAS for route in import_module(area).ROUTES}


def test_every_function_is_indexed_with_its_trigger(found: dict[str, Any]) -> None:
    triggers = {
        name: next(binding for binding in bindings if binding["type"].endswith("Trigger"))
        for name, bindings in found["functions"].items()
    }

    assert triggers["send"]["route"] == "api/send"
    assert triggers["finish_sign_in"]["route"] == "api/auth/callback"
    assert triggers["finish_sign_in"]["authLevel"] == "ANONYMOUS"
    assert triggers["deliver"]["queueName"] == "outbox"
    assert triggers["bury"]["queueName"] == "outbox-poison"
    assert triggers["ring_again"]["type"] == "timerTrigger"
    assert triggers.keys() == functions()


def test_without_settings_the_app_still_indexes_and_says_what_is_wrong(
    found: dict[str, Any],
) -> None:
    answer = found["answers"]["health"]

    assert answer["status"] == "503"
    assert json.loads(answer["body"])["status"] == "misconfigured"


def test_the_description_of_the_api_is_served(found: dict[str, Any]) -> None:
    answer = found["answers"]["openapi"]

    assert answer["status"] == "200"
    assert '"openapi": "3.1.0"' in answer["body"]


def test_a_redirect_passes_through_the_worker() -> None:
    assert run(SETTINGS)["answers"]["home"]["status"] == "303"
