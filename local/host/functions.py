"""The functions of an app as the host knows them: names and bindings, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Binding:
    """One binding as the host gets it. Property names are those of function.json, in camelCase."""

    name: str
    type: str
    is_output: bool
    properties: Mapping[str, Any]

    def text(self, name: str) -> str:
        return str(self.properties.get(name) or "")


@dataclass(frozen=True)
class Function:
    name: str
    trigger: Binding
    outputs: tuple[Binding, ...] = ()
    retries: bool = False
    """Whether it is decorated with @app.retry."""
