"""Names fit the rules of their resources, whatever the prefix is."""

from __future__ import annotations

import functools
import json
import random
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.infra.bicep.evaluate import deploy
from tests.infra.bicep.syntax import BicepError
from tests.infra.tools import DATA
from tests.infra.variants import variants

SEED = 20261122
_ODD = "-_. äßЖ漢"
_USUAL = string.ascii_letters + string.digits


@functools.cache
def rules() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((DATA / "naming.json").read_text())["types"]
    return found


def prefixes(count: int, longest: int) -> Iterator[str]:
    """The awkward ones first, then random ones, the same in every run."""
    yield from ("a", "9", "-", "_", " ", "--", "Z" * longest, "9" * longest, "-" * longest)
    yield from ("mail-", "-mail", "a--b", "Contoso Mail", "über", "postroom-prod", "0-0")
    chance = random.Random(SEED)  # noqa: S311 - for tests
    for number in range(count - 16):
        letters = _USUAL if number % 2 else _USUAL + _ODD
        yield "".join(chance.choice(letters) for _ in range(chance.randint(1, longest)))


def problems(main: Path, count: int = 1000, longest: int = 64) -> list[str]:
    """Every resource for a few parameters, then the names alone for many prefixes."""
    found = {p for variant in variants(main) for p in _of(variant.resources, variant.label)}
    for prefix in prefixes(count, longest):
        try:
            found |= {*_of(deploy(main, {"prefix": prefix}).resources(), f"prefix={prefix!r}")}
        except BicepError as error:
            found.add(f"prefix={prefix!r}: {error}")
        if len(found) > 20:
            break
    return sorted(found)


def _of(resources: Iterable[Any], label: str) -> Iterator[str]:
    names: dict[str, str] = {}
    for resource in resources:
        name = resource.name.rpartition("/")[2]
        if resource.type not in rules():
            yield f"{resource.place}: naming.json has no rule for {resource.type}"
        else:
            for problem in against(name, rules()[resource.type]):
                yield f"{resource.place}: {name!r} {problem} ({label})"
        identifier = resource.id.lower()
        if identifier in names:
            yield f"{resource.place}: the same resource as {names[identifier]} ({label})"
        names[identifier] = resource.place


def against(name: str, rule: dict[str, Any]) -> Iterator[str]:
    if not rule["least"] <= len(name) <= rule["most"]:
        yield f"is not {rule['least']} to {rule['most']} characters long"
    if not re.fullmatch(rule["pattern"], name):
        yield f"does not fit {rule['pattern']}"
    if "not" in rule and re.search(rule["not"], name):
        yield f"must not have {rule['not']}"
