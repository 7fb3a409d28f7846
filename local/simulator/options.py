"""Switches that change the behaviour of a service, set by name on the control surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, Self


class BadOption(ValueError):
    """There is no such switch, or the value does not fit."""


@dataclass(frozen=True)
class Options:
    """Base of a service's switches: every field has a default and a JSON value."""

    def changed(self, document: Mapping[str, Any]) -> Self:
        """These options with some replaced. Raises BadOption."""
        known = {field.name: field for field in fields(self)}
        for name, value in document.items():
            if name not in known:
                raise BadOption(f"unknown option {name}; there are {', '.join(sorted(known))}")
            _check_kind(name, known[name].default, value)
        return replace(self, **document)


class HasOptions(Protocol):
    """A service state whose switches the control surface may change."""

    options: Any


def change(services: Mapping[str, HasOptions], document: Mapping[str, Any]) -> None:
    """Apply `{"entra": {…}}`, or the names of fields that only one service has."""
    for name, value in document.items():
        if name in services and isinstance(value, Mapping):
            services[name].options = services[name].options.changed(value)
            continue
        owner = next((s for s in services.values() if _has(s.options, name)), None)
        if owner is None:
            raise BadOption(f"unknown option {name}")
        owner.options = owner.options.changed({name: value})


def describe(services: Mapping[str, HasOptions]) -> dict[str, dict[str, Any]]:
    """Every switch with its value."""
    return {name: asdict(service.options) for name, service in services.items()}


def _check_kind(name: str, default: Any, value: Any) -> None:
    if isinstance(default, bool) != isinstance(value, bool):
        raise BadOption(f"{name} is {'' if isinstance(default, bool) else 'not '}true or false")
    if isinstance(default, int | float) and not isinstance(value, int | float):
        raise BadOption(f"{name} is a number")
    if isinstance(default, str) and not isinstance(value, str):
        raise BadOption(f"{name} is a text")
    if isinstance(default, tuple):
        texts = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        if not texts:
            raise BadOption(f"{name} is a list of texts")


def _has(options: Any, name: str) -> bool:
    return any(field.name == name for field in fields(options))
