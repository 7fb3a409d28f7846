"""Makes in the local stack what `infra/` makes in Azure: queues, tables, containers, and the app's
credential.

It runs as a process of its own with the app's environment, so that the credential chain finds the
simulated managed identity exactly as the app does. It imports the SDKs while the rest of the stack
starts; then it reads one JSON document from standard input.
"""

from __future__ import annotations

import json
import os
import sys

import requests
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import certificate, children

QUEUES = ("outbox", "outbox-poison")
TABLES = ("mails", "keys", "flows", "accounts", "waiting")
CONTAINERS = ("payloads", "attachments")
CLIENT_SECRET_NAME = "postroom-client-secret"  # noqa: S105 - a name, not a secret
CERTIFICATE_NAME = "postroom-client-certificate"


def make_storage(connection_string: str) -> None:
    """Make all storage objects that the app expects; existing ones stay unchanged."""
    with QueueServiceClient.from_connection_string(connection_string) as queues:
        for name in QUEUES:
            try:
                queues.create_queue(name)
            except ResourceExistsError:
                continue
    with TableServiceClient.from_connection_string(connection_string) as tables:
        for name in TABLES:
            tables.create_table_if_not_exists(name)
    with BlobServiceClient.from_connection_string(connection_string) as blobs:
        for name in CONTAINERS:
            try:
                blobs.create_container(name)
            except ResourceExistsError:
                continue


def prepare_credential(
    kind: str, client_secret: str, control_url: str, vault_url: str, ca_file: str
) -> None:
    """Prepare the app's credential of this kind only. The managed identity needs no preparation."""
    if kind == "secret":
        put_secret(CLIENT_SECRET_NAME, client_secret, None, vault_url, ca_file)
    elif kind == "certificate":
        key = certificate.new_key()
        made = certificate.self_signed(key)
        register_certificate(certificate.public_part(made), control_url)
        value = certificate.archive(key, made)
        put_secret(CERTIFICATE_NAME, value, certificate.PKCS12, vault_url, ca_file)


def register_certificate(public_part: str, control_url: str) -> None:
    """Add a certificate to the application's registration."""
    with requests.Session() as session:
        session.trust_env = False
        url = f"{control_url}/certificates"
        session.post(url, json={"add": public_part}, timeout=30).raise_for_status()


def put_secret(
    name: str, value: str, content_type: str | None, vault_url: str, ca_file: str
) -> None:
    """Store a secret under the name that the app reads."""
    # The credential reads IDENTITY_ENDPOINT and IDENTITY_HEADER from the environment.
    with (
        ManagedIdentityCredential(connection_verify=ca_file) as credential,
        SecretClient(
            vault_url,
            credential,
            # The simulated vault's host is not under vault.azure.net, which the SDK checks by
            # default.
            verify_challenge_resource=False,
            connection_verify=ca_file,
        ) as vault,
    ):
        vault.set_secret(name, value, content_type=content_type)


def main() -> int:
    children.die_with_parent()
    document = json.load(sys.stdin)
    settings: dict[str, str] = document["settings"]
    os.environ.update(settings)
    make_storage(settings["AzureWebJobsStorage"])
    prepare_credential(
        settings["POSTROOM_CREDENTIAL"],
        document["client_secret"],
        document["control_url"],
        settings["POSTROOM_VAULT_URL"],
        settings["POSTROOM_CA_FILE"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
