"""The programs of docs/api.md and docs/clients.md: those in Node.js and Java send, the others are at
least of their languages (Python and curl: `tests/e2e/mails/test_api_page.py`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import SignedIn
from tests.e2e.control import Control
from tests.long.clients.conftest import PYTHON, Tools

DOCS = Path(__file__).parents[3] / "docs"
PROGRAMS = Path(__file__).parent / "programs"


def blocks(language: str, page: str | None = None) -> list[str]:
    """The programs in a language, of one page or of both."""
    pages = [page] if page else ["api.md", "clients.md"]
    return [
        found
        for name in pages
        for found in re.findall(
            rf"^```{language}\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), re.M | re.S
        )
    ]


def started(tools: Tools, folder: Path, name: str, command: str, program: str) -> str:
    """What a program writes."""
    (folder / name).write_text(program, encoding="utf-8")
    return tools.run([command, name], folder)


@pytest.mark.parametrize(
    ("language", "name", "command"), [("js", "send.mjs", "node"), ("java", "Send.java", "java")]
)
def test_a_program_of_the_page_sends_and_shows_what_is_wrong(
    control: Control,
    signed_in_account: SignedIn,
    tools: Tools,
    tmp_path: Path,
    language: str,
    name: str,
    command: str,
) -> None:
    (program,) = blocks(language, "api.md")

    said = started(tools, tmp_path, name, command, program)

    (mail,) = control.deliveries(1)
    assert mail["subject"] == "Your invoice"
    assert mail["key"] in said
    with pytest.raises(AssertionError, match="invalid_mail"):
        started(tools, tmp_path, name, command, program.replace("ada@contoso.com", "nobody"))


@pytest.mark.parametrize("language", ["csharp", "go", "php", "powershell"])
def test_a_program_of_a_page_is_of_its_language(
    tools: Tools, tmp_path: Path, language: str
) -> None:
    programs = blocks(language)

    assert programs
    for program in programs:
        text = re.sub(r"<[a-z][a-z ]+>", "x", program)  # what a reader fills in
        assert said(tools, tmp_path, language, text) == "", program
        broken = text.replace(")", "", 1) if ")" in text else text + "("
        assert said(tools, tmp_path, language, broken), "a program with a fault is found"


def said(tools: Tools, folder: Path, language: str, program: str) -> str:
    """The faults that the grammar finds."""
    (folder / "program").write_text(program, encoding="utf-8")
    script = f'"{PYTHON / "python"}" "{PROGRAMS / "syntax.py"}" {language} < program'
    return tools.run(["bash", "-c", script], folder)
