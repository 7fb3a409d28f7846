"""Errors of App Service's token endpoint.

Their shape (`statusCode`, `message`) is what azure-identity prints; the texts are UNCONFIRMED.
"""

from __future__ import annotations

from local.simulator.wire import Response


class IdentityError(Exception):
    """An answer other than a token."""

    status = 400
    message = "The request is not valid."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class WrongHeader(IdentityError):
    """`X-IDENTITY-HEADER` is missing or wrong: the guard against forged requests."""

    status = 401
    message = "The X-IDENTITY-HEADER header is missing or does not match."


class UnknownVersion(IdentityError):
    """`api-version` is missing or not 2019-08-01."""

    message = "The api-version is missing or not supported."


class NoResource(IdentityError):
    """`resource` is missing."""

    message = "The resource parameter is missing."


class UnknownIdentity(IdentityError):
    """No user-assigned identity with this id belongs to the app."""

    message = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."


class UnknownResource(IdentityError):
    """Entra knows no such resource in this tenant."""

    status = 400


def to_response(error: IdentityError) -> Response:
    """App Service's error document."""
    return error_document(error.status, str(error))


def error_document(status: int, message: str) -> Response:
    """The shape alone, for faults."""
    return Response.of_json(status, {"statusCode": status, "message": message})
