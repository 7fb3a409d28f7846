"""How large modules and constructors may be: what is larger has several jobs."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]

MOST_LINES = 400
TABLES_OF_DATA = {"shared/mail/known_errors/entra.py"}

MOST_PARAMETERS = 10


def test_no_module_has_more_than_400_lines() -> None:
    large = {
        str(path.relative_to(ROOT))
        for path in OURS
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }

    assert large == TABLES_OF_DATA


def test_no_constructor_has_more_than_ten_parameters() -> None:
    found = set()
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    count = len(part.args.args) + len(part.args.kwonlyargs) - 1
                    if count > MOST_PARAMETERS:
                        found.add(node.name)

    assert found == set()
