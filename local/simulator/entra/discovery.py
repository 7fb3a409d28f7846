"""Handles what a client asks before it asks for a token: metadata, keys, instances, user realms.

Every address in an answer has the name by which the request came.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from local.simulator.entra import scopes
from local.simulator.entra.errors import EntraError
from local.simulator.entra.handlers import refusal
from local.simulator.entra.state import EntraState
from local.simulator.entra.version import V1, V2, Version
from local.simulator.urls import Urls
from local.simulator.wire import Request, Response

CLOUDS = (
    (
        "login.microsoftonline.com",
        "login.windows.net",
        (
            "login.microsoftonline.com",
            "login.windows.net",
            "login.microsoft.com",
            "sts.windows.net",
        ),
    ),
    (
        "login.partner.microsoftonline.cn",
        "login.partner.microsoftonline.cn",
        ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
    ),
    (
        "login.microsoftonline.us",
        "login.microsoftonline.us",
        ("login.microsoftonline.us", "login.usgovcloudapi.net"),
    ),
    (
        "login-us.microsoftonline.com",
        "login-us.microsoftonline.com",
        ("login-us.microsoftonline.com",),
    ),
)
"""Microsoft's instances: preferred for requests, preferred for caches, and all names
(https://learn.microsoft.com/entra/msal/dotnet/advanced/instance-discovery)."""
API_VERSIONS = ("1.0", "1.1")


def metadata(version: Version, entra: EntraState, request: Request) -> Response:
    """`openid-configuration` of v1 or v2; an unknown tenant is already an error here."""
    try:
        tenant = entra.tenant(request.params["tenant"])
    except EntraError as error:
        return refusal(entra, request, error)
    urls = entra.urls.called(request.base_url)
    # The pages of localhost are on plain http; MSAL accepts that.
    secure, pages = f"{urls.https}/{tenant.path}", f"{urls.http}/{tenant.path}"
    document: dict[str, Any] = {
        "issuer": version.issuer(urls, tenant.issuer_path),
        "authorization_endpoint": pages + version.endpoint("authorize"),
        "token_endpoint": secure + version.endpoint("token"),
        "device_authorization_endpoint": secure + version.endpoint("devicecode"),
        "end_session_endpoint": pages + version.endpoint("logout"),
        "jwks_uri": secure + version.keys,
        "userinfo_endpoint": f"{urls.https}/oidc/userinfo",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": list(scopes.OIDC),
        "request_uri_parameter_supported": False,
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "tenant_region_scope": None,
        "cloud_instance_name": "microsoftonline.com",
    }
    if version == V1:
        document |= {
            "userinfo_endpoint": f"{secure}/openid/userinfo",
            "scopes_supported": ["openid"],
            "microsoft_multi_refresh_token": True,
        }
    return Response.of_json(200, document)


def keys(entra: EntraState, request: Request) -> Response:
    """`/discovery/v2.0/keys` and `/discovery/keys`: one key for all tenants."""
    issuer = entra.urls.called(request.base_url).issuer("{tenantid}")
    return Response.of_json(200, {"keys": [entra.key.jwk(issuer)]})


def instance_discovery(entra: EntraState, request: Request) -> Response:
    """`/common/discovery/instance`: whether a sign-in service is known, and by which names."""
    try:
        return Response.of_json(200, _instance(entra.urls.called(request.base_url), request))
    except EntraError as error:
        return refusal(entra, request, error)


def user_realm(entra: EntraState, request: Request) -> Response:
    """`/common/userrealm`, which clients ask before they send a person's password."""
    if request.query.get("api-version") != "1.0":
        unsupported = "another api-version of userrealm than 1.0"
        error = EntraError(90023, parameter="api-version", unsupported=unsupported)
        return refusal(entra, request, error)
    address = request.params.get("user") or request.query.get("user", "")
    found = entra.organisations.of_address(address)
    document = {
        "ver": "1.0",
        "account_type": "Unknown",
        "cloud_instance_name": "microsoftonline.com",
    }
    if found is not None:
        document |= {
            "account_type": "Managed",
            "domain_name": address.rpartition("@")[2].lower(),
            "cloud_audience_urn": "urn:federation:MicrosoftOnline",
        }
    return Response.of_json(200, document)


def _instance(urls: Urls, request: Request) -> dict[str, Any]:
    version = request.query.get("api-version")
    if version not in API_VERSIONS:
        raise EntraError(500501)
    given = [name for name in ("authorization_endpoint", "issuer") if request.query.get(name)]
    if len(given) != 1:
        raise EntraError(500502)
    authority = _authority(given[0], request.query[given[0]])
    if (authority.hostname or "") not in _known_names(urls):
        raise EntraError(50049)
    tenant = authority.path.strip("/").partition("/")[0] or "common"
    is_v2 = authority.path.rstrip("/").endswith(V2.endpoint("authorize"))
    where = (V2 if is_v2 else V1).metadata
    document: dict[str, Any] = {"tenant_discovery_endpoint": f"{urls.https}/{tenant}{where}"}
    if version == "1.1":
        document |= {"api-version": "1.1", "metadata": _instances(urls)}
    return document


def _authority(parameter: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise EntraError(50050, parameter=parameter) from error
    if parts.scheme != "https" or not parts.hostname:
        raise EntraError(50050, parameter=parameter)
    return parts


def _known_names(urls: Urls) -> set[str]:
    """The name by which the request came, with Microsoft's names if it is one of them."""
    microsoft = {name for _, _, names in CLOUDS for name in names}
    return {urls.name} | (microsoft if urls.name in microsoft else set())


def _instances(urls: Urls) -> list[dict[str, Any]]:
    if not any(urls.name in names for _, _, names in CLOUDS):
        host = urlsplit(urls.https).netloc
        aliases = sorted({urls.name, host})
        return [{"preferred_network": host, "preferred_cache": urls.name, "aliases": aliases}]
    return [
        {"preferred_network": network, "preferred_cache": cache, "aliases": list(names)}
        for network, cache, names in CLOUDS
    ]
