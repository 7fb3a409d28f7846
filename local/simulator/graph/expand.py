"""`$expand` of messages and of attachments.

https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get and
https://learn.microsoft.com/graph/api/attachment-get
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.simulator.graph.errors import BadRequest
from local.simulator.graph.items import multi_property_key, property_key
from local.simulator.graph.query_errors import NotSupported, printable

ITEM = ("microsoft.graph.itemattachment/item", "item")
NOT_SIMULATED = ("extensions", "mentions")

_EXPANDED = re.compile(r"(?P<name>[\w./]+)\s*(?:\((?P<options>.*)\))?", re.DOTALL)
_ID = re.compile(r"id\s+eq\s+'((?:[^']|'')*)'", re.IGNORECASE)
_IDS = re.compile(
    rf"\s*\$filter\s*=\s*(?:{_ID.pattern})(?:\s+or\s+(?:{_ID.pattern}))*\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Expand:
    """What is shown beside the properties of a message."""

    properties: frozenset[str] = frozenset()
    """Extended properties, by their keys."""
    multi_properties: frozenset[str] = frozenset()
    attachments: bool = False
    attachment_select: frozenset[str] = frozenset()

    @property
    def is_basic(self) -> bool:
        """Whether Mail.ReadBasic suffices."""
        return not (self.properties or self.multi_properties or self.attachments)


def message_expand(text: str | None) -> Expand:
    """Raises BadRequest for what no message has, NotSupported for what is not simulated."""
    properties: frozenset[str] = frozenset()
    multi: frozenset[str] = frozenset()
    attachments, select = False, frozenset[str]()
    for name, options in _parts(text):
        match name:
            case "singlevalueextendedproperties":
                keys = (property_key(one) for one in _ids(options))
                properties |= {key for key in keys if key}
            case "multivalueextendedproperties":
                keys = (multi_property_key(one) for one in _ids(options))
                multi |= {key for key in keys if key}
            case "attachments":
                attachments, select = True, _nested_select(options)
            case _:
                raise _refusal(name)
    return Expand(properties, multi, attachments, select)


def attachment_expand(text: str | None) -> bool:
    """Whether the items of item attachments are shown."""
    parts = list(_parts(text))
    for name, options in parts:
        if name not in ITEM:
            raise _refusal(name)
        if options:
            raise NotSupported("options within $expand of an item")
    return bool(parts)


def _parts(text: str | None) -> list[tuple[str, str]]:
    parts = []
    for part in _split(text or ""):
        found = _EXPANDED.fullmatch(part.strip())
        if found is None:
            raise BadRequest(f"Parsing OData Select and Expand failed: '{part}'.")
        parts.append((found["name"].lower(), (found["options"] or "").strip()))
    return parts


def _refusal(name: str) -> BadRequest | NotSupported:
    if name in NOT_SIMULATED:
        return NotSupported(f"$expand={printable(name)}")
    return BadRequest(
        f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
        "'microsoft.graph.message'."
    )


def _ids(options: str) -> list[str]:
    """The ids of `$filter=id eq '…' or id eq '…'`, the one form that is documented."""
    if not _IDS.fullmatch(options):
        raise NotSupported("$expand of extended properties without $filter=id eq '…'")
    return [one.replace("''", "'") for one in _ID.findall(options)]


def _nested_select(options: str) -> frozenset[str]:
    if not options:
        return frozenset()
    name, _, value = options.partition("=")
    if name.strip().lower() != "$select" or ";" in value:
        raise NotSupported("options other than $select within $expand=attachments")
    return selected(value)


def selected(text: str | None) -> frozenset[str]:
    """The names of a `$select`."""
    return frozenset(one.strip() for one in (text or "").split(",") if one.strip())


def _split(text: str) -> list[str]:
    """The comma-separated parts; commas inside parentheses do not count."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [one for one in (*parts, text[start:]) if one.strip()]
