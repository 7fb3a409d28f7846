"""`make test` runs every test there is, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import parts
from tests.parts import PARTS, Part, counted, run

TESTS = Path(__file__).parents[1]


def test_each_file_of_tests_is_in_exactly_one_part() -> None:
    files = sorted(TESTS.rglob("test_*.py"))
    folders = [TESTS.parent / folder for part in PARTS for folder in part.folders]

    owners = {file: [folder for folder in folders if file.is_relative_to(folder)] for file in files}

    assert len(files) > 100
    assert [file for file, found in owners.items() if len(found) != 1] == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("============ 3 passed in 0.11s =============", "3 passed"),
        ("===== 4 failed, 1426 passed in 626.22s (0:10:26) =====", "4 failed, 1426 passed"),
        ("1029 passed, 2 deselected in 456.59s (0:07:36)", "1029 passed, 2 deselected"),
        ("Killed", "no result"),
    ],
)
def test_what_pytest_counted_is_read_from_its_log(line: str, count: str) -> None:
    assert counted(f"collected 3 items\n\n{line}\n") == count


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    monkeypatch.setattr(parts, "LOGS", tmp_path / "logs")
    return tmp_path


def part(folder: Path, name: str, body: str) -> Part:
    (folder / name).mkdir()
    (folder / name / "test_it.py").write_text(f"def test_it() -> None:\n    {body}\n")
    return Part(name, [name])


def test_a_part_that_fails_is_shown_and_fails_the_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    well = part(folder, "well", "pass")
    ill = part(folder, "ill", "assert not 'the reason'")

    assert not run([ill, well], 2, ["-q"])

    shown = capsys.readouterr().out
    assert "ok      well" in shown
    assert "assert not 'the reason'" in shown
    assert "FAILED  ill" in shown
    assert "1 failed" in shown


def test_a_part_without_tests_fails(folder: Path) -> None:
    """A folder that was renamed would go unnoticed."""
    (folder / "empty").mkdir()

    assert not run([Part("empty", ["empty"])], 1, ["-q"])
