"""Role assignments: the right ids under the right names, each the same at every deployment, and
for the app's identity exactly the roles that it needs."""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.infra.bicep.azure import GRAPH_SCOPES
from tests.infra.bicep.evaluate import Deployed
from tests.infra.bicep.parser import read
from tests.infra.bicep.syntax import Call, Literal, Property, Resource, body_of
from tests.infra.checks.syntax import bicep_files
from tests.infra.checks.walking import walk
from tests.infra.tools import DATA
from tests.infra.variants import Variant, all_variants

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"


@functools.cache
def roles() -> dict[str, str]:
    found: dict[str, str] = json.loads((DATA / "roles.json").read_text())["roles"]
    return found


@functools.cache
def needed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "needed_roles.json").read_text())
    return found


def problems(infra: Path) -> list[str]:
    every = all_variants(infra)
    return [*_ids(infra), *_names(infra), *sorted({*_assignments(every)}), *_needed(every)]


def _ids(infra: Path) -> Iterator[str]:
    """`'<role>': '<guid>'` pairs, and no GUID whose meaning is unknown."""
    data = json.loads((DATA / "roles.json").read_text())
    known = {*roles().values(), *data["other_guids"], *GRAPH_SCOPES.values()}
    by_name = {_plain(name): guid for name, guid in roles().items()}
    for file in bicep_files(infra):
        parsed = read(file)
        for node in walk(parsed.statements):
            if isinstance(node, Literal) and isinstance(node.value, str):
                for guid in (found[0] for found in _GUID.finditer(node.value)):
                    if guid.lower() not in known:
                        yield f"{file.name}: {guid} is no role that roles.json knows"
            if not isinstance(node, Property) or not isinstance(node.key, Literal):
                continue
            wanted = by_name.get(_plain(str(node.key.value)))
            if wanted and isinstance(node.value, Literal) and node.value.value != wanted:
                yield f"{file.name}:{node.line}: {node.key.value} is {wanted}"
        for variable in parsed.variables.values():
            wanted = by_name.get(_plain(variable.name))
            if wanted and isinstance(variable.value, Literal) and variable.value.value != wanted:
                yield f"{file.name}:{variable.line}: {variable.name} is {wanted}"


def _plain(name: str) -> str:
    """`Storage Blob Data Owner`, `storageBlobDataOwner`: the same."""
    return re.sub(r"[^a-z]", "", name.lower())


def _names(infra: Path) -> Iterator[str]:
    """The name is guid(scope, principal, role): a second deployment finds the first one's."""
    for file in bicep_files(infra):
        for resource in read(file).resources:
            if resource.type == _ASSIGNMENT and not resource.existing:
                name = _entry(resource, "name")
                if not isinstance(name, Call) or name.name != "guid" or len(name.arguments) < 3:
                    yield f"{file.name}:{resource.line}: the name is not guid(scope, principal, role)"


def _entry(resource: Resource, name: str) -> Any:
    entries = (e for e in body_of(resource.body).entries if isinstance(e, Property))
    return next((e.value for e in entries if e.key == Literal(name)), None)


def assignments(variant: Variant) -> list[tuple[Deployed, dict[str, Any]]]:
    return [(r, r.body()["properties"]) for r in variant.resources if r.type == _ASSIGNMENT]


def _assignments(variants: Iterable[Variant]) -> Iterator[str]:
    for variant in variants:
        for resource, properties in assignments(variant):
            if properties.get("principalType") not in ("ServicePrincipal", "User", "Group"):
                yield f"{resource.place}: no principalType"
            definition = properties.get("roleDefinitionId", "")
            if "/providers/Microsoft.Authorization/roleDefinitions/" not in definition:
                yield f"{resource.place}: roleDefinitionId is no id of a role definition"
            if definition.rpartition("/")[2] not in roles().values():
                yield f"{resource.place}: {definition.rpartition('/')[2]} is no known role"


def _needed(variants: Iterable[Variant]) -> Iterator[str]:
    """By template: what each identity may do, no less and no more."""
    names = {guid: name for name, guid in roles().items()}
    found: dict[str, set[str]] = defaultdict(set)
    least: dict[str, set[str]] = {}
    for variant in variants:
        if variant.root.name not in needed():
            continue
        given = set()
        for resource, properties in assignments(variant):
            role = names.get(properties["roleDefinitionId"].rpartition("/")[2], "?")
            kind = _kind_of(resource.scope_id)
            given.add(f"{role} on {kind}")
        found[variant.root.name] |= given
        least[variant.root.name] = least.get(variant.root.name, given) & given
    for name, wanted in needed().items():
        always, sometimes = set(wanted["always"]), set(wanted["sometimes"])
        for role in sorted(always - least.get(name, set())):
            yield f"{name}: lacks {role}: {wanted['always'][role]}"
        for role in sorted(sometimes - found[name]):
            yield f"{name}: never has {role}: {wanted['sometimes'][role]}"
        for role in sorted(found[name] - always - sometimes):
            yield f"{name}: more than is needed: {role}"


def _kind_of(identifier: str) -> str:
    """`/subscriptions/…/providers/A.B/c/x/d/y` is of kind `A.B/c/d`."""
    namespace, *rest = identifier.rpartition("/providers/")[2].split("/")
    return "/".join([namespace, *rest[0::2]])
