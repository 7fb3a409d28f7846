"""Matches HTTP routes as the host does.

Templates are ASP.NET's (https://learn.microsoft.com/aspnet/core/fundamentals/routing): literal
segments without regard to case, `{id}`, `{id?}`, `{id=default}`, `{*rest}`, constraints after a
colon. Unlike ASP.NET, the host tries functions in the alphabetical order of their names and
takes the first that fits (azure-functions-host #3153, #9876), so `/mails/{id}` can hide
`/mails/new`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from local.host import percent
from local.host.errors import HostError

_PARAMETER = re.compile(r"^(\*{0,2})(\w+)((?::[^:=?(]+(?:\([^)]*\))?)*)(?:=([^?]*))?(\?)?$")
_SLASH = frozenset(b"/")
_CONSTRAINT = re.compile(r":(\w+)(?:\(([^)]*)\))?")


@dataclass(frozen=True)
class Constraint:
    parameter: str
    name: str
    argument: str

    def holds(self, value: str) -> bool:
        return bool(_CONSTRAINTS[self.name](value, self.argument))


@dataclass(frozen=True)
class Route:
    function: str
    template: str
    methods: frozenset[str]
    auth_level: str
    pattern: re.Pattern[str]
    parameters: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    defaults: dict[str, str] = field(default_factory=dict)

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Route parameters of this call, or None when the route does not fit."""
        if self.methods and method not in self.methods:
            return None
        found = self.pattern.match(path)
        if found is None:
            return None
        values = dict(self.defaults)
        for index, name in enumerate(self.parameters):
            text = found.group(f"p{index}")
            if text:
                values[name] = text
        for each in self.constraints:
            if each.parameter in values and not each.holds(values[each.parameter]):
                return None
        return values


def compile_route(
    function: str, prefix: str, route: str, methods: Iterable[str], auth_level: str
) -> Route:
    # An empty route means the function's name; "/" is how a function asks for the root.
    own = (route or function).removeprefix("~").strip("/")
    if own.lower().split("/")[0] in ("admin", "runtime"):
        raise HostError(
            f"function {function}: the host keeps routes under /admin and /runtime for itself; "
            "choose another route"
        )
    template = "/".join(part for part in (prefix, own) if part)
    compiler = _Compiler(function, template)
    return Route(
        function=function,
        template="/" + template,
        methods=frozenset(method.upper() for method in methods),
        auth_level=auth_level,
        pattern=compiler.pattern(),
        parameters=tuple(compiler.parameters),
        constraints=tuple(compiler.constraints),
        defaults=compiler.defaults,
    )


class _Compiler:
    """One template into one regular expression with groups p0, p1, …"""

    def __init__(self, function: str, template: str) -> None:
        self._function = function
        self._template = template
        self.parameters: list[str] = []
        self.constraints: list[Constraint] = []
        self.defaults: dict[str, str] = {}

    def pattern(self) -> re.Pattern[str]:
        segments = self._template.split("/") if self._template else []
        body = "".join(self._segment(segment) for segment in segments)
        return re.compile(f"^{body}$", re.IGNORECASE)

    def _segment(self, segment: str) -> str:
        parts = re.split(r"(\{[^{}]*\})", segment)
        if any("{" in part or "}" in part for part in parts[::2]):
            raise self._error(f"the braces of {segment!r} do not match")
        if parts[0] == "" and parts[-1] == "" and len(parts) == 3:
            return self._lone_parameter(parts[1][1:-1])
        pieces = [
            self._parameter(part[1:-1])[1] if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        ]
        return "/" + "".join(pieces)

    def _lone_parameter(self, text: str) -> str:
        kind, group = self._parameter(text)
        if kind == "all":
            return f"(?:/{group})?"
        return f"(?:/{group})?" if kind == "optional" else f"/{group}"

    def _parameter(self, text: str) -> tuple[str, str]:
        match = _PARAMETER.match(text)
        if match is None:
            raise self._error(f"{{{text}}} is not a route parameter")
        stars, name, constraints, default, optional = match.groups()
        for constraint, argument in _CONSTRAINT.findall(constraints):
            if constraint not in _CONSTRAINTS:
                raise self._error(f"the constraint {constraint!r} is unknown")
            self.constraints.append(Constraint(name, constraint, argument))
        group = f"(?P<p{len(self.parameters)}>{'.*' if stars else '[^/]+'})"
        self.parameters.append(name)
        if default is not None:
            self.defaults[name] = default
        if stars:
            return "all", group
        return ("optional" if optional or default is not None else "required"), group

    def _error(self, reason: str) -> HostError:
        return HostError(f"function {self._function}: route {self._template!r}: {reason}")


class RouteTable:
    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: route.function.lower())

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        # One slash at the end does not count; two are an empty segment, which fits no route.
        path = decoded_path(raw_path).removesuffix("/")
        for route in self.routes:
            values = route.match(method, path)
            if values is not None:
                return route, values
        return None

    def hidden(self) -> list[tuple[Route, Route]]:
        """Pairs (hidden, by): literal routes that an earlier function's parameters swallow."""
        pairs = []
        for position, route in enumerate(self.routes):
            if route.parameters:
                continue
            for earlier in self.routes[:position]:
                methods = route.methods or earlier.methods or frozenset({"GET"})
                if any(earlier.match(method, route.template) is not None for method in methods):
                    pairs.append((route, earlier))
        return pairs


def decoded_path(raw_path: str) -> str:
    """Percent-decoded once, except %2F, which Kestrel leaves so that segments keep their ends."""
    return percent.decoded(raw_path, keep=_SLASH)


def _is_guid(value: str, _: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def _within(value: str, argument: str) -> bool:
    least, _, most = argument.partition(",")
    return int(least) <= len(value) <= int(most or least)


def _is_integer(value: str, bits: int) -> bool:
    if re.fullmatch(r"[+-]?\d+", value) is None:
        return False
    limit = 1 << (bits - 1)
    return -limit <= int(value) < limit


_CONSTRAINTS: dict[str, Callable[[str, str], bool]] = {
    "guid": _is_guid,
    "int": lambda value, _: _is_integer(value, 32),
    "long": lambda value, _: _is_integer(value, 64),
    "bool": lambda value, _: value.lower() in ("true", "false"),
    "alpha": lambda value, _: re.fullmatch("[A-Za-z]*", value) is not None,
    "length": _within,
    "minlength": lambda value, argument: len(value) >= int(argument),
    "maxlength": lambda value, argument: len(value) <= int(argument),
    "min": lambda value, argument: _is_integer(value, 64) and int(value) >= int(argument),
    "max": lambda value, argument: _is_integer(value, 64) and int(value) <= int(argument),
    "regex": lambda value, argument: re.search(argument, value, re.IGNORECASE) is not None,
    "required": lambda value, _: value != "",
}
