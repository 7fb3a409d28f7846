"""One call of each client of Entra: client credentials, with which it then sends a mail."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.clients.entra_programs import CLIENTS, GRAPH_DEFAULT, Client, Programs
from tests.contract.simulator.conftest import (  # noqa: F401 - fixtures of these tests too
    http,
    running_simulator,
    signer,
    simulator,
)
from tests.contract.simulator.signer import Signer


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_client_gets_a_token_with_which_graph_lets_it_send(
    simulator: Simulator,  # noqa: F811
    http: requests.Session,  # noqa: F811
    signer: Signer,  # noqa: F811
    tmp_path: Path,
    client: Client,
) -> None:
    programs = Programs(simulator, signer, tmp_path)

    token = programs.run(client, "client-secret", SCOPES=GRAPH_DEFAULT)["access_token"]

    recipient = {"emailAddress": {"address": "ada@contoso.com"}}
    answer = http.post(
        f"{simulator.urls.graph}/users/billing@contoso.com/sendMail",
        json={"message": {"subject": str(client), "toRecipients": [recipient]}},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 202
