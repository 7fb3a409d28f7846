"""Which query options a request may have: no option is ignored that Graph would execute.

https://learn.microsoft.com/graph/query-parameters
"""

from __future__ import annotations

from local.simulator.graph.query_errors import (
    NotSupported,
    OnlyOnCollections,
    QueryOptionNotSupported,
    RepeatedQueryOption,
)
from local.simulator.wire import Request

SYSTEM = frozenset(
    (
        "select",
        "expand",
        "filter",
        "orderby",
        "top",
        "skip",
        "count",
        "search",
        "format",
        "skiptoken",
        "deltatoken",
    )
)
"""The options that Graph documents. On v1.0 the `$` may be left out at some resources."""
OF_COLLECTIONS = frozenset(
    ("filter", "orderby", "top", "skip", "count", "search", "skiptoken", "deltatoken")
)

NONE: frozenset[str] = frozenset()
SELECT = frozenset(("select",))
ENTITY = frozenset(("select", "expand"))
MESSAGES = frozenset(("select", "expand", "filter", "orderby", "top", "skip", "count", "search"))
MESSAGE_COUNT = frozenset(("filter", "search"))
FOLDERS = frozenset(("select", "filter", "top", "skip", "count"))
USERS = frozenset(("select", "filter", "orderby", "top", "skip", "count", "search", "skiptoken"))
USER_COUNT = frozenset(("filter", "search"))

COLLECTIONS = (MESSAGES, MESSAGE_COUNT, FOLDERS, USERS, USER_COUNT)


def check(request: Request, executed: frozenset[str], *, collection: bool) -> None:
    """Raise a GraphError for each option that is not in `executed`.

    A name without `$` that is no option of OData's is the client's own, which Graph ignores (OData
    4.01, URL conventions, 5.2).
    """
    seen: set[str] = set()
    for name, value in request.query.items():
        option = name.removeprefix("$").lower()
        if not name.startswith("$") and option not in SYSTEM:
            continue
        if name in request.repeated or option in seen:
            raise RepeatedQueryOption(name)
        seen.add(option)
        if option == "format":
            _check_format(value)
        elif option not in executed:
            raise _refusal(name, option, request, collection=collection)


def _check_format(value: str) -> None:
    """Every document is JSON."""
    if value.partition(";")[0].strip().lower() not in ("json", "application/json"):
        raise NotSupported("$format of another kind than json")


def _refusal(
    name: str, option: str, request: Request, *, collection: bool
) -> QueryOptionNotSupported | OnlyOnCollections | NotSupported:
    if option not in SYSTEM or request.method not in ("GET", "HEAD"):
        return QueryOptionNotSupported(name)
    if option in OF_COLLECTIONS and not collection:
        return OnlyOnCollections(f"${option}")
    return NotSupported(f"${option} at this resource")
