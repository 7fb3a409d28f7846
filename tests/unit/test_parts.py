"""`make test` and `make long` run every test there is, once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import parts
from tests.parts import LONG, PARTS, Part, closing_line, counted, last_line, run

TESTS = Path(__file__).parents[1]


def test_each_file_of_tests_is_in_exactly_one_part() -> None:
    root = TESTS.parent
    files = sorted(TESTS.rglob("test_*.py"))

    owners = {
        file: [
            part.name
            for part in (*PARTS, *LONG)
            if any(file.is_relative_to(root / folder) for folder in part.folders)
            and not any(file.is_relative_to(root / folder) for folder in part.without)
        ]
        for file in files
    }

    assert len(files) > 100
    assert [file for file, found in owners.items() if len(found) != 1] == []


def test_every_folder_of_a_part_is_there() -> None:
    """pytest would say so too, after minutes."""
    folders = [folder for part in (*PARTS, *LONG) for folder in (*part.folders, *part.without)]

    assert [folder for folder in folders if not (TESTS.parent / folder).exists()] == []


def test_long_tests_are_no_part_of_make_test() -> None:
    assert all(not folder.startswith("tests/long") for part in PARTS for folder in part.folders)


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


def test_the_last_line_has_the_sums_of_all_parts_as_pytest_writes_them() -> None:
    logs = ["2 failed, 3 passed in 1.00s", "= 40 passed, 1 skipped, 1 error in 2.00s =", "Killed"]

    line = closing_line(logs, 75.5)

    assert line == "====== 2 failed, 43 passed, 1 skipped, 1 error in 75.50s (1:16) ======"


def test_a_command_is_told_by_its_last_line() -> None:
    assert last_line("a\nAll checks passed!\n\n") == "All checks passed!"


@pytest.fixture
def _no_logs_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    monkeypatch.setattr(parts, "LOGS", tmp_path / "logs")


def command(text: str, code: int = 0) -> list[str]:
    return [sys.executable, "-S", "-c", f"print({text!r}); raise SystemExit({code})"]


@pytest.mark.usefixtures("_no_logs_of_ours")
def test_a_part_that_fails_is_shown_and_fails_the_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    well = Part("well", commands=[command("first"), command("fine")])
    ill = Part("ill", commands=[command("the reason", 5), command("never run")])

    assert not run([ill, well], 2, [])

    shown = capsys.readouterr().out
    assert "ok      well" in shown
    assert "the reason" in shown
    assert "FAILED  ill" in shown
    assert "never run" not in shown


@pytest.mark.usefixtures("_no_logs_of_ours")
def test_parts_that_pass_make_a_whole_that_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([Part("well", commands=[command("fine")])], 1, [])

    assert "All passed in " in capsys.readouterr().out
