"""Two processes refresh one account at the same moment: both go on, and the vault keeps what works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.entra.identity_platform import Entra
from shared.adapters.key_vault.credential import CLIENT_SECRET, ClientSecret
from shared.adapters.key_vault.secrets import KeyVault
from tests.contract.conftest import Stand
from tests.contract.person import Person

ROOT = Path(__file__).parents[2]
SCOPES = ("Mail.Send", "User.Read")
BILLING = "billing@contoso.com"
ACCOUNT = "0a1b2c3d"
ROUNDS = 12
START_SECONDS = 6.0


@pytest.fixture
def entra(stand: Stand, vault: KeyVault) -> Entra:
    vault.set(CLIENT_SECRET, stand.stack["client_secret"])
    return Entra(
        client_id=stand.stack["client_id"],
        authority_host=stand.stack["authority_host"],
        redirect_uri="http://localhost:7071/api/auth/callback",
        credential=ClientSecret(vault),
        development=True,
        ca_file=stand.ca_file,
    )


@pytest.fixture
def first_grant(stand: Stand, vault: KeyVault, entra: Entra) -> str:
    """A mailbox that was signed in, with its refresh token in the vault."""
    tenant = stand.stack["tenant_id"]
    person = Person(stand.ca_file)
    flow = entra.begin(tenant, SCOPES)
    grant = entra.redeem(tenant, flow, person.sign_in(str(flow["auth_uri"]), BILLING))
    person.close()
    vault.set(f"postroom-grant-{ACCOUNT}", str(grant.refresh_token))
    return str(grant.refresh_token)


def in_two_processes(stand: Stand) -> list[dict[str, Any]]:
    """What each of two processes tells of its refreshes."""
    document = {
        "stack": stand.stack,
        "account_id": ACCOUNT,
        "rounds": ROUNDS,
        "begin_at": time.time() + START_SECONDS,
    }
    command = [sys.executable, "-m", "tests.contract.refresher"]
    running = [
        subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=ROOT,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(json.dumps(document))
        process.stdin.close()
        process.stdin = None
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    return [json.loads(out) for out, _ in told]


def test_both_go_on_and_the_vault_ends_with_a_working_token(
    stand: Stand, vault: KeyVault, entra: Entra, first_grant: str
) -> None:
    told = in_two_processes(stand)

    assert [Counter(one["rounds"]) for one in told] == [Counter({"token": ROUNDS})] * 2
    assert [one["state"] for one in told] == ["ready", "ready"]
    kept = vault.get(f"postroom-grant-{ACCOUNT}")
    assert kept is not None
    assert kept.value != first_grant
    assert entra.refresh(stand.stack["tenant_id"], kept.value, SCOPES).access_token


def test_were_a_refresh_token_good_for_one_use_the_mailbox_would_still_not_be_given_up(
    stand: Stand, vault: KeyVault, entra: Entra, first_grant: str
) -> None:
    """Microsoft lets the old token live; the simulator can be stricter. Then whoever comes second is
    refused, finds a newer token in the vault or waits a minute, and marks nothing."""
    stand.control("options", {"strict_refresh_reuse": True})

    told = in_two_processes(stand)

    rounds = Counter(result for one in told for result in one["rounds"])
    assert rounds.keys() <= {"token", "NotSent"}, rounds
    assert rounds["token"] >= ROUNDS
    assert [one["state"] for one in told] == ["ready", "ready"]
    kept = vault.get(f"postroom-grant-{ACCOUNT}")
    assert kept is not None
    assert entra.refresh(stand.stack["tenant_id"], kept.value, SCOPES).access_token
