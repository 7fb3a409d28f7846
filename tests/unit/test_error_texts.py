"""No text of an error holds `<…>`: PowerShell removes it from `$_.ErrorDetails`, and GitHub from a page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.mail import problems
from shared.mail.known_errors import app, entra, graph, oauth

SHARED = Path(__file__).parents[2] / "shared"
CUT = re.compile(r"<[^>]*>")
NOT_ERRORS = {
    # Commands on the page of the set-up, and requests on the page of the API.
    "services/setup/steps.py",
    "web/pages/samples.py",
    # They read and write addresses and html.
    "mail/signature.py",
    "mail/mime/header_lines.py",
    "mail/mime/parts.py",
    "web/pages/rendering.py",
}
ADDRESSES = {"… <…>", '"…" <…>'}
"""How a mail writes an address; no error quotes one."""
PATTERNS = ("re.compile", "re.fullmatch", "re.match", "re.search", "re.sub")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that could be told to somebody; those put together from pieces as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {id(node) for part in ast.walk(tree) for node in unspoken(part)}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            pieces = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield node.lineno, "".join(map(str, pieces))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def unspoken(node: ast.AST) -> Iterator[ast.AST]:
    """What is no text to anybody: docstrings, regular expressions, pieces of a text that is read
    whole."""
    if isinstance(node, ast.Expr):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from node.values
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in PATTERNS:
        yield from ast.walk(node)


def test_no_text_of_a_module_holds_something_between_angle_brackets() -> None:
    offenders = [
        f"{module}:{line}: {text}"
        for path in sorted(SHARED.rglob("*.py"))
        if (module := str(path.relative_to(SHARED))) not in NOT_ERRORS
        for line, text in texts(path)
        if CUT.search(text) and " " in text and text not in ADDRESSES
    ]

    assert offenders == []


def test_no_text_of_a_catalogue_does() -> None:
    told = [text for kind in problems.CATALOGUE for text in (kind.title, kind.help)]
    rows = [row for part in (app, entra, graph, oauth) for row in part.ROWS.values()]

    told += [text for row in rows for text in (row.meaning, row.step)]

    assert len(told) > 200
    assert [text for text in told if "<" in text] == []
