"""`/me` and `/users/{user}` [api: user-get]: the directory's answer, also for users without a
mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.simulator.directory import User
from local.simulator.entra.tokens import Claims
from local.simulator.graph.access import bearer, mailbox_owner, named_user
from local.simulator.graph.errors import (
    BadRequest,
    InsufficientPrivileges,
    InvalidUser,
    ResourceNotFound,
)
from local.simulator.graph.query import option
from local.simulator.graph.serving import answering
from local.simulator.wire import Handler, Request, Response

if TYPE_CHECKING:
    from local.simulator.graph.state import GraphState

OWN = {"User.Read", "User.ReadWrite"}
EVERYBODY = {"User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"}


def get_user(graph: GraphState) -> Handler:
    def get(request: Request) -> Response:
        claims = bearer(request.headers.get("authorization", ""), graph.tokens)
        user = _user(graph, claims, named_user(request))
        wanted = OWN | EVERYBODY if user.object_id == claims.object_id else EVERYBODY
        if not (claims.roles if claims.app_only else claims.scopes) & wanted:
            raise InsufficientPrivileges
        context = f"{request.base_url}/v1.0/$metadata#users/$entity"
        return Response.of_json(200, {"@odata.context": context, **_selected(graph, user, request)})

    return answering(graph, get)


def _user(graph: GraphState, claims: Claims, named: str | None) -> User:
    try:
        return mailbox_owner(claims, named, graph.directory)
    except InvalidUser as error:
        raise ResourceNotFound.named(named or "") from error


def _selected(graph: GraphState, user: User, request: Request) -> dict[str, Any]:
    document = user_json(user)
    if user.kind == "personal" and graph.options.personal_short_ids:
        document["id"] = user.object_id.replace("-", "")[16:]
    select = {one.strip() for one in (option(request, "select") or "").split(",") if one.strip()}
    unknown = select - document.keys()
    if unknown:
        raise BadRequest(f"Could not find a property named '{min(unknown)}' on type 'User'.")
    return {name: value for name, value in document.items() if not select or name in select}


def user_json(user: User) -> dict[str, Any]:
    given, _, surname = user.name.partition(" ")
    return {
        "businessPhones": [],
        "displayName": user.name,
        "givenName": given or None,
        "jobTitle": None,
        "mail": user.mail,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": surname or None,
        "userPrincipalName": user.address,
        "id": user.object_id,
    }
