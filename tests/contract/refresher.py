"""A process of its own that refreshes one account again and again, as an instance of the app does.

`python -m tests.contract.refresher`: one JSON document on standard input, one on standard output.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta

from azure.identity import ManagedIdentityCredential

from shared.adapters.entra.identity_platform import Entra
from shared.adapters.key_vault.credential import ClientSecret
from shared.adapters.key_vault.secrets import KeyVault
from shared.errors import PostroomError
from shared.services.accounts.access_tokens import TokenSource
from tests.unit.sign_in_fakes import FakeAccounts, account_of


def _later() -> datetime:
    """Two days on, so that each refreshed grant is old enough to be replaced in the vault."""
    return datetime.now(UTC) + timedelta(days=2)


def main() -> int:
    """Refresh `rounds` times, each at the moment that the other process does; tell how it went."""
    document = json.load(sys.stdin)
    stack = document["stack"]
    with ManagedIdentityCredential() as identity:
        vault = KeyVault(stack["vault_url"], identity, ca_file=stack["ca_file"], development=True)
        entra = Entra(
            client_id=stack["client_id"],
            authority_host=stack["authority_host"],
            redirect_uri="http://localhost:7071/api/auth/callback",
            credential=ClientSecret(vault),
            development=True,
            ca_file=stack["ca_file"],
        )
        account = account_of(
            account_id=document["account_id"], authority=stack["tenant_id"], signed_in_at=_later()
        )
        accounts = FakeAccounts({account.alias: account})
        tokens = TokenSource(entra, vault, accounts, _later)
        found: list[str] = []
        time.sleep(max(0.0, document["begin_at"] - time.time()))
        for number in range(document["rounds"]):
            time.sleep(max(0.0, document["begin_at"] + number * 0.3 - time.time()))
            try:
                tokens.forget(account, tokens.access_token(account))
                found.append("token")
            except PostroomError as error:
                found.append(type(error).__name__)
        entra.close()
        vault.close()
    state = accounts.rows[account.alias].state.value
    json.dump({"rounds": found, "state": state}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
