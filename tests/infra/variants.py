"""Which templates there are to deploy, and with which parameters they are worked out.

Beside the defaults, each parameter takes each of its allowed values, both truth values, or its
sample of `data/parameters.json` in turn, so that every resource and every choice is seen.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.bicep.evaluate import Deployed, Template, deploy
from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import Array, Literal, Parameter
from tests.infra.tools import DATA


@functools.cache
def samples() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "parameters.json").read_text())
    return found


@dataclass(frozen=True)
class Variant:
    root: Path
    label: str
    template: Template

    @property
    def resources(self) -> list[Deployed]:
        return self.template.resources()


def roots(infra: Path) -> list[Path]:
    """Every template that no other uses as a module, and what other people use as one."""
    files = sorted(infra.rglob("*.bicep"))
    used = {(f.parent / m.path).resolve() for f in files for m in read(f).modules}
    found = [f for f in files if f.resolve() not in used or f.name == "client.bicep"]
    # A file of constants or functions alone deploys nothing.
    return [f for f in found if read(f).resources or read(f).modules]


def needed(root: Path) -> dict[str, Any]:
    """A sample for each parameter without a default."""
    found = {}
    for parameter in read(root).parameters.values():
        if parameter.default is None and not parameter.type.endswith("?"):
            sample = _sample(root, parameter)
            assert sample is not None, (
                f"{root.name}: add a sample for {parameter.name} to tests/infra/data/parameters.json"
            )
            found[parameter.name] = sample
    return found


def variants(root: Path) -> Iterator[Variant]:
    base = needed(root)
    yield Variant(root, "defaults", deploy(root, base))
    everything = dict(base)
    for parameter in read(root).parameters.values():
        for value in _alternatives(root, parameter):
            label = f"{parameter.name}={value}"
            yield Variant(root, label, deploy(root, base | {parameter.name: value}))
            everything[parameter.name] = value
    yield Variant(root, "everything", deploy(root, everything))


def all_variants(infra: Path) -> list[Variant]:
    return [variant for root in roots(infra) for variant in variants(root)]


def _sample(root: Path, parameter: Parameter) -> Any:
    known = samples()
    if (special := known.get(root.name, {}).get(parameter.name)) is not None:
        return special
    return known["*"].get(parameter.name)


def _alternatives(root: Path, parameter: Parameter) -> list[Any]:
    allowed = parameter.decorator("allowed")
    if allowed and isinstance(allowed.arguments[0], Array) and parameter.type != "array":
        return [item.value for item in allowed.arguments[0].items if isinstance(item, Literal)]
    if parameter.type in ("bool", "bool?"):
        return [False, True]
    sample = _sample(root, parameter)
    return [] if sample is None else [sample]
