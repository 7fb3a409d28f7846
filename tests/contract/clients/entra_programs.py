"""Runs programs of Microsoft's clients of Entra and Key Vault against the simulator: MSAL and
azure-identity for Python and for Node, and the vault's secrets for Node. Each run is a process of its own, with the simulator's addresses in its environment.

The packages for Node are in `.local/sdk-clients/node/node_modules`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from local.simulator.server import Simulator
from tests.contract.simulator.person import CALLBACK, Person
from tests.contract.simulator.signer import Signer

HERE = Path(__file__).parent
NODE_PACKAGES = HERE.parents[2] / ".local" / "sdk-clients" / "node" / "node_modules"
PATIENCE = 60
"""Seconds for one program."""
GRAPH_DEFAULT = "https://graph.microsoft.com/.default"
SEND = "https://graph.microsoft.com/Mail.Send"


@dataclass(frozen=True)
class Client:
    """A library, and the program that drives it."""

    name: str
    program: str

    @property
    def command(self) -> Sequence[str]:
        """How the program is started."""
        runtime = "node" if self.program.endswith(".mjs") else sys.executable
        return [runtime, str(HERE / self.program)]

    @property
    def is_for_node(self) -> bool:
        """Whether it runs in Node."""
        return self.program.endswith(".mjs")

    def __str__(self) -> str:
        return self.name


MSAL = Client("msal-python", "msal_client.py")
IDENTITY = Client("azure-identity-python", "azure_identity_client.py")
MSAL_NODE = Client("msal-node", "msal_node_client.mjs")
IDENTITY_NODE = Client("azure-identity-node", "azure_identity_client.mjs")
SECRETS_NODE = Client("keyvault-secrets-node", "key_vault_client.mjs")
CLIENTS = (MSAL, IDENTITY, MSAL_NODE, IDENTITY_NODE)


class Programs:
    """Starts programs with what `stack.json` says, and a certificate whose files lie in a folder."""

    def __init__(self, simulator: Simulator, signer: Signer, folder: Path) -> None:
        stack = simulator.stack()
        key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
        key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        key_file.write_text(key, encoding="utf-8")
        certificate_file.write_text(key + signer.pem, encoding="utf-8")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AUTHORITY_HOST": stack["authority_host"],
            "TENANT": stack["tenant_id"],
            "CLIENT_ID": stack["client_id"],
            "CLIENT_SECRET": stack["client_secret"],
            "CA_FILE": stack["ca_file"],
            "NODE_EXTRA_CA_CERTS": stack["ca_file"],
            "NODE_PACKAGES": str(NODE_PACKAGES),
            "VAULT_URL": stack["vault_url"],
            "IDENTITY_ENDPOINT": stack["identity_endpoint"],
            "IDENTITY_HEADER": stack["identity_header"],
            "IDENTITY_CLIENT_ID": stack["identity_client_id"],
            "REDIRECT_URI": CALLBACK,
            "PRIVATE_KEY_FILE": str(key_file),
            "CERTIFICATE_FILE": str(certificate_file),
            "THUMBPRINT_SHA256": signer.certificate.fingerprint(SHA256()).hex(),
            # What EnvironmentCredential reads.
            "AZURE_TENANT_ID": stack["tenant_id"],
            "AZURE_CLIENT_ID": stack["client_id"],
            "AZURE_CLIENT_SECRET": stack["client_secret"],
        }

    def run(self, client: Client, flow: str, **more: str) -> Mapping[str, Any]:
        """What a program answers. Fails the test with all that it wrote where it fails."""
        process = self._start(client, flow, more)
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{client} {flow}\n{output}\n{errors}"
        return _last(output)

    def with_device_code(self, client: Client, person: Person, address: str) -> Mapping[str, Any]:
        """The device code flow: the program shows a code, a person types it."""
        process = self._start(client, "device-code", {"SCOPES": SEND})
        assert process.stdout is not None
        shown = json.loads(process.stdout.readline())
        person.open(shown["verification_uri"]).press("next", otc=shown["user_code"])
        person.press(address).press("accept")
        output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{client}\n{output}\n{errors}"
        return _last(output)

    def _start(self, client: Client, flow: str, more: Mapping[str, str]) -> subprocess.Popen[str]:
        missing = client.is_for_node and not NODE_PACKAGES.exists()
        assert not missing, "the packages for Node are missing: make test installs them"
        return subprocess.Popen(  # noqa: S603 - our own programs
            [*client.command, flow],
            env={**self._environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _last(output: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found
