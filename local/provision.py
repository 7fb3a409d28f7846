"""Makes in the local stack what `infra/` makes in Azure: queues, tables, containers, the secret.

Runs as a process of its own with the app's environment, so that the credential chain finds the
simulated managed identity exactly as the app will. The SDKs are imported while the rest of the
stack starts; then one JSON document arrives on standard input.
"""

from __future__ import annotations

import json
import os
import sys

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import children

QUEUES = ("outbox", "outbox-poison")
TABLES = ("mails", "keys", "flows", "accounts", "waiting")
CONTAINERS = ("payloads", "attachments")
CLIENT_SECRET_NAME = "postroom-client-secret"  # noqa: S105 - a name, not a secret


def make_storage(connection_string: str) -> None:
    """Everything that the app expects to exist; what is there already stays as it is."""
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


def put_client_secret(vault_url: str, secret: str, ca_file: str) -> None:
    """Store the application's secret where the app will look for it."""
    # The credential reads IDENTITY_ENDPOINT and IDENTITY_HEADER from the environment.
    with (
        ManagedIdentityCredential(connection_verify=ca_file) as credential,
        SecretClient(
            vault_url,
            credential,
            # The simulated vault is not under vault.azure.net, which the SDK checks otherwise.
            verify_challenge_resource=False,
            connection_verify=ca_file,
        ) as vault,
    ):
        vault.set_secret(CLIENT_SECRET_NAME, secret)


def main() -> int:
    children.die_with_parent()
    document = json.load(sys.stdin)
    settings: dict[str, str] = document["settings"]
    os.environ.update(settings)
    make_storage(settings["AzureWebJobsStorage"])
    put_client_secret(
        settings["POSTROOM_VAULT_URL"], document["client_secret"], settings["POSTROOM_CA_FILE"]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
