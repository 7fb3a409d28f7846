"""What the pages tell people to type exists, and what the workflows run is what they name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.infra.tools import INFRA, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), INFRA / "README.md"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def commands(page: Path) -> list[tuple[str, str]]:
    """Script and arguments of each command of ours, in blocks and in the text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"infra/((?:deploy|register-app|package)\.sh)([^`\n]*)", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_that_a_page_gives_are_the_scripts(page: Path) -> None:
    for script, arguments in commands(page):
        known = (INFRA / script).read_text(encoding="utf-8").partition("\nTEXT\n")[0]
        for option in re.findall(r"(?<!\S)--[a-z-]+", arguments):
            assert option in known, f"{page.name}: {script} has no {option}"


def test_pages_are_read_for_commands() -> None:
    assert len(commands(ROOT / "docs" / "deploy.md")) > 8


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_commits_and_say_which_version_that_is(path: Path) -> None:
    used = [line for line in path.read_text().splitlines() if "uses: " in line and "./" not in line]

    assert used
    for line in used:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_page_names_every_variable_that_the_workflow_reads() -> None:
    workflow = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    page = (ROOT / "docs" / "deploy.md").read_text()
    section = page.partition("### With GitHub Actions")[2].partition("\n## ")[0]

    assert set(re.findall(r"(?:vars|secrets)\.(\w+)", workflow)) <= set(
        re.findall(r"`(\w+)`", section)
    )
    assert section.index("infra/register-app.sh") < section.index("*Actions*, *deploy*")


def test_alerts_rest_on_events_that_are_logged_and_explained() -> None:
    source = [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in source)
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    alerts = (INFRA / "modules" / "alerts.bicep").read_text(encoding="utf-8")
    queries = "\n".join(line for line in alerts.splitlines() if "query: " in line)

    events = set(re.findall(r'"([a-z_]+_[a-z_]+)"', queries)) - {"ring_again"}
    assert {"mail_unknown", "account_cannot_send", "account_needs_sign_in"} <= events
    for event in events:
        # Delivery names an outcome after its status.
        status = event.removeprefix("mail_") in {"failed", "unknown"}
        assert f'"{event}"' in code or (status and 'f"mail_{' in code), event
        assert f"| `{event}` |" in page


def test_telemetry_that_alerts_rest_on_is_not_sampled() -> None:
    """Sampling drops single log lines, and an alert may rest on one."""
    logging = json.loads((ROOT / "host.json").read_text())["logging"]["applicationInsights"]
    kept = logging["samplingSettings"]["excludedTypes"].split(";")
    alerts = (INFRA / "modules" / "alerts.bicep").read_text()

    for table, kind in {
        "traces": "Trace",
        "requests": "Request",
        "exceptions": "Exception",
    }.items():
        assert not re.search(rf"['(]{table} \|", alerts) or kind in kept
    assert "Trace" in kept
