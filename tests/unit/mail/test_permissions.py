"""Which permissions a sign-in asks for."""

from __future__ import annotations

import pytest

from shared.mail.permissions import Choices


@pytest.mark.parametrize(
    ("choices", "scopes"),
    [
        pytest.param(Choices(), ["Mail.Send", "User.Read"], id="the least"),
        pytest.param(
            Choices(verified=True), ["Mail.Send", "User.Read", "Mail.ReadWrite"], id="verified"
        ),
        pytest.param(
            Choices(shared=True), ["Mail.Send", "User.Read", "Mail.Send.Shared"], id="shared"
        ),
        pytest.param(
            Choices(verified=True, shared=True),
            [
                "Mail.Send",
                "User.Read",
                "Mail.ReadWrite",
                "Mail.Send.Shared",
                "Mail.ReadWrite.Shared",
            ],
            id="both",
        ),
    ],
)
def test_what_is_ticked_is_asked_for_and_no_more(choices: Choices, scopes: list[str]) -> None:
    assert list(choices.scopes) == scopes


def test_an_accounts_choices_are_read_from_what_was_granted() -> None:
    assert Choices.of({"Mail.Send", "Mail.ReadWrite"}) == Choices(verified=True)
    assert Choices.of({"Mail.Send", "Mail.Send.Shared"}) == Choices(shared=True)


def test_what_was_ticked_and_not_granted_is_named_as_is_what_was_granted_and_not_ticked() -> None:
    granted = {"Mail.Send", "User.Read", "Mail.Send.Shared", "openid"}

    assert Choices(verified=True).withheld(granted) == ("Mail.ReadWrite",)
    assert Choices(verified=True).unasked(granted) == ("Mail.Send.Shared",)
