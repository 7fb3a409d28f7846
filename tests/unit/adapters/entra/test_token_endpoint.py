from __future__ import annotations

from shared.adapters.entra.token_endpoint import shown


def test_a_secret_is_shown_as_it_is() -> None:
    fields = shown("a secret")

    assert fields is not None
    assert fields() == {"client_secret": "a secret"}


def test_an_assertion_is_asked_for_when_it_is_needed() -> None:
    asked: list[int] = []

    def assertion() -> str:
        asked.append(1)
        return "signed"

    fields = shown({"client_assertion": assertion})

    assert fields is not None
    assert asked == []
    assert fields()["client_assertion"] == "signed"
    assert fields()["client_assertion_type"].endswith(":jwt-bearer")


def test_what_must_be_signed_first_is_left_to_msal() -> None:
    certificate = {"private_key": "-----BEGIN", "thumbprint": "00", "public_certificate": "-----"}

    assert shown(certificate) is None
    assert shown(None) is None
