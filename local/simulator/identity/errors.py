"""Errors of App Service's token endpoint.

Their shape (`statusCode`, `message`, `correlationId`) and the two texts about identities are in
field reports (Azure-Samples/azure-search-openai-demo#2148, davrous/AzureAgentToM365#2); the other
texts are UNCONFIRMED.
"""

from __future__ import annotations

import uuid

from local.simulator.wire import Response


class IdentityError(Exception):
    """An answer other than a token."""

    status = 400
    message = "The request is not valid."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class WrongHeader(IdentityError):
    """`X-IDENTITY-HEADER` is missing or wrong. The header protects against forged requests."""

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


class UnclearIdentity(IdentityError):
    """Several user-assigned identities, and none was named."""

    message = "Unable to load the proper Managed Identity."


class UnknownResource(IdentityError):
    """Entra does not know this resource in this tenant."""

    status = 400


def to_response(error: IdentityError) -> Response:
    """App Service's error document."""
    return error_document(error.status, str(error))


def error_document(status: int, message: str) -> Response:
    """The form alone, for faults."""
    document = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return Response.of_json(status, document)
