"""`$filter`, `$search` and `$orderby` of users.

https://learn.microsoft.com/graph/aad-advanced-queries says which need `ConsistencyLevel: eventual`
and `$count=true`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from local.simulator.directory import User
from local.simulator.graph import filter as filters
from local.simulator.graph import search
from local.simulator.graph.filter import Collection, Property, Schema
from local.simulator.graph.query import counted, option
from local.simulator.graph.query_errors import (
    BadDirectoryRequest,
    NotSupported,
    UnsupportedDirectoryQuery,
    printable,
)
from local.simulator.graph.user_shape import EMPTY, NOT_SIMULATED, user_json
from local.simulator.wire import Request

ADVANCED = frozenset(("ne", "not", "endswith"))
"""The operators that only an advanced query can have."""
SORTABLE = ("displayName", "userPrincipalName")
TOKENIZED = ("displayName",)
"""Properties whose words `$search` compares; of the others it compares the beginning."""

_SOUGHT = re.compile(r"(?P<name>\w+):(?P<value>.+)", re.DOTALL)


def is_advanced(request: Request) -> bool:
    """Whether the request asks for an advanced query."""
    return request.headers.get("consistencylevel", "").strip().lower() == "eventual"


def found_users(users: list[User], request: Request) -> list[User]:
    """The users whom the request asks for. Raises a GraphError."""
    count = counted(request)
    advanced = is_advanced(request)
    if count and not advanced:
        raise BadDirectoryRequest("$count is not currently supported.", "$count of users")
    text, orderby, sought = (option(request, one) for one in ("filter", "orderby", "search"))
    if sought is not None:
        users = _searched(users, sought, advanced=advanced)
    if text:
        users = _filtered(users, text, advanced=advanced and (count or sought is not None))
    if orderby:
        if (text or sought is not None) and not advanced:
            raise UnsupportedDirectoryQuery(
                "$orderby with $filter of users", "Sorting not supported for current query."
            )
        users = _ordered(users, orderby)
    return users


def _searched(users: list[User], sought: str, *, advanced: bool) -> list[User]:
    if not advanced:
        raise UnsupportedDirectoryQuery(
            "$search of users without ConsistencyLevel",
            "Request with $search query parameter only works through MSGraph with a special "
            "request header: 'ConsistencyLevel: eventual'",
        )
    keeps = search.parse(sought, _leaf)
    return [one for one in users if keeps(one)]


def _leaf(text: str, quoted: bool) -> Callable[[User], bool]:
    found = _SOUGHT.fullmatch(text)
    if found is None or not quoted:
        raise BadDirectoryRequest(
            'Unrecognized query argument specified: a search is "property:value".'
        )
    name, known = SCHEMA.find(found["name"])
    wanted = found["value"].strip()
    if name in TOKENIZED:
        parts = search.words(wanted)
        return lambda user: all(
            search.has_phrase(str(known.read(user) or ""), [one], prefix=True) for one in parts
        )
    start = wanted.casefold()
    return lambda user: str(known.value(user) or "").startswith(start)


def _filtered(users: list[User], text: str, *, advanced: bool) -> list[User]:
    parsed = filters.parse(text, SCHEMA)
    if parsed.operators & ADVANCED and not advanced:
        raise UnsupportedDirectoryQuery(
            f"{min(parsed.operators & ADVANCED)} of users without an advanced query"
        )
    return [one for one in users if parsed.keeps(one)]


def _ordered(users: list[User], orderby: str) -> list[User]:
    keys = filters.ordering(orderby, SCHEMA)
    for name, _, _ in keys:
        if name not in SORTABLE:
            raise NotSupported(f"$orderby of users by {printable(name)}")
    return filters.ordered(users, keys)


def _refusal(what: str) -> UnsupportedDirectoryQuery:
    """[microsoftgraph/microsoft-graph-docs-contrib#2919]"""
    operator = what[:1].upper() + what[1:]
    return UnsupportedDirectoryQuery(
        f"$filter of users with {printable(what)}",
        f"Unsupported property filter clause operator '{operator}'.",
    )


def _of(name: str, kind: type = str) -> Property:
    return Property(kind, lambda user: user_json(user)[name])


def _texts(name: str) -> Collection:
    return Collection(lambda user: user_json(user)[name], {"": Property(str, lambda one: one)})


SCHEMA = Schema(
    name="microsoft.graph.user",
    properties={
        "accountEnabled": _of("accountEnabled", bool),
        **{
            name: _of(name)
            for name in (
                "id",
                "displayName",
                "givenName",
                "surname",
                "mail",
                "mailNickname",
                "userPrincipalName",
                "userType",
                "creationType",
            )
        },
        **{name: _of(name) for name in EMPTY},
    },
    collections={name: _texts(name) for name in ("proxyAddresses", "otherMails", "imAddresses")},
    operators=frozenset(("startswith", "endswith", "in", "any")),
    refusal=_refusal,
    not_simulated=NOT_SIMULATED | {"businessPhones", "identities", "mailboxSettings"},
)
