"""What a Bicep file consists of. Expressions first, then statements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


class BicepError(Exception):
    """A file that cannot be read, or an expression that cannot be worked out."""


@dataclass(frozen=True)
class Literal:
    value: str | int | bool | None


@dataclass(frozen=True)
class Interpolated:
    """`'a${b}c'`: texts and expressions in turn."""

    parts: tuple[str | Expr, ...]


@dataclass(frozen=True)
class Name:
    name: str


@dataclass(frozen=True)
class Call:
    """A function, or with a target (`az.`, `sys.`) one of a namespace."""

    name: str
    arguments: tuple[Expr, ...]
    target: Expr | None = None


@dataclass(frozen=True)
class Member:
    """`a.b`, `a.?b`, `a::b`."""

    target: Expr
    name: str
    safe: bool = False


@dataclass(frozen=True)
class Index:
    target: Expr
    index: Expr
    safe: bool = False


@dataclass(frozen=True)
class Unary:
    operator: str
    operand: Expr


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Ternary:
    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True)
class Spread:
    value: Expr


@dataclass(frozen=True)
class Array:
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Property:
    key: Expr
    value: Expr
    line: int


@dataclass(frozen=True)
class Object:
    """Properties and spreads in order; resources declared inside stand apart."""

    entries: tuple[Property | Spread, ...]
    resources: tuple[Resource, ...] = ()


@dataclass(frozen=True)
class Lambda:
    parameters: tuple[str, ...]
    body: Expr


@dataclass(frozen=True)
class For:
    item: str
    index: str | None
    source: Expr
    body: Expr


@dataclass(frozen=True)
class If:
    """Only as the body of a resource, a module or a loop over them."""

    condition: Expr
    body: Expr


Expr = (
    Literal
    | Interpolated
    | Name
    | Call
    | Member
    | Index
    | Unary
    | Binary
    | Ternary
    | Spread
    | Array
    | Object
    | Lambda
    | For
    | If
)


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: Expr | None
    decorators: tuple[Call, ...]
    line: int

    def decorator(self, name: str) -> Call | None:
        return next((d for d in self.decorators if d.name == name), None)


@dataclass(frozen=True)
class Variable:
    name: str
    value: Expr
    decorators: tuple[Call, ...]
    line: int


@dataclass(frozen=True)
class Function:
    name: str
    parameters: tuple[str, ...]
    body: Expr
    line: int


@dataclass(frozen=True)
class Resource:
    symbol: str
    type: str
    version: str
    existing: bool
    body: Expr
    line: int


@dataclass(frozen=True)
class Module:
    symbol: str
    path: str
    body: Expr
    line: int


@dataclass(frozen=True)
class Output:
    name: str
    type: str
    value: Expr
    decorators: tuple[Call, ...]
    line: int


@dataclass(frozen=True)
class Import:
    """Names from another file; `*` stands for `* as name`."""

    path: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Header:
    """`targetScope`, `metadata`, `extension`: the word and what follows."""

    word: str
    value: Expr


Statement = Parameter | Variable | Function | Resource | Module | Output | Import | Header


@dataclass(frozen=True)
class File:
    path: Path
    statements: tuple[Statement, ...]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        return {s.name: s for s in self.statements if isinstance(s, Parameter)}

    @cached_property
    def variables(self) -> dict[str, Variable]:
        return {s.name: s for s in self.statements if isinstance(s, Variable)}

    @cached_property
    def resources(self) -> list[Resource]:
        """All, those inside others after them."""
        found: list[Resource] = []
        for statement in self.statements:
            if isinstance(statement, Resource):
                found += _with_inner(statement)
        return found

    @cached_property
    def modules(self) -> list[Module]:
        return [s for s in self.statements if isinstance(s, Module)]

    @cached_property
    def outputs(self) -> list[Output]:
        return [s for s in self.statements if isinstance(s, Output)]


def body_of(declared: Expr) -> Object:
    """The object of a resource or module, out of its loop and its condition."""
    while isinstance(declared, For | If):
        declared = declared.body
    if not isinstance(declared, Object):
        raise BicepError("a resource or module without a body")
    return declared


def _with_inner(resource: Resource) -> list[Resource]:
    found = [resource]
    for inner in body_of(resource.body).resources:
        found += _with_inner(inner)
    return found
