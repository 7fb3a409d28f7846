"""azure-identity for Python, unmodified: one credential per run. The answer is the last line, as JSON.

python azure_identity_client.py FLOW

The environment has the simulator's addresses and, for some flows, what the flow needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from azure import identity
from azure.core.credentials import TokenCredential
from azure.core.exceptions import ClientAuthenticationError

ENV = os.environ
HOST = ENV.get("AUTHORITY_HOST", "")
OPTIONS: dict[str, Any] = {
    "authority": HOST,
    "disable_instance_discovery": True,
    "connection_verify": ENV.get("CA_FILE", True),
}


def show(verification_uri: str, user_code: str, _: datetime) -> None:
    print(json.dumps({"verification_uri": verification_uri, "user_code": user_code}), flush=True)


def name(key: str) -> str:
    return ENV[key]


CREDENTIALS: dict[str, Callable[[], TokenCredential]] = {
    "client-secret": lambda: identity.ClientSecretCredential(
        name("TENANT"), name("CLIENT_ID"), name("CLIENT_SECRET"), **OPTIONS
    ),
    "client-certificate": lambda: identity.CertificateCredential(
        name("TENANT"), name("CLIENT_ID"), name("CERTIFICATE_FILE"), **OPTIONS
    ),
    "client-assertion": lambda: identity.ClientAssertionCredential(
        name("TENANT"), name("CLIENT_ID"), lambda: name("ASSERTION"), **OPTIONS
    ),
    "environment": lambda: identity.EnvironmentCredential(**OPTIONS),
    "code": lambda: identity.AuthorizationCodeCredential(
        name("TENANT"),
        name("CLIENT_ID"),
        name("CODE"),
        name("REDIRECT_URI"),
        client_secret=name("CLIENT_SECRET"),
        **OPTIONS,
    ),
    "device-code": lambda: identity.DeviceCodeCredential(
        name("CLIENT_ID"), tenant_id=name("TENANT"), prompt_callback=show, **OPTIONS
    ),
    "on-behalf-of": lambda: identity.OnBehalfOfCredential(
        name("TENANT"),
        name("CLIENT_ID"),
        client_secret=name("CLIENT_SECRET"),
        user_assertion=name("ASSERTION"),
        **OPTIONS,
    ),
    "managed-identity": lambda: identity.ManagedIdentityCredential(
        client_id=name("IDENTITY_CLIENT_ID")
    ),
}


def main(flow: str) -> dict[str, Any]:
    """The answer."""
    try:
        token = CREDENTIALS[flow]().get_token(*ENV["SCOPES"].split())
    except ClientAuthenticationError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"access_token": token.token, "lasts": int(token.expires_on - time.time())}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
