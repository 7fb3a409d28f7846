"""Every command of docs/local-stack.md that speaks to the control surface is taken by it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests

from local.simulator.server import Simulator

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "local-stack.md").read_text()
COMMAND = re.compile(r"curl (?:-X (\w+) )?\$C/([a-z-]+)(?: -H '[^']*' -d '([^']*)')?")
COMMANDS = sorted({(m[1], m[2], m[3]) for m in COMMAND.finditer(PAGE)}, key=str)


@pytest.mark.parametrize(("method", "path", "document"), COMMANDS)
def test_command_of_the_page_is_taken(
    simulator: Simulator,
    http: requests.Session,
    method: str | None,
    path: str,
    document: str | None,
) -> None:
    body = json.loads(document) if document else None

    answer = http.request(
        method or ("POST" if body else "GET"), f"{simulator.urls.control}/{path}", json=body
    )

    assert answer.status_code == 200, answer.text


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) > 40
