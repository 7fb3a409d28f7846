"""OData query options and `Prefer` headers of one request (graph-mail.md 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from local.simulator.graph import filter as filters
from local.simulator.graph.access import READ, Access
from local.simulator.graph.errors import AccessDenied, BadRequest
from local.simulator.graph.items import Message, property_key
from local.simulator.graph.shape import View
from local.simulator.wire import Request

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000

_EXPANDED = re.compile(r"(?P<name>\w+)\s*(?:\((?P<options>.*)\))?", re.DOTALL)
_PROPERTY_IDS = re.compile(r"id\s+eq\s+'((?:[^']|'')*)'", re.IGNORECASE)
_PREFERENCE = re.compile(r'(?P<name>[\w.-]+)(?:\s*=\s*"?(?P<value>[\w-]+)"?)?')


def option(request: Request, name: str) -> str | None:
    """A query option; the leading `$` may be left out."""
    for key, value in request.query.items():
        if key.lower() in (f"${name}", name):
            return value
    return None


def preferences(request: Request) -> dict[str, str]:
    header = request.headers.get("prefer", "")
    found = (_PREFERENCE.match(part.strip()) for part in header.split(","))
    return {one["name"].lower(): one["value"] or "" for one in found if one}


def view(request: Request, access: Access) -> View:
    """How this request wants its messages."""
    prefer = preferences(request)
    expand_properties, expand_attachments = _expand(option(request, "expand"))
    basic = not access.has(READ)
    if basic and (expand_properties or expand_attachments):
        raise AccessDenied
    return View(
        base_url=request.base_url,
        owner=access.user.object_id,
        select=_select(option(request, "select")),
        expand_properties=expand_properties,
        expand_attachments=expand_attachments,
        immutable_ids=prefer.get("idtype", "").lower() == "immutableid",
        text_body=prefer.get("outlook.body-content-type", "").lower() == "text",
        unsafe_html="outlook.allow-unsafe-html" in prefer,
        basic=basic,
    )


def applied(view: View) -> list[tuple[str, str]]:
    """The preferences of `Prefer` that were applied [con: outlook-immutable-id]."""
    headers = []
    if view.immutable_ids:
        headers.append(("Preference-Applied", "IdType=ImmutableId"))
    if view.text_body:
        headers.append(("Preference-Applied", 'outlook.body-content-type="text"'))
    return headers


def _select(text: str | None) -> frozenset[str]:
    return frozenset(one.strip() for one in (text or "").split(",") if one.strip())


def _expand(text: str | None) -> tuple[frozenset[str], bool]:
    """Which extended properties to show, and whether attachments."""
    properties: set[str] = set()
    attachments = False
    for part in _split(text or ""):
        found = _EXPANDED.fullmatch(part.strip())
        name = found["name"].lower() if found else ""
        if found and name == "singlevalueextendedproperties":
            ids = [one.replace("''", "'") for one in _PROPERTY_IDS.findall(found["options"] or "")]
            properties |= {key for one in ids if (key := property_key(one))}
        elif name == "attachments":
            attachments = True
        else:
            raise BadRequest(f"Parsing OData Select and Expand failed: '{part}'.")
    return frozenset(properties), attachments


def _split(text: str) -> list[str]:
    """The comma-separated parts; commas inside parentheses do not count."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [one for one in (*parts, text[start:]) if one.strip()]


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    messages: Sequence[Message]
    total: int
    next_skip: int | None


def page(request: Request, access: Access, messages: list[Message]) -> Page:
    """Filter, sort and cut a list. Raises BadRequest or InefficientFilter."""
    text, orderby = option(request, "filter"), option(request, "orderby")
    parsed = filters.parse(text) if text else None
    if parsed:
        if parsed.uses_extended_properties and not access.has(READ):
            raise AccessDenied
        messages = [one for one in messages if parsed.keeps(one)]
    if orderby:
        for key, descending in reversed(
            filters.ordering(orderby, parsed.properties if parsed else None)
        ):
            messages = sorted(messages, key=lambda m: key(m), reverse=descending)  # type: ignore[arg-type, return-value]
    top = _number(option(request, "top"), DEFAULT_PAGE, 1, LARGEST_PAGE)
    skip = _number(option(request, "skip"), 0, 0, None)
    cut = messages[skip : skip + top]
    more = skip + top < len(messages)
    return Page(cut, len(messages), skip + top if more else None)


def _number(text: str | None, default: int, least: int, most: int | None) -> int:
    if text is None:
        return default
    if not text.isdigit() or int(text) < least or (most is not None and int(text) > most):
        raise BadRequest(f"Invalid value '{text}' for $top or $skip query option.")
    return int(text)


def next_link(request: Request, skip: int) -> str:
    """The link of the next page. Clients follow it unchanged, so it contains all their options."""
    kept = {name: value for name, value in request.query.items() if name.lower() != "$skip"}
    kept["$skip"] = str(skip)
    pairs = "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in kept.items())
    return f"{request.base_url}{quote(request.path)}?{pairs}"
