"""azure-functions-doctor, over what would be published beside what would be deployed.

It reads JSON templates better than Bicep, so it gets main.bicep worked out as one.
What it cannot know is in data/doctor.json, each with its reason.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.infra import tools
from tests.infra.tools import DATA, ROOT
from tests.infra.variants import variants

_APP = ("function_app.py", "host.json", "requirements.txt", ".funcignore")


def stage(folder: Path, infra: Path) -> None:
    """The app and its templates, without the rest of the repository."""
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=unneeded)
    stage_templates(folder, infra)


def stage_templates(folder: Path, infra: Path) -> None:
    """Without the modules of the app, each of which the doctor reads many times."""
    for name in _APP:
        shutil.copy(ROOT / name, folder)
    # The examples are other people's apps.
    shutil.copytree(infra, folder / "infra", ignore=shutil.ignore_patterns("examples"))
    worked_out = json.dumps(as_arm(infra / "main.bicep"), indent=2)
    (folder / "infra" / "main.json").write_text(worked_out)


def as_arm(main: Path) -> dict[str, Any]:
    """The template with its defaults as an ARM template, all values worked out."""
    variant = next(iter(variants(main)))
    resources = [
        {
            **resource.body(),
            "type": resource.type,
            "apiVersion": resource.declared.version,
            "name": resource.name,
        }
        for resource in variant.resources
    ]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": resources,
    }


def examine(folder: Path) -> list[dict[str, Any]]:
    done = tools.run(
        tools.tool("azure-functions-doctor"),
        "doctor",
        "--path",
        str(folder),
        "--format",
        "json",
        "--profile",
        "full",
        "--hosting-plan",
        "flex-consumption",
        "--target-python",
        "3.13",
    )
    document = json.loads(done.stdout)
    return [item for section in document["results"] for item in section["items"]]


def problems(items: list[dict[str, Any]]) -> list[str]:
    return list(_problems({item["rule_id"]: item for item in items}))


def _problems(items: dict[str, dict[str, Any]]) -> Iterator[str]:
    known = json.loads((DATA / "doctor.json").read_text())
    for rule, item in items.items():
        if item["status"] not in ("pass", "skip") and rule not in known["cannot_know"]:
            yield f"{rule}: {item['status']}: {item['value']}"
    for rule in known["must_pass"]:
        if items.get(rule, {}).get("status") != "pass":
            yield f"{rule} does not pass: {items.get(rule, {}).get('value')}"
    for rule in known["cannot_know"]:
        if items.get(rule, {}).get("status") == "pass":
            yield f"{rule}: is said to be beyond the doctor, and passes"
