"""Every resource has a known type, the API version of the table, and only properties that exist.

Compared are the values that a template works out to, with the schemas that azmcp knows and the
hand-written shapes of `data/shapes` for what it does not know.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.infra import schemas
from tests.infra.bicep.evaluate import Deployed
from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import BicepError, Resource, body_of
from tests.infra.checks.syntax import bicep_files
from tests.infra.tools import DATA
from tests.infra.variants import Variant, all_variants

_OUR_OWN = {"name", "type", "apiVersion", "id"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "bool": bool,
    "object": dict,
    "array": list,
}


@functools.cache
def allowed() -> dict[str, Any]:
    """What the schemas lack, each with its reason: data/allowed.json."""
    found: dict[str, Any] = json.loads((DATA / "allowed.json").read_text())
    return found


def problems(infra: Path) -> list[str]:
    return sorted({*_versions(infra), *_bodies(all_variants(infra))})


def reached(infra: Path) -> set[str]:
    """The resources that some variant deploys, as `file:line`."""
    return {
        f"{resource.template.path.relative_to(infra)}:{resource.declared.line}"
        for variant in all_variants(infra)
        for resource in variant.resources
    }


def declared(infra: Path) -> set[str]:
    """The resources that some file declares to be made."""
    return {
        f"{file.relative_to(infra)}:{resource.line}"
        for file in bicep_files(infra)
        for resource in read(file).resources
        if not resource.existing
    }


def _versions(infra: Path) -> Iterator[str]:
    known = schemas.versions()
    for file in bicep_files(infra):
        for resource, kind in _with_full_types(read(file).resources):
            place = f"{file.name}:{resource.line} {resource.symbol}"
            if kind not in known:
                yield f"{place}: {kind} is not in api_versions.json"
            elif resource.version and resource.version not in known[kind].versions:
                yield f"{place}: {kind} has no version {resource.version} that api_versions.json knows"


def _with_full_types(resources: list[Resource]) -> Iterator[tuple[Resource, str]]:
    """Inner resources name only the last part of their type."""
    above = {
        id(inner): resource for resource in resources for inner in body_of(resource.body).resources
    }
    for resource in resources:
        kind = resource.type
        outer = above.get(id(resource))
        while outer is not None:
            kind = f"{outer.type}/{kind}"
            outer = above.get(id(outer))
        yield resource, kind


def _bodies(variants: Iterable[Variant]) -> Iterator[str]:
    seen: set[str] = set()
    for variant in variants:
        for resource in _resources(variant):
            if isinstance(resource, str):
                yield resource
                continue
            try:
                body = resource.body()
            except BicepError as error:
                yield f"{resource.place}: {error}"
                continue
            key = f"{resource.place} {resource.type} {json.dumps(body, default=str)}"
            if key not in seen and resource.type in schemas.versions():
                seen.add(key)
                yield from against_schema(resource, body)


def _resources(variant: Variant) -> list[Deployed | str]:
    """Or what keeps the template from being worked out, such as a module's unknown parameter."""
    try:
        return list(variant.resources)
    except BicepError as error:
        return [str(error)]


def against_schema(resource: Deployed, body: Mapping[str, Any]) -> Iterator[str]:
    schema = _Schema(resource.type)
    for problem in schema.problems(body):
        yield f"{resource.place}: {problem}"


class _Schema:
    """Compares one body with the schema of its type."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._document = _document(kind)

    def problems(self, body: Mapping[str, Any]) -> Iterator[str]:
        rest = {key: value for key, value in body.items() if key not in _OUR_OWN - {"name"}}
        yield from self._object(rest, self._document["body"], "")

    def _object(
        self, value: Mapping[str, Any], definition: dict[str, Any], path: str
    ) -> Iterator[str]:
        properties = dict(definition["properties"])
        if "elements" in definition:
            chosen = self._element(value, definition)
            if chosen is None:
                by = definition["discriminator"]
                yield f"{path or 'it'}: {by} {value.get(by)!r} is none of those known"
                return
            properties |= chosen["properties"]
        given = {key: inner for key, inner in value.items() if inner is not None}
        for name, entry in properties.items():
            if entry.get("required") and name not in given and not self._allows(f"{path}{name}"):
                yield f"{path}{name} is required"
        for name, inner in given.items():
            yield from self._property(inner, name, properties, definition, path)

    def _property(
        self,
        value: Any,
        name: str,
        properties: dict[str, Any],
        definition: dict[str, Any],
        path: str,
    ) -> Iterator[str]:
        here = f"{path}{name}"
        if self._allows(here):
            return
        if name in properties:
            entry = properties[name]
            if entry.get("readOnly"):
                yield f"{here} cannot be set"
            else:
                yield from self._value(value, entry["type"], here)
                yield from _limits(value, entry.get("modifiers", ""), here)
        elif "additional" in definition:
            yield from self._value(value, definition["additional"], here)
        else:
            yield f"{here}: there is no such property"

    @staticmethod
    def _element(value: Mapping[str, Any], definition: dict[str, Any]) -> dict[str, Any] | None:
        chosen = value.get(definition["discriminator"])
        found: dict[str, Any] | None = definition["elements"].get(chosen)
        return found

    def _value(self, value: Any, kind: str, path: str) -> Iterator[str]:
        parts = kind.split(" | ")
        if kind.endswith("[]"):
            if not isinstance(value, list):
                yield f"{path}: a list is wanted"
                return
            for index, item in enumerate(value):
                yield from self._value(item, kind.removesuffix("[]"), f"{path}[{index}]")
        elif kind in self._document["definitions"]:
            if not isinstance(value, dict):
                yield f"{path}: an object is wanted"
                return
            yield from self._object(value, self._document["definitions"][kind], f"{path}.")
        elif kind in _KINDS:
            if not isinstance(value, _KINDS[kind]) or (kind == "int" and isinstance(value, bool)):
                yield f"{path}: {kind} is wanted, not {value!r}"
        elif kind != "any" and value not in parts and not self._allows(f"{path}={value}"):
            # A union that ends in `string` is open; what is not listed is then in allowed.json.
            yield f"{path}: {value!r} is none of {kind}"

    def _allows(self, path: str) -> bool:
        plain = re.sub(r"\[\d+\]", "[]", path)
        return plain in allowed().get(self._kind, {})


@functools.cache
def _document(kind: str) -> dict[str, Any]:
    return schemas.schema(kind)


def _limits(value: Any, modifiers: str, path: str) -> Iterator[str]:
    """`minLength: 3, maxLength: 24, pattern: ^[a-z0-9]+$`; the pattern comes last."""
    rest, _, pattern = modifiers.partition("pattern: ")
    text = value.rpartition("/")[2] if path == "name" and isinstance(value, str) else value
    if pattern and isinstance(text, str) and not re.search(pattern, text):
        yield f"{path}: {text!r} does not fit {pattern}"
    for name, number in re.findall(r"(\w+): (-?\d+)", rest):
        size = len(text) if isinstance(text, str | list) else text
        if not isinstance(size, int):
            continue
        if name.startswith("min") and size < int(number):
            yield f"{path}: {text!r} is under the {name} of {number}"
        if name.startswith("max") and size > int(number):
            yield f"{path}: {text!r} is over the {name} of {number}"
