"""Handles Key Vault's secrets API (entra-oauth.md 6.1)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from local.simulator.directory import TENANT_ID
from local.simulator.entra.tokens import VAULT_AUDIENCE
from local.simulator.faults import Fault
from local.simulator.key_vault.errors import (
    BadParameter,
    ForbiddenByRbac,
    NoOperation,
    VaultError,
    error_document,
    to_response,
)
from local.simulator.key_vault.secret import Secret, Version
from local.simulator.key_vault.state import (
    DAY,
    RECOVERABLE_DAYS,
    WITHOUT_RECOVERABLE_DAYS,
    VaultState,
)
from local.simulator.urls import LOOPBACK_NAMES
from local.simulator.wire import Handler, Request, Response

PAGE_SIZE = 25
_NUMBER = re.compile(r"[0-9]{1,9}")
_VERSION = re.compile(r"[0-9a-fA-F]{32}")
Item = TypeVar("Item")
Document = dict[str, Any]
Work = Callable[[VaultState, Request], Response]


def guarded(state: VaultState, action: str, work: Work) -> Handler:
    """`work` after the vault's checks, in its order: token, version, rate."""

    def handler(request: Request) -> Response:
        try:
            state.authorize(_bearer(request), action)
            state.check_version(request.query.get("api-version"))
            state.admit()
            return _with_headers(request, work(state, request))
        except VaultError as error:
            return _with_headers(request, to_response(error, _challenge(request)))

    return handler


def set_secret(state: VaultState, request: Request) -> Response:
    secret, version = state.set(request.params["name"], _json(request))
    return Response.of_json(200, _bundle(request, secret, version, with_value=True))


def get_secret(state: VaultState, request: Request) -> Response:
    if "outContentType" in request.query:
        # Only the secret of a certificate can be had in two forms, and there are no certificates.
        raise BadParameter("outContentType is for certificates.", unsupported="outContentType")
    secret, version = state.get(request.params["name"], _version(request))
    return Response.of_json(200, _bundle(request, secret, version, with_value=True))


def update_secret(state: VaultState, request: Request) -> Response:
    secret, version = state.update(request.params["name"], _version(request), _json(request))
    return Response.of_json(200, _bundle(request, secret, version))


def list_secrets(state: VaultState, request: Request) -> Response:
    def item(secret: Secret) -> Document:
        return _bundle(request, secret, secret.version(), versionless=True)

    return _page(request, state.secrets(), item)


def list_versions(state: VaultState, request: Request) -> Response:
    secret, versions = state.versions(request.params["name"])
    return _page(request, versions, lambda version: _bundle(request, secret, version))


def delete_secret(state: VaultState, request: Request) -> Response:
    return Response.of_json(200, _deleted(request, state.delete(request.params["name"])))


def get_deleted(state: VaultState, request: Request) -> Response:
    return Response.of_json(200, _deleted(request, state.deleted(request.params["name"])))


def list_deleted(state: VaultState, request: Request) -> Response:
    return _page(request, state.deleted_secrets(), lambda secret: _deleted(request, secret))


def recover_secret(state: VaultState, request: Request) -> Response:
    secret = state.recover(request.params["name"])
    return Response.of_json(200, _bundle(request, secret, secret.version()))


def purge_secret(state: VaultState, request: Request) -> Response:
    state.purge(request.params["name"])
    return Response(204)


def backup_secret(state: VaultState, request: Request) -> Response:
    return Response.of_json(200, {"value": state.backup(request.params["name"])})


def restore_secret(state: VaultState, request: Request) -> Response:
    def address(secret: Secret, version: Version) -> str:
        return f"{request.base_url}/secrets/{secret.name}/{version.identifier}"

    secret = state.restore(_json(request), address)
    return Response.of_json(200, _bundle(request, secret, secret.version()))


def no_operation(state: VaultState, request: Request) -> Response:
    """A method or a path that secrets do not have."""
    segments = request.path.strip("/").split("/")
    raise NoOperation(request.method, segments[-1] if len(segments) > 2 else "")


def other_objects(state: VaultState, request: Request) -> Response:
    """Keys, certificates and storage accounts: the caller has a role for secrets alone."""
    raise ForbiddenByRbac(unsupported="keys, certificates and storage accounts")


def fault(fault: Fault, request: Request) -> Response:
    """A simulated failure in Key Vault's form; `code` may be `Forbidden/ForbiddenByRbac`."""
    code, _, inner = str(fault.code or "ServiceUnavailable").partition("/")
    headers = [("WWW-Authenticate", _challenge(request))] if fault.status == 401 else None
    message = fault.message or "Simulated fault."
    return error_document(fault.status, code, message, inner or None, headers)


def _challenge(request: Request) -> str:
    """The challenge: the simulator's own sign-in service, or Microsoft's if the vault was called by
    another name. Which of Microsoft's sign-in hosts the real one names is UNCONFIRMED; SDKs read only
    the tenant."""
    own = urlsplit(request.base_url).hostname in LOOPBACK_NAMES
    host = request.base_url if own else "https://login.microsoftonline.com"
    return f'Bearer authorization="{host}/{TENANT_ID}", resource="{VAULT_AUDIENCE}"'


def _with_headers(request: Request, response: Response) -> Response:
    """The headers of every answer
    (https://learn.microsoft.com/azure/key-vault/general/common-parameters-and-headers)."""
    sent = request.headers.get("x-ms-client-request-id")
    echoed = [("x-ms-client-request-id", sent)] if sent else []
    own = (
        ("Cache-Control", "no-cache"),
        ("Pragma", "no-cache"),
        ("x-ms-keyvault-region", "westeurope"),
        ("x-ms-request-id", str(uuid.uuid4())),
    )
    return replace(response, headers=(*response.headers, *own, *echoed))


def _version(request: Request) -> str:
    """The version in the path; empty for the newest. Raises NoOperation if it is not one, as the
    vault takes any other word for an operation."""
    version = request.params.get("version", "")
    if version and not _VERSION.fullmatch(version):
        raise NoOperation(request.method, version)
    return version


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _json(request: Request) -> Any:
    try:
        return request.json()
    except (ValueError, RecursionError) as error:
        raise BadParameter("The request body is not valid JSON.") from error


def _bundle(
    request: Request,
    secret: Secret,
    version: Version,
    *,
    with_value: bool = False,
    versionless: bool = False,
) -> Document:
    identifier = f"{request.base_url}/secrets/{secret.name}"
    document: Document = {
        "id": identifier if versionless else f"{identifier}/{version.identifier}",
        "attributes": _attributes(request, version),
        "tags": version.tags,
    }
    if with_value:
        document["value"] = version.value
    if version.content_type is not None:
        document["contentType"] = version.content_type
    return document


def _attributes(request: Request, version: Version) -> Document:
    attributes: Document = {
        "enabled": version.enabled,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
    }
    if request.query.get("api-version") not in WITHOUT_RECOVERABLE_DAYS:
        attributes["recoverableDays"] = RECOVERABLE_DAYS
    optional = {"nbf": version.nbf, "exp": version.exp}
    return attributes | {name: value for name, value in optional.items() if value is not None}


def _deleted(request: Request, secret: Secret) -> Document:
    deleted_at = int(secret.deleted_at or 0)
    return {
        **_bundle(request, secret, secret.version()),
        "recoveryId": f"{request.base_url}/deletedsecrets/{secret.name}",
        "deletedDate": deleted_at,
        "scheduledPurgeDate": deleted_at + RECOVERABLE_DAYS * DAY,
    }


def _page(request: Request, items: Sequence[Item], shape: Callable[[Item], Document]) -> Response:
    size = _number(request, "maxresults", PAGE_SIZE)
    start = _number(request, "$skiptoken", 0)
    if not 1 <= size <= PAGE_SIZE:
        raise BadParameter(f"maxresults is between 1 and {PAGE_SIZE}.")
    end = start + size
    next_link = None
    if end < len(items):
        query = {**request.query, "$skiptoken": str(end)}
        next_link = f"{request.base_url}{request.path}?{urlencode(query)}"
    document = {"value": [shape(item) for item in items[start:end]], "nextLink": next_link}
    return Response.of_json(200, document)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not _NUMBER.fullmatch(text):
        raise BadParameter(f"{name} is a number.")
    return int(text)
