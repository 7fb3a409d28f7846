"""Every code that an account, a check or a mail can show has its place in docs/errors.md."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.docs import ERRORS, anchor
from shared.mail import known_errors

ROOT = Path(__file__).parents[2]
SYSTEMS = ("graph", "entra", "vault", "identity")
"""What a check asks, and can be left without an answer by."""


@functools.cache
def modules() -> tuple[ast.Module, ...]:
    paths = sorted((ROOT / "shared").rglob("*.py"))
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in paths)


@functools.cache
def constants() -> dict[str, set[str]]:
    """Words by the name that a module gives them; one name may stand for several."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for node in module.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(word))):
                    found.setdefault(name, set()).add(word)
    return found


def words(expression: ast.expr) -> Iterator[str]:
    """The codes that an expression can be, as far as it is ours: not what Microsoft sends."""
    match expression:
        case ast.Constant(value=str(word)) if word:
            yield word
        case ast.Name(id=name) if name.isupper():
            yield from constants()[name]
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from words(part)
        case ast.IfExp(body=body, orelse=orelse):
            yield from words(body)
            yield from words(orelse)
        case ast.JoinedStr() if ast.unparse(expression) == "f'{system}_unreachable'":
            yield from (f"{system}_unreachable" for system in SYSTEMS)


def codes(call: ast.Call) -> Iterator[ast.expr]:
    """What a call puts into an account's reason, a check's finding, or a mail's reason."""
    name = ast.unparse(call.func).rpartition(".")[2]
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in ("ConsentRequired", "CredentialRefused"):
        yield call.args[0]
    if name == "Outcome" and len(call.args) > 1:
        yield call.args[1]
    if name == "Finding" and "code" in named:
        yield named["code"]
    if name != "event" and "reason" in named:
        yield named["reason"]


def shown() -> set[str]:
    return {
        word
        for module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        for expression in codes(node)
        for word in words(expression)
    }


@pytest.mark.parametrize("code", sorted(shown()))
def test_a_code_that_is_shown_is_on_the_errors_page(code: str) -> None:
    anchors = re.findall(r'<a id="([^"]+)"></a>', ERRORS.read_text(encoding="utf-8"))

    assert anchor(code) in anchors


def test_the_codes_are_found_where_they_are_written() -> None:
    """One of each sort, so that the test above does not come to look at nothing."""
    assert {
        "holder_gone",
        "disconnecting",
        "scope_missing",
        "mailbox_refused",
        "address_changed",
        "graph_unreachable",
        "vault_refused",
        "no_grant",
        "answer_lost",
        "daily_cap",
    } <= shown()


@pytest.mark.parametrize(
    "code", ["scope_missing", "mailbox_refused", "address_changed", "holder_gone", "disconnecting"]
)
def test_a_code_of_a_check_says_who_does_what(code: str) -> None:
    row = known_errors.find(code)

    assert known_errors.is_known(code)
    assert row.who is not known_errors.Actor.NOBODY
    assert row.step
