"""OData query options and `Prefer` headers of one request (graph-mail.md 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local.simulator.graph import filter as filters
from local.simulator.graph.access import READ, Access
from local.simulator.graph.errors import AccessDenied, BadRequest
from local.simulator.graph.expand import message_expand, selected
from local.simulator.graph.items import Message
from local.simulator.graph.message_filter import EXTENDED, message_filter, message_order
from local.simulator.graph.message_search import in_order, message_search
from local.simulator.graph.query_errors import QueryOptionNotSupported
from local.simulator.graph.shape import View
from local.simulator.wire import Request

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000

_PREFERENCE = re.compile(r'(?P<name>[\w.-]+)(?:\s*=\s*"?(?P<value>[\w-]+)"?)?')


def option(request: Request, name: str) -> str | None:
    """A query option; the leading `$` may be left out."""
    for key, value in request.query.items():
        if key.lower() in (f"${name}", name):
            return value
    return None


def option_names(request: Request) -> set[str]:
    """The options of the request in lower case, without `$`."""
    return {one.removeprefix("$").lower() for one in request.query}


def preferences(request: Request) -> dict[str, str]:
    header = request.headers.get("prefer", "")
    found = (_PREFERENCE.match(part.strip()) for part in header.split(","))
    return {one["name"].lower(): one["value"] or "" for one in found if one}


def view(request: Request, access: Access) -> View:
    """How this request wants its messages."""
    prefer = preferences(request)
    expand = message_expand(option(request, "expand"))
    basic = not access.has(READ)
    if basic and not expand.is_basic:
        raise AccessDenied
    return View(
        base_url=request.base_url,
        owner=access.user.object_id,
        select=selected(option(request, "select")),
        expand=expand,
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


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    items: Sequence[Any]
    total: int
    next_link: str | None


def message_page(request: Request, access: Access, messages: list[Message]) -> Page:
    """Filter, search, sort and cut a list. Raises a GraphError."""
    sought = option(request, "search")
    if sought is not None:
        if not access.has(READ):
            raise AccessDenied
        finds = message_search(sought, option_names(request))
        found = in_order(one for one in messages if finds(one))
        return cut(request, found, DEFAULT_PAGE, LARGEST_PAGE, by_token=True)
    if option(request, "skiptoken") is not None:
        raise QueryOptionNotSupported("$skiptoken")
    text, orderby = option(request, "filter"), option(request, "orderby")
    parsed = message_filter(text) if text else None
    if parsed:
        if EXTENDED in parsed.properties and not access.has(READ):
            raise AccessDenied
        messages = [one for one in messages if parsed.keeps(one)]
    if orderby:
        keys = message_order(orderby, parsed.properties if parsed else None)
        messages = filters.ordered(messages, keys)
    return cut(request, messages, DEFAULT_PAGE, LARGEST_PAGE)


def cut(
    request: Request, items: Sequence[Any], default: int, most: int, *, by_token: bool = False
) -> Page:
    """The page that `$top` and `$skip` name; with `by_token` it is `$skiptoken` that names it."""
    top = _number(option(request, "top"), "top", default, 1, most)
    name = "skiptoken" if by_token else "skip"
    skip = _number(option(request, name), name, 0, 0, None)
    more = skip + top < len(items)
    link = next_link(request, name, skip + top) if more else None
    return Page(items[skip : skip + top], len(items), link)


def counted(request: Request) -> bool:
    """Whether the answer says how many there are."""
    text = (option(request, "count") or "false").lower()
    if text not in ("true", "false"):
        raise BadRequest(f"Invalid value '{text}' for $count query option.")
    return text == "true"


def _number(text: str | None, name: str, default: int, least: int, most: int | None) -> int:
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or int(text) < least or (most is not None and int(text) > most):
        raise BadRequest(f"Invalid value '{text}' for ${name} query option.")
    return int(text)


def next_link(request: Request, name: str, skip: int) -> str:
    """The link of the next page. Clients follow it unchanged, so it contains all their options."""
    kept = {one: value for one, value in request.query.items() if one.lower() != f"${name}"}
    kept[f"${name}"] = str(skip)
    pairs = "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in kept.items())
    return f"{request.base_url}{quote(request.path)}?{pairs}"


_NUMBER = re.compile(r"[0-9]{1,9}")
