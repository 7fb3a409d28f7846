"""AADSTS numbers of requests that are not well-formed: parameters, assertions, discovery.

https://learn.microsoft.com/entra/identity-platform/reference-error-codes. Texts that this page does
not have are those of field reports: 50027 and `aud` as a list (panva/openid-client#348), 5002730
(AzureAD/microsoft-authentication-library-for-dotnet#4712), 50048
(AzureAD/microsoft-authentication-library-for-java#430), 700021 and 700023 (MSAL.NET's tests and
Microsoft's troubleshooting guides), 500501 and 500502 (other people's notes of live answers:
UNCONFIRMED).
"""

from __future__ import annotations

from local.simulator.entra.meaning import Meaning

PROTOCOL: dict[int, Meaning] = {
    50027: Meaning("invalid_request", "JWT token is invalid or malformed."),
    50048: Meaning(
        "invalid_client", "Subject must match the issuer claim in the client assertion."
    ),
    50049: Meaning("invalid_instance", "Unknown or invalid instance."),
    50050: Meaning(
        "invalid_request", "The request is malformed: invalid format for '{parameter}' value."
    ),
    70005: Meaning("unsupported_response_type", "The app requested an unsupported response type."),
    70007: Meaning("invalid_request", "The 'response_mode' is not supported with this request."),
    70011: Meaning(
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not "
        "valid.",
    ),
    75005: Meaning(
        "invalid_request", "The request is not a valid Saml2 protocol message.", page=True
    ),
    90014: Meaning("invalid_request", "The required field '{parameter}' is missing."),
    90023: Meaning("invalid_request", "The value of the parameter '{parameter}' is not supported."),
    90027: Meaning(
        "invalid_request",
        "We are unable to issue tokens from this API version on the MSA tenant. Please contact the "
        "application vendor as they need to use version 2.0 of the protocol to support this.",
        page=True,
    ),
    90082: Meaning(
        "invalid_request",
        "The selected authentication policy for the request isn't currently supported.",
        page=True,
    ),
    90100: Meaning("invalid_request", "{parameter} parameter is empty or not valid."),
    500011: Meaning(
        "invalid_resource",
        "The resource principal named {resource} was not found in the tenant named {tenant}. This "
        "can happen if the application has not been installed by the administrator of the tenant or "
        "consented to by any user in the tenant. You might have sent your authentication request to "
        "the wrong tenant.",
    ),
    500501: Meaning("invalid_request", "Invalid value for 'api-version'."),
    500502: Meaning(
        "invalid_request", "Expected exactly one of 'issuer' and 'authorization_endpoint'."
    ),
    650053: Meaning(
        "invalid_client",
        "The application 'Postroom' asked for scope '{scope}' that doesn't exist on the resource "
        "'{resource}'.",
    ),
    700021: Meaning(
        "invalid_client",
        "Client assertion application identifier doesn't match 'client_id' parameter.",
    ),
    700022: Meaning("invalid_scope", "The scope names more than one resource."),
    700023: Meaning(
        "invalid_client", "Client assertion audience claim does not match Realm issuer."
    ),
    700024: Meaning("invalid_client", "Client assertion is not within its valid time range."),
    700027: Meaning(
        "invalid_client",
        "Client assertion failed signature validation. [Reason - {reason}]",
    ),
    700051: Meaning(
        "unsupported_response_type", "response_type 'token' is not enabled for the application."
    ),
    700054: Meaning(
        "unsupported_response_type", "response_type 'id_token' is not enabled for the application."
    ),
    900144: Meaning(
        "invalid_request",
        "The request body must contain the following parameter: '{parameter}'.",
    ),
    900561: Meaning(
        "invalid_request",
        "The endpoint only accepts {verbs} requests. Received a {verb} request.",
    ),
    901002: Meaning("invalid_request", "The 'resource' request parameter is not supported."),
    5002727: Meaning(
        "invalid_request",
        "Invalid JWT header type specified, must be 'JWT' or 'http://openid.net/specs/jwt/1.0'.",
    ),
    5002730: Meaning(
        "invalid_request", "Invalid JWT token. Unsupported key for the signing algorithm."
    ),
    9000411: Meaning(
        "invalid_request",
        "The request is not properly formatted. The parameter '{parameter}' is duplicated.",
        page=True,
    ),
    9001023: Meaning(
        "invalid_request",
        "The grant type is not supported over the /common or /consumers endpoints. Please use the "
        "/organizations or tenant-specific endpoint.",
    ),
    9002313: Meaning("invalid_request", "Invalid request. Request is malformed or invalid."),
    9002325: Meaning(
        "invalid_request",
        "Proof Key for Code Exchange is required for cross-origin authorization code redemption.",
    ),
}
