"""Handles requests about mail folders [res: mailfolder]: the well-known ones, which have no child
folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.graph.access import Access
from local.simulator.graph.errors import BadRequest
from local.simulator.graph.expand import selected
from local.simulator.graph.filter import Property, Schema, parse
from local.simulator.graph.handlers import collection
from local.simulator.graph.query import counted, cut, option
from local.simulator.graph.query_errors import InvalidQueryNodes
from local.simulator.graph.shape import FOLDERS, folder_json
from local.simulator.graph.state import known_folder
from local.simulator.wire import Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000


def list_folders(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: user-list-mailfolders]"""
    found = [folder_json(name, graph.listed(access, name)) for name in FOLDERS]
    return _listed(found, access, request)


def child_folders(graph: GraphState, access: Access, request: Request) -> Response:
    """[api: mailfolder-list-childfolders]"""
    known_folder(request.params["folder"])
    return _listed([], access, request)


def get_folder(graph: GraphState, access: Access, request: Request) -> Response:
    name = known_folder(request.params["folder"])
    document = _chosen(folder_json(name, graph.listed(access, name)), request)
    return Response.of_json(
        200, {"@odata.context": f"{_context(access, request)}/$entity", **document}
    )


def _context(access: Access, request: Request) -> str:
    owner = access.user.object_id
    return f"{request.base_url}/v1.0/$metadata#users('{owner}')/mailFolders"


def _listed(found: list[dict[str, Any]], access: Access, request: Request) -> Response:
    text = option(request, "filter")
    if text:
        keeps = parse(text, SCHEMA).keeps
        found = [one for one in found if keeps(one)]
    page = cut(request, found, DEFAULT_PAGE, LARGEST_PAGE)
    value = [_chosen(one, request) for one in page.items]
    document = collection(_context(access, request), value, page, count=counted(request))
    return Response.of_json(200, document)


def _chosen(document: dict[str, Any], request: Request) -> dict[str, Any]:
    select = selected(option(request, "select"))
    if unknown := select - document.keys():
        raise BadRequest(
            f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.mailFolder'."
        )
    return {
        name: value for name, value in document.items() if not select or name in select | {"id"}
    }


def _of(name: str, kind: type) -> Property:
    return Property(kind, lambda folder: folder[name])


SCHEMA = Schema(
    name="microsoft.graph.mailFolder",
    properties={
        "id": _of("id", str),
        "displayName": _of("displayName", str),
        "parentFolderId": _of("parentFolderId", str),
        "childFolderCount": _of("childFolderCount", int),
        "totalItemCount": _of("totalItemCount", int),
        "unreadItemCount": _of("unreadItemCount", int),
        "isHidden": _of("isHidden", bool),
    },
    collections={},
    operators=frozenset(("startswith", "contains")),
    refusal=InvalidQueryNodes,
)
