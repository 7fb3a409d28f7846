"""AADSTS numbers: the OAuth error name that goes with each, and a sentence. Those of malformed
requests are in `protocol_catalogue.py`.

Numbers and texts: https://learn.microsoft.com/entra/identity-platform/reference-error-codes Which
OAuth name belongs to a number is partly UNCONFIRMED (entra-oauth.md 4.2); only these two modules say it.
"""

from __future__ import annotations

from local.simulator.entra.meaning import Meaning
from local.simulator.entra.protocol_catalogue import PROTOCOL

_MFA = (
    "Due to a configuration change made by your administrator, or because you moved to a new "
    "location, you must {} to access the application."
)

CATALOGUE: dict[int, Meaning] = {
    16000: Meaning("interaction_required", "Several accounts are signed in: choose one."),
    28003: Meaning("invalid_scope", "The parameter scope must not be empty in a code redemption."),
    50011: Meaning(
        "invalid_request",
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect "
        "URIs configured for the application '{client_id}'.",
        page=True,
    ),
    50012: Meaning("invalid_client", "Authentication failed: the assertion is malformed."),
    50013: Meaning("invalid_client", "Assertion failed signature validation."),
    50020: Meaning(
        "invalid_grant",
        "User account '{address}' from another identity provider does not exist in the tenant "
        "and cannot access the application. The account needs to be added as an external user first.",
        page=True,
    ),
    50033: Meaning("server_error", "A retryable error has occurred."),
    50034: Meaning(
        "invalid_grant",
        "The user account {address} does not exist in the directory. To sign into this "
        "application, the account must be added to the directory.",
    ),
    50053: Meaning(
        "invalid_grant",
        "The account is locked: too many tries with a wrong user ID or password, or sign-in from "
        "an address with malicious activity.",
    ),
    50055: Meaning("invalid_grant", "The password is expired.", "user_password_expired"),
    50057: Meaning("invalid_grant", "The user account is disabled."),
    50058: Meaning("login_required", "A silent sign-in request was sent but no user is signed in."),
    50059: Meaning("invalid_request", "No tenant-identifying information found in the request."),
    50072: Meaning("interaction_required", _MFA.format("enroll in multi-factor authentication")),
    50074: Meaning("interaction_required", "Strong authentication is required.", "basic_action"),
    50076: Meaning(
        "interaction_required", _MFA.format("use multi-factor authentication"), "basic_action"
    ),
    50078: Meaning(
        "invalid_grant",
        "Presented multi-factor authentication has expired due to policies configured by your "
        "administrator, you must refresh it to access the application.",
    ),
    50079: Meaning("interaction_required", _MFA.format("enroll in multi-factor authentication")),
    50097: Meaning("interaction_required", "Device authentication is required."),
    50105: Meaning(
        "invalid_grant",
        "Your administrator has configured the application Postroom ('{client_id}') to block users "
        "unless they are specifically granted ('assigned') access to the application.",
        page=True,
    ),
    50126: Meaning("invalid_grant", "Invalid username or password."),
    50147: Meaning(
        "invalid_request", "The size or form of the Code_Challenge parameter is invalid."
    ),
    50155: Meaning("invalid_grant", "Device authentication failed for this user."),
    50173: Meaning(
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. "
        "The user might have changed or reset their password.",
        "bad_token",
    ),
    50187: Meaning("invalid_grant", "Failed to perform device authentication."),
    50194: Meaning(
        "invalid_request",
        "Application '{client_id}' is not configured as a multi-tenant application. Usage of the "
        "/common endpoint is not supported for such apps created after 10/15/2018. Use a "
        "tenant-specific endpoint or configure the application to be multi-tenant.",
        page=True,
    ),
    50196: Meaning("invalid_grant", "The server terminated an operation: client request loop."),
    53000: Meaning("invalid_grant", "Device is not in required device state: compliant."),
    53001: Meaning("invalid_grant", "Device is not in required device state: domain_joined."),
    53003: Meaning(
        "invalid_grant",
        "Access has been blocked by Conditional Access policies. The access policy does not allow "
        "token issuance.",
        "message_only",
    ),
    53004: Meaning("invalid_grant", "The user must complete security information registration."),
    54005: Meaning(
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use "
        "an existing refresh token.",
    ),
    65001: Meaning(
        "invalid_grant",
        "The user or administrator has not consented to use the application with ID '{client_id}' "
        "named 'Postroom'. Send an interactive authorization request for this user and resource.",
        "consent_required",
    ),
    65004: Meaning("access_denied", "User declined to consent to access the app."),
    70000: Meaning(
        "invalid_grant",
        "The provided value for the input parameter is not valid: the grant is invalid, or the "
        "requested scope was not granted.",
        "bad_token",
    ),
    70001: Meaning("unauthorized_client", "The application '{client_id}' is disabled or missing."),
    70002: Meaning("invalid_client", "Error validating credentials."),
    70003: Meaning(
        "unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."
    ),
    70008: Meaning(
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a "
        "new interactive authorization request for this user and resource.",
    ),
    70016: Meaning(
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    ),
    70018: Meaning("bad_verification_code", "The device_code is not known."),
    70019: Meaning("expired_token", "The device_code has expired. Start the sign-in again."),
    70021: Meaning(
        "invalid_request",
        "No matching federated identity record found for presented assertion.",
    ),
    70043: Meaning(
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks by "
        "conditional access.",
        "token_expired",
    ),
    90002: Meaning(
        "invalid_tenant",
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud.",
        page=True,
    ),
    90006: Meaning("temporarily_unavailable", "The service is temporarily unavailable."),
    90024: Meaning("temporarily_unavailable", "The request budget has been exceeded. Try again."),
    90033: Meaning("temporarily_unavailable", "A transient error has occurred. Please try again."),
    90055: Meaning("temporarily_unavailable", "Too many requests were sent for this tenant."),
    90072: Meaning(
        "invalid_grant",
        "User account '{address}' from another identity provider does not exist in the tenant and "
        "so can't satisfy its requirement of multi-factor authentication. The account needs to be "
        "added as an external user first.",
    ),
    90090: Meaning("temporarily_unavailable", "Microsoft Graph could not be reached. Try again."),
    90094: Meaning(
        "access_denied",
        "Postroom needs permission to access resources in your organization that only an admin can "
        "grant.",
    ),
    90095: Meaning("access_denied", "Admin consent is required: a request was sent."),
    500112: Meaning(
        "invalid_grant",
        "The reply address '{redirect_uri}' does not match the reply address provided when "
        "requesting the authorization code.",
    ),
    500113: Meaning(
        "invalid_request", "No reply address is registered for the application.", page=True
    ),
    500121: Meaning("invalid_grant", "Authentication failed during strong authentication request."),
    500208: Meaning(
        "invalid_request",
        "The domain of '{address}' is not a valid login domain for the account type.",
        page=True,
    ),
    500212: Meaning("invalid_grant", "The user's administrator set an outbound access policy."),
    500213: Meaning("invalid_grant", "The resource tenant's policy does not allow this user."),
    501481: Meaning(
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    530003: Meaning("invalid_grant", "Your device is required to be managed."),
    530032: Meaning("invalid_grant", "Blocked by security policy."),
    530035: Meaning("invalid_grant", "Access has been blocked by security defaults."),
    650052: Meaning(
        "invalid_client",
        "The app needs access to a service that your organization has not subscribed to or enabled.",
        page=True,
    ),
    650056: Meaning(
        "invalid_client",
        "Misconfigured application: the client has not listed any permissions for the resource.",
        page=True,
    ),
    650057: Meaning(
        "invalid_client", "Invalid resource: it is not listed in the requested permissions."
    ),
    700005: Meaning(
        "invalid_grant",
        "Provided Authorization Code is intended to use against other tenant, thus rejected.",
    ),
    700016: Meaning(
        "unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory. This can happen "
        "if the application has not been installed by the administrator of the tenant.",
        page=True,
    ),
    700025: Meaning(
        "invalid_client", "Client is public: no client assertion or secret is allowed."
    ),
    700082: Meaning(
        "invalid_grant",
        "The refresh token has expired due to inactivity. It was inactive for 90.00:00:00.",
        "bad_token",
    ),
    700084: Meaning(
        "invalid_grant",
        "The refresh token was issued to a single page app, and therefore has a fixed, limited "
        "lifetime of 1.00:00:00, which can't be extended.",
        "bad_token",
    ),
    700213: Meaning(
        "invalid_request",
        "No matching federated identity record found for presented assertion subject '{subject}'. "
        "Check your federated identity credential subject, audience and issuer.",
    ),
    700229: Meaning(
        "invalid_client", "Only app-only tokens can be used as Federated Identity Credentials."
    ),
    900023: Meaning(
        "invalid_request",
        "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external "
        "domain.",
        page=True,
    ),
    900439: Meaning("invalid_request", "US Gov users cannot use the public endpoint.", page=True),
    900971: Meaning("invalid_request", "No reply address provided.", page=True),
    7000112: Meaning("unauthorized_client", "Application '{client_id}' is disabled.", page=True),
    7000215: Meaning(
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client "
        "secret value, not the client secret ID, for a secret added to app '{client_id}'.",
    ),
    7000218: Meaning(
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or "
        "'client_secret'.",
    ),
    7000222: Meaning(
        "invalid_client",
        "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal "
        "to create new keys for your app, or consider using certificate credentials.",
    ),
    **PROTOCOL,
}
