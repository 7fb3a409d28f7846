"""Key Vault's errors: HTTP status, `code`, and the `innererror` if there is one.

https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from local.simulator.wire import Response


class VaultError(Exception):
    """An answer that is not a success."""

    status = 400
    code = "BadParameter"
    inner: str | None = None

    def __init__(self, message: str = "", *, unsupported: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)
        self.unsupported = unsupported
        """What the simulator does not have, for the request log."""


class BadParameter(VaultError):
    """The request is malformed."""


class NoOperation(BadParameter):
    """A path below a secret that this method does not have."""

    def __init__(self, method: str, operation: str) -> None:
        super().__init__(f"Method {method} does not allow operation '{operation}'")


class Unauthorized(VaultError):
    """AKV10000: Request is missing a Bearer or PoP token."""

    status = 401
    code = "Unauthorized"


class ForbiddenByRbac(VaultError):
    """Caller is not authorized to perform action on resource."""

    status = 403
    code = "Forbidden"
    inner = "ForbiddenByRbac"


class SecretDisabled(VaultError):
    """Operation get is not allowed on a disabled secret."""

    status = 403
    code = "Forbidden"
    inner = "SecretDisabled"


class SecretNotFound(VaultError):
    """No secret, or no such version."""

    status = 404
    code = "SecretNotFound"


class IsDeleted(VaultError):
    """A deleted secret has the name until it is recovered or purged."""

    status = 409
    code = "Conflict"
    inner = "ObjectIsDeletedButRecoverable"


class IsInUse(VaultError):
    """A secret has the name of the one that is restored."""

    status = 409
    code = "Conflict"


class IsBeingDeleted(VaultError):
    """The deletion is not finished yet."""

    status = 409
    code = "Conflict"
    inner = "ObjectIsBeingDeleted"


class IsBeingRecovered(VaultError):
    """The recovery is not finished yet."""

    status = 409
    code = "Conflict"
    inner = "ObjectIsBeingRecovered"


class Throttled(VaultError):
    """Request was not processed because too many requests were received."""

    status = 429
    code = "Throttled"


def to_response(error: VaultError, challenge: str) -> Response:
    """Key Vault's error document; a 401 has the challenge, a 429 has no Retry-After.

    The 429 recorded in vcsjones/AzureSignTool#219 had none. It is UNCONFIRMED whether it ever has
    one: only `_throttle_headers` would change.
    """
    headers = _throttle_headers() if error.status == 429 else []
    if error.status == 401:
        headers.append(("WWW-Authenticate", challenge))
    response = error_document(error.status, error.code, str(error), error.inner, headers)
    return replace(response, unsupported=error.unsupported)


def error_document(
    status: int,
    code: str,
    message: str,
    inner: str | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Response:
    """The form alone, also for faults."""
    error: dict[str, Any] = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    return Response.of_json(status, {"error": error}, headers or ())


def _throttle_headers() -> list[tuple[str, str]]:
    return []
