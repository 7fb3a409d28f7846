"""`/me`, `/users` and `/users/{user}` [api: user-get], [api: user-list]: the directory's answer, also
for users without a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.directory import User
from local.simulator.entra.tokens import Claims
from local.simulator.graph import query_options
from local.simulator.graph.access import Access, bearer, mailbox_owner, named_user
from local.simulator.graph.errors import (
    AccessDenied,
    BadRequest,
    InsufficientPrivileges,
    InvalidUser,
    ResourceNotFound,
)
from local.simulator.graph.expand import selected
from local.simulator.graph.handlers import collection, plain_count
from local.simulator.graph.query import Page, counted, cut, option
from local.simulator.graph.query_errors import BadDirectoryRequest, NotSupported
from local.simulator.graph.query_options import SELECT, USER_COUNT, USERS
from local.simulator.graph.serving import answering
from local.simulator.graph.settings import READ_SETTINGS, mailbox_settings
from local.simulator.graph.user_query import found_users, is_advanced
from local.simulator.graph.user_shape import DEFAULT, NOT_SIMULATED, user_json
from local.simulator.wire import Handler, Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

OWN = {"User.Read", "User.ReadWrite"}
EVERYBODY = {"User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"}

DEFAULT_PAGE = 100
LARGEST_PAGE = 999
"""[api: user-list]"""


def get_user(graph: GraphState) -> Handler:
    def get(request: Request) -> Response:
        claims = _caller(graph, request)
        query_options.check(request, SELECT, collection=False)
        user = _user(graph, claims, named_user(request))
        _require(claims, OWN | EVERYBODY if user.object_id == claims.object_id else EVERYBODY)
        select = selected(option(request, "select"))
        with_settings = "mailboxSettings" in select
        plain = select - {"mailboxSettings"}
        document = {} if with_settings and not plain else _chosen(graph, user, plain)
        if with_settings:
            if not user.has_mailbox or not Access(claims, user).has(READ_SETTINGS):
                raise AccessDenied
            document["mailboxSettings"] = mailbox_settings(user)
        context = f"{request.base_url}/v1.0/$metadata#users/$entity"
        return Response.of_json(200, {"@odata.context": context, **document})

    return answering(graph, get)


def list_users(graph: GraphState) -> Handler:
    """The users of the caller's organisation."""

    def get(request: Request) -> Response:
        claims = _caller(graph, request)
        query_options.check(request, USERS, collection=True)
        page = _page(graph, claims, request)
        select = selected(option(request, "select"))
        if "mailboxSettings" in select:
            raise NotSupported("$select=mailboxSettings for a list of users")
        value = [_chosen(graph, one, select) for one in page.items]
        context = f"{request.base_url}/v1.0/$metadata#users"
        return Response.of_json(200, collection(context, value, page, count=counted(request)))

    return answering(graph, get)


def count_users(graph: GraphState) -> Handler:
    """[api: user-list, example 3]; only with `ConsistencyLevel: eventual`."""

    def get(request: Request) -> Response:
        claims = _caller(graph, request)
        query_options.check(request, USER_COUNT, collection=True)
        page = _page(graph, claims, request)
        if not is_advanced(request):
            raise BadDirectoryRequest("$count is not currently supported.", "$count of users")
        return plain_count(page.total)

    return answering(graph, get)


def _page(graph: GraphState, claims: Claims, request: Request) -> Page:
    _require(claims, EVERYBODY)
    if option(request, "skip") is not None:
        raise BadDirectoryRequest("'$skip' is not supported by the service.", "$skip of users")
    everybody = [one for one in graph.directory if one.tenant_id == claims.tenant_id]
    return cut(request, found_users(everybody, request), DEFAULT_PAGE, LARGEST_PAGE, by_token=True)


def _caller(graph: GraphState, request: Request) -> Claims:
    return bearer(request.headers.get("authorization", ""), graph.tokens)


def _require(claims: Claims, wanted: set[str]) -> None:
    if not (claims.roles if claims.app_only else claims.scopes) & wanted:
        raise InsufficientPrivileges


def _user(graph: GraphState, claims: Claims, named: str | None) -> User:
    try:
        return mailbox_owner(claims, named, graph.directory)
    except InvalidUser as error:
        raise ResourceNotFound.named(named or "") from error


def _chosen(graph: GraphState, user: User, select: frozenset[str]) -> dict[str, Any]:
    document = user_json(user)
    if user.kind == "personal" and graph.options.personal_short_ids:
        document["id"] = user.object_id.replace("-", "")[16:]
    unknown = select - document.keys()
    if unknown & NOT_SIMULATED:
        raise NotSupported(f"the property {min(unknown & NOT_SIMULATED)} of a user")
    if unknown:
        raise BadRequest(
            f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.user'."
        )
    return {name: value for name, value in document.items() if name in (select or DEFAULT)}
