"""checkov: no failed check, every skip with its reason, and no file that it could not read unsaid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.infra import tools

NOT_SCANNED: dict[str, str] = {
    "entra.bicep": "begins with `extension`, which checkov's parser does not know; it declares "
    "nothing but Microsoft Graph's types, for which checkov has no checks",
}
WRONG: dict[str, str] = {}
"""Checks that fire wrongly wherever they fire, each with the reason. Better: a skip in place."""

CRASHES: dict[str, str] = {
    "CKV_AZURE_189": "cannot work with a value that is a condition; it is skipped in place, with "
    "the reason",
}


def scan(folder: Path) -> dict[str, Any]:
    """checkov's report of all templates below a folder, each read by itself (run_checkov.py says
    why); "crashed" is added to it."""
    done = tools.run(
        tools.python(),
        str(Path(__file__).parents[1] / "run_checkov.py"),
        text=json.dumps([str(file) for file in sorted(folder.rglob("*.bicep"))]),
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    report["crashed"] = re.findall(r"Failed to run check (\w+) on (\S+?):", done.stderr)
    return report


def problems(report: dict[str, Any], folder: Path) -> list[str]:
    """What is wrong below `folder`, which may be a part of what was scanned."""
    return sorted({*_failed(report, folder), *_skipped(report, folder), *_unread(report, folder)})


def _inside(entry: dict[str, Any], folder: Path) -> bool:
    return Path(entry["file_abs_path"]).is_relative_to(folder)


def _failed(report: dict[str, Any], folder: Path) -> Iterator[str]:
    for entry in report["results"]["failed_checks"]:
        if _inside(entry, folder) and entry["check_id"] not in WRONG:
            name = Path(entry["file_abs_path"]).name
            yield f"{name}: {entry['check_id']} {entry['resource']}: {entry['check_name']}"
    for check, path in report["crashed"]:
        if check not in CRASHES:
            yield f"{Path(path).name}: {check} did not run to its end"


def _skipped(report: dict[str, Any], folder: Path) -> Iterator[str]:
    for entry in report["results"]["skipped_checks"]:
        reason = entry["check_result"].get("suppress_comment", "").strip()
        if _inside(entry, folder) and (len(reason) < 10 or reason.startswith("No comment")):
            yield f"{Path(entry['file_abs_path']).name}: {entry['check_id']} is skipped for no reason"


def _unread(report: dict[str, Any], folder: Path) -> Iterator[str]:
    unread = {Path(path) for path in report["results"]["parsing_errors"]}
    for path in sorted(path for path in unread if path.is_relative_to(folder)):
        if path.name not in NOT_SCANNED:
            yield f"{path.name}: checkov cannot read it, and so does not check it"
    for name in NOT_SCANNED:
        if not any(path.name == name for path in unread):
            yield f"{name}: is said to be unreadable for checkov, and is not"
