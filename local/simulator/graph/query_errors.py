"""The errors about query options, paths and methods.

Most of them are about what Graph has and the simulator does not, or what Graph refuses too. Their
`unsupported` text goes to the simulator's request log, so that nobody takes such an answer for a
fault of the client.
"""

from __future__ import annotations

import re

from local.simulator.graph.errors import BadRequest, GraphError


class NotSupported(GraphError):
    """Graph has it, and the simulator does not. The status and the code are Graph's for a request
    that a service does not support [con: errors]."""

    status = 501
    code = "notSupported"

    def __init__(self, what: str) -> None:
        super().__init__(f"The simulator does not have this part of Microsoft Graph: {what}.")
        self.unsupported = what


class QueryOptionNotSupported(BadRequest):
    """An option with `$` that OData does not have, or that this request cannot have. The text is
    that of Microsoft's OData library (`QueryParameterNotSupported`)."""

    def __init__(self, option: str) -> None:
        super().__init__(f"The query parameter '{option}' is not supported.")
        self.unsupported = f"query option {printable(option)}"


class RepeatedQueryOption(BadRequest):
    """The text is that of Microsoft's OData library."""

    def __init__(self, option: str) -> None:
        super().__init__(
            f"Query option '{option}' was specified more than once, but it must be specified at "
            "most once."
        )


class OnlyOnCollections(BadRequest):
    """A list's option at a single resource. The text is that of Microsoft's OData library."""

    message = (
        "The query specified in the URI is not valid. The requested resource is not a collection. "
        "Query options $filter, $orderby, $count, $skip, and $top can be applied only on "
        "collections."
    )

    def __init__(self, option: str) -> None:
        super().__init__()
        self.unsupported = f"{printable(option)} at a single resource"


class SearchWith(GraphError):
    """`$search` of messages with an option that it excludes. Confirmed for `$filter` and
    `$orderby`; the codes for `$count` and `$skip` are UNCONFIRMED."""

    def __init__(self, option: str) -> None:
        super().__init__(f"The query parameter '${option}' is not supported with '$search'.")
        self.code = f"SearchWith{option[0].upper()}{option[1:]}"
        self.unsupported = f"${option} with $search"


class InvalidQueryNodes(GraphError):
    """A filter that is OData and that Outlook does not execute: `endswith`, `in`, and conditions on
    recipients [microsoftgraph/microsoft-graph-explorer-v4#3957, msgraph-sdk-dotnet#2572,
    MGC#523]."""

    code = "ErrorInvalidUrlQueryFilter"
    message = "The query filter contains one or more invalid nodes."

    def __init__(self, what: str) -> None:
        super().__init__()
        self.unsupported = f"$filter with {what}"


class UnsupportedDirectoryQuery(GraphError):
    """A query that the directory does not execute, or only as an advanced query [con:
    aad-advanced-queries]."""

    code = "Request_UnsupportedQuery"
    message = "Unsupported Query."

    def __init__(self, what: str, message: str | None = None) -> None:
        super().__init__(message)
        self.unsupported = what


class BadDirectoryRequest(GraphError):
    """The directory's general refusal [microsoftgraph/msgraph-metadata#135]."""

    code = "Request_BadRequest"

    def __init__(self, message: str, unsupported: str | None = None) -> None:
        super().__init__(message)
        self.unsupported = unsupported


class MethodNotAllowed(GraphError):
    """A path of Outlook's with a method that it does not have [MGC#4152]; the answer has no inner
    error."""

    status = 405
    code = "ErrorInvalidRequest"
    message = "The OData request is not supported."
    has_inner_error = False


class DirectoryMethodNotAllowed(GraphError):
    """The same at a path of the directory [MGD#119]."""

    status = 405
    code = "Request_BadRequest"
    message = "Specified HTTP method is not allowed for the request target."


class SegmentNotFound(BadRequest):
    """A path that Graph does not have [MGD#4900]."""

    def __init__(self, segment: str) -> None:
        super().__init__(f"Resource not found for the segment '{segment}'.")


class InvalidVersion(BadRequest):
    """A path of Graph without `/v1.0` [O365/python-o365#889]."""

    message = "Invalid version."


def printable(text: str) -> str:
    """A client's text as it may be in a log: one short line."""
    return re.sub(r"[^\w$@./'() -]", "?", text)[:60]
