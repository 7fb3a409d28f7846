"""Disconnecting an account over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.services.sign_in.ports import Destruction
from tests.fakes import NOT_REACHED, FakeServices
from tests.functional.calling import disconnect_account, read


def test_it_says_what_was_done_and_how_to_end_the_grant(services: FakeServices) -> None:
    services.accepted()
    answer = disconnect_account("billing", waiting="cancel")
    document = read(answer)

    assert answer.status_code == 200
    assert (document["done"], document["cancelled"], document["left"]) == (True, 1, 0)
    assert document["secret_purged"] is True
    assert "myapps.microsoft.com" in document["grant_note"]


def test_a_secret_that_the_vault_keeps_is_told_with_its_end(services: FakeServices) -> None:
    services.shredder.done = Destruction(False, services.clock() + timedelta(days=90))
    document = read(disconnect_account("billing", waiting="hold"))

    assert document["secret_purged"] is False
    assert document["secret_gone_at"] == "2026-11-18T12:00:00Z"
    assert "18 Nov 2026" in document["secret_note"]


@pytest.mark.parametrize("params", [{}, {"waiting": ""}, {"waiting": "lose"}])
def test_what_becomes_of_waiting_mails_has_to_be_said(
    services: FakeServices, params: dict[str, str]
) -> None:
    answer = disconnect_account("billing", **params)

    assert answer.status_code == 400
    assert read(answer)["errors"][0]["field"] == "waiting"
    assert "billing" in services.accounts.rows


def test_what_is_left_is_answered_202(services: FakeServices) -> None:
    for _ in range(3):
        services.accepted()
    services.faults.after("ledger.update", lambda: services.clock.forward(seconds=61))
    answer = disconnect_account("billing", waiting="cancel")

    assert answer.status_code == 202
    assert (read(answer)["done"], read(answer)["left"]) == (False, 2)


def test_an_unknown_alias_and_a_vault_that_is_silent_are_told_apart(services: FakeServices) -> None:
    assert disconnect_account("hr", waiting="hold").status_code == 404
    services.faults.before("vault.destroy", NOT_REACHED)
    assert disconnect_account("billing", waiting="hold").status_code == 503
    assert disconnect_account("billing", waiting="hold").status_code == 200
