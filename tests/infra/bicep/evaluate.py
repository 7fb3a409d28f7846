"""Works out what a template would deploy for given parameters: every resource with its values.

What only Azure knows (a client id, a host name) comes from `azure.made`. Nothing is guessed: a
value that neither the template nor that table has is a BicepError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.infra.bicep import syntax as s
from tests.infra.bicep.azure import made
from tests.infra.bicep.functions import (
    FUNCTIONS,
    SUBSCRIPTION,
    Value,
    interleave,
    is_empty,
    resource_group,
    text,
    union,
)
from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import BicepError

_META = ("parent", "scope", "dependsOn")


def deploy(path: Path, parameters: Mapping[str, Value] | None = None) -> Template:
    """The template at `path`, with these parameters and the defaults of the others."""
    return Template(path, dict(parameters or {}), resource_group())


@dataclass(frozen=True, eq=False)
class Deployed:
    """A resource of a template: one of a loop's, or the only one. Values are made when asked."""

    template: Template
    declared: s.Resource
    type: str
    parent: Deployed | None
    names: Mapping[str, Value]
    """Loop variables."""

    @property
    def place(self) -> str:
        return f"{self.template.path.name}:{self.declared.line} {self.declared.symbol}"

    def _body(self) -> s.Object:
        return s.body_of(self.declared.body)

    def _entry(self, name: str) -> s.Expr | None:
        for entry in self._body().entries:
            if isinstance(entry, s.Property) and entry.key == s.Literal(name):
                return entry.value
        return None

    def _value(self, name: str) -> Value:
        entry = self._entry(name)
        return None if entry is None else self.template.value(entry, self.names)

    @cached_property
    def name(self) -> str:
        """With the names of its parents: `account/default/outbox`."""
        own = self._value("name")
        if own is None:
            own = self._value("uniqueName") or self._value("appId") or self.declared.symbol
        above = self.above
        return f"{above.name}/{own}" if above else str(own)

    @cached_property
    def above(self) -> Deployed | None:
        parent = self._value("parent")
        return parent if isinstance(parent, Deployed) else self.parent

    @cached_property
    def scope_id(self) -> str:
        scope = self._value("scope")
        if isinstance(scope, Deployed):
            return scope.id
        if isinstance(scope, dict):
            return str(scope["id"])
        above = self.above
        return above.scope_id if above else str(self.template.scope["id"])

    @cached_property
    def id(self) -> str:
        if self.type.startswith("Microsoft.Graph/"):
            return str(made(self.type, self.name, self.name).get("id", self.name))
        if self.type == "Microsoft.Resources/resourceGroups":
            return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{self.name}"
        return f"{self.scope_id}/providers/{interleave(self.type, tuple(self.name.split('/')))}"

    def body(self) -> dict[str, Value]:
        """All that the template says of it, worked out."""
        found = self.template.value(self._body(), self.names)
        # In a grant of Microsoft Graph, `scope` is what is granted.
        meta = () if self.type.startswith("Microsoft.Graph/") else _META
        return {key: value for key, value in found.items() if key not in meta}

    def member(self, name: str) -> Value:
        """`x.name` in the template."""
        if name == "id":
            return self.id
        if name == "name":
            return self.name.rpartition("/")[2]
        if name in ("type", "apiVersion"):
            return self.type if name == "type" else self.declared.version
        inner = next((r for r in self._body().resources if r.symbol == name), None)
        if inner is not None:
            return self.template.inner(inner, self)
        added = made(self.type, self.name.rpartition("/")[2], self.id).get(name)
        given = self._value(name)
        if isinstance(added, dict):
            # Its own words win over what Azure would add.
            return union(added, given or {})
        if given is None and added is None:
            raise BicepError(f"{self.place}: nothing is known of .{name}")
        return added if given is None else given


@dataclass(frozen=True, eq=False)
class Part:
    """A module of a template: one of a loop's, or the only one."""

    owner: Template
    declared: s.Module
    names: Mapping[str, Value]
    template: Template

    def member(self, name: str) -> Value:
        if name == "outputs":
            return _Outputs(self.template)
        if name == "name":
            return self.owner.value(s.body_of(self.declared.body), self.names).get("name")
        raise BicepError(f"{self.owner.path.name}: a module has no .{name}")


@dataclass(frozen=True, eq=False)
class _Outputs:
    template: Template

    def member(self, name: str) -> Value:
        return self.template.output(name)


class Template:
    """A file with values for its parameters."""

    def __init__(self, path: Path, given: dict[str, Value], scope: Mapping[str, Value]) -> None:
        self.path = path
        self.file = read(path)
        self.given = given
        self.scope = scope
        self.functions: dict[str, Callable[..., Value]] = dict(FUNCTIONS)
        self._cache: dict[str, Value] = {}
        self._busy: list[str] = []
        unknown = given.keys() - self.file.parameters.keys()
        if unknown:
            raise BicepError(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
        for parameter in self.file.parameters.values():
            optional = parameter.default is not None or parameter.type.endswith("?")
            if not optional and parameter.name not in given:
                raise BicepError(f"{path.name}: parameter {parameter.name} has no value")
        self.functions |= {
            "loadTextContent": lambda name, *_: (path.parent / name).read_text(encoding="utf-8"),
            "loadJsonContent": lambda name, *_: json.loads((path.parent / name).read_text()),
        }
        for statement in self.file.statements:
            if isinstance(statement, s.Function):
                self.functions[statement.name] = self._closure(
                    statement.parameters, statement.body, {}
                )
            elif isinstance(statement, s.Import):
                self._import(statement)

    def _import(self, statement: s.Import) -> None:
        other = Template((self.path.parent / statement.path).resolve(), {}, self.scope)
        for name, alias in statement.names:
            if name == "*":
                self._cache[alias] = {key: other.named(key) for key in other.file.variables}
            elif name in other.file.variables:
                self._cache[alias] = other.named(name)
            elif name in other.functions:
                self.functions[alias] = other.functions[name]

    # --- what is deployed

    def resources(self) -> list[Deployed]:
        """All that are to be made, those of modules too; `existing` ones are not among them."""
        found: list[Deployed] = []
        for declared in self.file.statements:
            if isinstance(declared, s.Resource):
                for one in self._instances(declared, None):
                    found += self._with_inner(one)
            elif isinstance(declared, s.Module):
                for part in self._parts(declared):
                    found += part.template.resources()
        return found

    def templates(self) -> list[Template]:
        """This and those of its modules."""
        found = [self]
        for declared in self.file.modules:
            for part in self._parts(declared):
                found += part.template.templates()
        return found

    def outputs(self) -> dict[str, Value]:
        return {output.name: self.output(output.name) for output in self.file.outputs}

    def output(self, name: str) -> Value:
        found = next((o for o in self.file.outputs if o.name == name), None)
        if found is None:
            raise BicepError(f"{self.path.name} has no output {name}")
        return self.value(found.value, {})

    def _with_inner(self, one: Deployed) -> list[Deployed]:
        found = [] if one.declared.existing else [one]
        for declared in s.body_of(one.declared.body).resources:
            for inner in self._instances(declared, one):
                found += self._with_inner(inner)
        return found

    def _instances(self, declared: s.Resource, parent: Deployed | None) -> list[Deployed]:
        kind = f"{parent.type}/{declared.type}" if parent else declared.type
        return [
            Deployed(self, declared, kind, parent, names)
            for names, wanted in self._occasions(declared.body)
            if wanted
        ]

    def _parts(self, declared: s.Module) -> list[Part]:
        return [
            self._part(declared, names)
            for names, wanted in self._occasions(declared.body)
            if wanted
        ]

    def _part(self, declared: s.Module, names: Mapping[str, Value]) -> Part:
        key = f"module {declared.symbol} {json.dumps(names, default=str)}"
        if key not in self._cache:
            given: dict[str, Value] = {}
            scope = self.scope
            for entry in s.body_of(declared.body).entries:
                if isinstance(entry, s.Property) and entry.key == s.Literal("params"):
                    given = self.value(entry.value, names)
                if isinstance(entry, s.Property) and entry.key == s.Literal("scope"):
                    target = self.value(entry.value, names)
                    scope = resource_group(target.name) if isinstance(target, Deployed) else target
            # A parameter given as null has its default, as in ARM.
            given = {name: value for name, value in given.items() if value is not None}
            path = (self.path.parent / declared.path).resolve()
            self._cache[key] = Part(self, declared, names, Template(path, given, scope))
        found = self._cache[key]
        assert isinstance(found, Part)
        return found

    def _occasions(self, body: s.Expr) -> Iterator[tuple[Mapping[str, Value], bool]]:
        """Loop variables, and whether the condition holds for them."""
        if isinstance(body, s.For):
            for names in self._loop(body, {}):
                holds = not isinstance(body.body, s.If) or self.value(body.body.condition, names)
                yield names, bool(holds)
        elif isinstance(body, s.If):
            yield {}, bool(self.value(body.condition, {}))
        else:
            yield {}, True

    def _loop(self, loop: s.For, names: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        for index, item in enumerate(self.value(loop.source, names)):
            counter = {loop.index: index} if loop.index else {}
            yield {**names, loop.item: item, **counter}

    def inner(self, declared: s.Resource, parent: Deployed) -> Value:
        kind = f"{parent.type}/{declared.type}"
        return Deployed(self, declared, kind, parent, {})

    # --- names

    def named(self, name: str) -> Value:
        if name in self._cache:
            return self._cache[name]
        if name in self._busy:
            raise BicepError(f"{self.path.name}: {name} depends on itself")
        self._busy.append(name)
        try:
            self._cache[name] = self._find(name)
        finally:
            self._busy.remove(name)
        return self._cache[name]

    def _find(self, name: str) -> Value:
        if name in self.file.parameters:
            return self._parameter(self.file.parameters[name])
        if name in self.file.variables:
            return self.value(self.file.variables[name].value, {})
        for declared in self.file.statements:
            if isinstance(declared, s.Resource | s.Module) and declared.symbol == name:
                return self._declared(declared)
        raise BicepError(f"{self.path.name}: {name} is not declared")

    def _parameter(self, parameter: s.Parameter) -> Value:
        if parameter.name in self.given:
            value = self.given[parameter.name]
        elif parameter.default is not None:
            value = self.value(parameter.default, {})
        elif parameter.type.endswith("?"):
            return None
        else:
            raise BicepError(f"{self.path.name}: parameter {parameter.name} has no value")
        self._check(parameter, value)
        return value

    def _check(self, parameter: s.Parameter, value: Value) -> None:
        limits: dict[str, Callable[[Value], bool]] = {
            "allowed": lambda allowed: (
                all(item in allowed for item in value)
                if isinstance(value, list)
                else value in allowed
            ),
            "minLength": lambda least: len(value) >= least,
            "maxLength": lambda most: len(value) <= most,
            "minValue": lambda least: value >= least,
            "maxValue": lambda most: value <= most,
        }
        for name, holds in limits.items():
            decorator = parameter.decorator(name)
            if decorator and not holds(self.value(decorator.arguments[0], {})):
                raise BicepError(f"{self.path.name}: {parameter.name} is against its @{name}")

    def _declared(self, declared: s.Resource | s.Module) -> Value:
        if isinstance(declared.body, s.For):
            loops = self._loop(declared.body, {})
            return [self._one(declared, names) for names in loops]
        return self._one(declared, {})

    def _one(self, declared: s.Resource | s.Module, names: Mapping[str, Value]) -> Deployed | Part:
        if isinstance(declared, s.Module):
            return self._part(declared, names)
        return Deployed(self, declared, declared.type, None, names)

    # --- expressions

    def value(  # noqa: C901 - one case for each kind of expression
        self, expression: s.Expr, names: Mapping[str, Value]
    ) -> Value:
        """What an expression is, where `names` are those of loops and lambdas around it."""
        match expression:
            case s.Literal(value):
                return value
            case s.Interpolated(parts):
                return "".join(
                    part if isinstance(part, str) else text(self.value(part, names))
                    for part in parts
                )
            case s.Name(name):
                return names[name] if name in names else self.named(name)
            case s.Call():
                return self._call(expression, names)
            case s.Member(target, name, safe):
                return self._member(self.value(target, names), name, safe)
            case s.Index(target, index, safe):
                return _item(self.value(target, names), self.value(index, names), safe)
            case s.Unary(operator, operand):
                value = self.value(operand, names)
                return not value if operator == "!" else -value
            case s.Binary():
                return self._binary(expression, names)
            case s.Ternary(condition, yes, no):
                return self.value(yes if self.value(condition, names) else no, names)
            case s.Lambda(parameters, body):
                return self._closure(parameters, body, names)
            case s.For():
                return [
                    self.value(expression.body, inner) for inner in self._loop(expression, names)
                ]
            case s.Array(items):
                return list(self._items(items, names))
            case s.Object():
                return self._object(expression, names)
            case s.If() | s.Spread():
                raise BicepError(f"{self.path.name}: a condition or spread out of place")

    def _items(self, items: tuple[s.Expr, ...], names: Mapping[str, Value]) -> Iterator[Value]:
        for item in items:
            if isinstance(item, s.Spread):
                yield from self.value(item.value, names)
            else:
                yield self.value(item, names)

    def _object(self, found: s.Object, names: Mapping[str, Value]) -> dict[str, Value]:
        made_of: dict[str, Value] = {}
        for entry in found.entries:
            if isinstance(entry, s.Spread):
                made_of |= self.value(entry.value, names)
            else:
                made_of[str(self.value(entry.key, names))] = self.value(entry.value, names)
        return made_of

    def _closure(
        self, parameters: tuple[str, ...], body: s.Expr, names: Mapping[str, Value]
    ) -> Callable[..., Value]:
        def call(*values: Value) -> Value:
            return self.value(body, {**names, **dict(zip(parameters, values, strict=False))})

        return call

    def _call(self, call: s.Call, names: Mapping[str, Value]) -> Value:
        if call.target is not None and call.target not in (s.Name("az"), s.Name("sys")):
            raise BicepError(f"{self.path.name}: {call.name}() is not worked out here")
        if call.name == "resourceGroup" and not call.arguments:
            return self.scope
        if call.name not in self.functions:
            raise BicepError(f"{self.path.name}: {call.name}() is not known here")
        arguments = [self.value(argument, names) for argument in call.arguments]
        try:
            return self.functions[call.name](*arguments)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, StopIteration) as e:
            raise BicepError(f"{self.path.name}: {call.name}(): {e}") from e

    def _member(self, target: Value, name: str, safe: bool) -> Value:
        if isinstance(target, Deployed | Part | _Outputs):
            return target.member(name)
        return _item(target, name, safe)

    def _binary(self, binary: s.Binary, names: Mapping[str, Value]) -> Value:
        left = self.value(binary.left, names)
        if binary.operator == "??":
            return left if left is not None else self.value(binary.right, names)
        if binary.operator in ("&&", "||"):
            if bool(left) == (binary.operator == "||"):
                return bool(left)
            return bool(self.value(binary.right, names))
        return _OPERATIONS[binary.operator](left, self.value(binary.right, names))


_OPERATIONS: dict[str, Callable[[Any, Any], Value]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "=~": lambda a, b: a.lower() == b.lower(),
    "!~": lambda a, b: a.lower() != b.lower(),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def _item(target: Value, key: Value, safe: bool) -> Value:
    if target is None and safe:
        return None
    if isinstance(target, list) and isinstance(key, int) and 0 <= key < len(target):
        return target[key]
    if isinstance(target, dict):
        if key in target:
            return target[key]
        # Names of properties do not mind case.
        alike = [value for name, value in target.items() if name.lower() == str(key).lower()]
        if alike:
            return alike[0]
    if safe:
        return None
    shown = "null" if is_empty(target) else type(target).__name__
    raise BicepError(f"there is no {key} in {shown}")
