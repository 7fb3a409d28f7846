"""Calls to the app's own functions, with requests as the host hands them over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import azure.functions as func

import function_app
from tests.fakes import document_of


def request(
    method: str = "GET",
    path: str = "/api/mails",
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    route: Mapping[str, str] | None = None,
) -> func.HttpRequest:
    """A request. The host has checked the key and parsed the route."""
    return func.HttpRequest(
        method,
        f"https://postroom.example{path}",
        headers=headers,
        params=params,
        route_params=route,
        body=body,
    )


def send(
    body: bytes | dict[str, object] | None = None,
    content_type: str | None = "application/json",
    params: Mapping[str, str] | None = None,
    *,
    function: Any = None,
    **headers: str,
) -> func.HttpResponse:
    """`POST /api/send`, or another call that takes a mail; headers by their names with
    underscores."""
    raw = body if isinstance(body, bytes) else json.dumps(body or document_of()).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given.setdefault("content-length", str(len(raw)))
    if content_type is not None:
        given["content-type"] = content_type
    call = function or function_app.send
    answer: func.HttpResponse = call(
        request("POST", "/api/send", body=raw, headers=given, params=params)
    )
    return answer


def check_mail(
    body: bytes | dict[str, object] | None = None,
    content_type: str | None = "application/json",
    params: Mapping[str, str] | None = None,
    **headers: str,
) -> func.HttpResponse:
    """`POST /api/send/check`."""
    return send(body, content_type, params, function=function_app.check_mail, **headers)


def show_mail(mail_id: str, params: Mapping[str, str] | None = None) -> func.HttpResponse:
    """`GET /api/mails/{id}`."""
    answer: func.HttpResponse = function_app.show_mail(
        request(path=f"/api/mails/{mail_id}", route={"id": mail_id}, params=params)
    )
    return answer


def show_raw_text(mail_id: str, params: Mapping[str, str] | None = None) -> func.HttpResponse:
    """`GET /api/mails/{id}/raw`."""
    answer: func.HttpResponse = function_app.show_raw_text(
        request(path=f"/api/mails/{mail_id}/raw", route={"id": mail_id}, params=params)
    )
    return answer


def list_mails(**params: str) -> func.HttpResponse:
    """`GET /api/mails`."""
    answer: func.HttpResponse = function_app.list_mails(request(params=params))
    return answer


def posted(
    function: Any,
    body: bytes | Mapping[str, object] | None,
    route: Mapping[str, str],
    method: str = "POST",
    **headers: str,
) -> func.HttpResponse:
    """A call with a JSON body, or with none."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given.setdefault("content-length", str(len(raw)))
    if raw:
        given.setdefault("content-type", "application/json")
    answer: func.HttpResponse = function(request(method, body=raw, headers=given, route=route))
    return answer


def change(
    what: str, mail_id: str, body: bytes | Mapping[str, object] | None = None, **headers: str
) -> func.HttpResponse:
    """`POST /api/mails/{id}/…`."""
    return posted(getattr(function_app, f"{what}_mail"), body, {"id": mail_id}, **headers)


def reschedule(mail_id: str, body: bytes | Mapping[str, object]) -> func.HttpResponse:
    """`PATCH /api/mails/{id}`."""
    return posted(function_app.reschedule_mail, body, {"id": mail_id}, "PATCH")


def show_account(alias: str) -> func.HttpResponse:
    """`GET /api/accounts/{alias}`."""
    answer: func.HttpResponse = function_app.show_account(request(route={"alias": alias}))
    return answer


def change_account(
    alias: str, body: bytes | Mapping[str, object], **headers: str
) -> func.HttpResponse:
    """`PATCH /api/accounts/{alias}`; headers by their names with underscores."""
    return posted(function_app.change_account, body, {"alias": alias}, "PATCH", **headers)


def release_account(alias: str) -> func.HttpResponse:
    """`POST /api/accounts/{alias}/release`."""
    return posted(function_app.release_account, None, {"alias": alias})


def disconnect_account(alias: str, **params: str) -> func.HttpResponse:
    """`DELETE /api/accounts/{alias}`."""
    answer: func.HttpResponse = function_app.disconnect_account(
        request("DELETE", f"/api/accounts/{alias}", route={"alias": alias}, params=params)
    )
    return answer


def check_account(alias: str, body: Mapping[str, object] | None = None) -> func.HttpResponse:
    """`POST /api/accounts/{alias}/check`."""
    return posted(function_app.check_account, body, {"alias": alias})


def send_batch(
    *mails: Mapping[str, object], mode: str | None = None, **headers: str
) -> func.HttpResponse:
    """`POST /api/send/batch`; headers by their names with underscores."""
    body: dict[str, object] = {"mails": mails, **({"mode": mode} if mode else {})}
    return posted(function_app.send_batch, body, {}, **headers)


def functions() -> list[Any]:
    """The app's functions as the worker indexes them."""
    # Indexing twice in one process would take each name for a second function of that name.
    function_app.app.functions_bindings = {}
    return list(function_app.app.get_functions())


def read(answer: func.HttpResponse) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.get_body())
