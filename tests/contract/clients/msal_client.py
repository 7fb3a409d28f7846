"""MSAL for Python, unmodified: one flow per run. The answer is the last line, as JSON.

python msal_client.py FLOW

The environment has the simulator's addresses and, for some flows, what the flow needs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msal  # type: ignore[import-untyped]
import requests

ENV = os.environ
SCOPES = ENV.get("SCOPES", "").split()


def authority() -> dict[str, Any]:
    """Where, and whom to trust."""
    return {
        "authority": f"{ENV['AUTHORITY_HOST']}/{ENV['TENANT']}",
        "instance_discovery": False,
        "verify": ENV["CA_FILE"],
    }


def confidential(credential: Any = None) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        ENV["CLIENT_ID"], client_credential=credential or ENV["CLIENT_SECRET"], **authority()
    )


def public() -> msal.PublicClientApplication:
    return msal.PublicClientApplication(ENV["CLIENT_ID"], **authority())


def certificate() -> dict[str, str]:
    return {
        "private_key": Path(ENV["PRIVATE_KEY_FILE"]).read_text(encoding="utf-8"),
        "public_certificate": Path(ENV["CERTIFICATE_FILE"]).read_text(encoding="utf-8"),
    }


def code_link() -> Mapping[str, Any]:
    """The link, and all of the flow for the next run. MSAL always uses PKCE."""
    flow = confidential().initiate_auth_code_flow(
        SCOPES, ENV["REDIRECT_URI"], response_mode="form_post"
    )
    return {"url": flow["auth_uri"], "verifier": json.dumps(flow)}


def code() -> Mapping[str, Any]:
    answer = json.loads(ENV["ANSWER"])
    found: Mapping[str, Any] = confidential().acquire_token_by_auth_code_flow(
        json.loads(ENV["VERIFIER"]), answer
    )
    return found


def code_and_silent() -> Mapping[str, Any]:
    app = confidential()
    app.acquire_token_by_auth_code_flow(json.loads(ENV["VERIFIER"]), json.loads(ENV["ANSWER"]))
    (account,) = app.get_accounts()
    found: Mapping[str, Any] = app.acquire_token_silent(SCOPES, account, force_refresh=True)
    return found


def device_code() -> Mapping[str, Any]:
    app = public()
    flow = app.initiate_device_flow(SCOPES)
    shown = {name: flow[name] for name in ("verification_uri", "user_code")}
    print(json.dumps(shown), flush=True)
    found: Mapping[str, Any] = app.acquire_token_by_device_flow(flow)
    return found


def managed_identity() -> Mapping[str, Any]:
    with requests.Session() as session:
        client = msal.ManagedIdentityClient(
            msal.UserAssignedManagedIdentity(client_id=ENV["IDENTITY_CLIENT_ID"]),
            http_client=session,
        )
        found: Mapping[str, Any] = client.acquire_token_for_client(resource=ENV["RESOURCE"])
        return found


FLOWS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "client-secret": lambda: confidential().acquire_token_for_client(SCOPES),
    "client-certificate": lambda: confidential(certificate()).acquire_token_for_client(SCOPES),
    "client-assertion": lambda: confidential(
        {"client_assertion": lambda: ENV["ASSERTION"]}
    ).acquire_token_for_client(SCOPES),
    "code-link": code_link,
    "code": code,
    "code-and-silent": code_and_silent,
    "refresh": lambda: confidential().acquire_token_by_refresh_token(ENV["REFRESH_TOKEN"], SCOPES),
    "device-code": device_code,
    "on-behalf-of": lambda: confidential().acquire_token_on_behalf_of(ENV["ASSERTION"], SCOPES),
    "managed-identity": managed_identity,
}


def answer(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the test looks at."""
    if "access_token" not in result:
        message = result.get("error_description")
        return {**result, "message": message} if "error" in result else result
    address = result.get("id_token_claims", {}).get("preferred_username")
    scopes = result.get("scope", "").split()
    return {"access_token": result["access_token"], "scopes": scopes, "address": address}


if __name__ == "__main__":
    print(json.dumps(answer(FLOWS[sys.argv[1]]())))
