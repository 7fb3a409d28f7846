"""What Key Vault keeps of a certificate, and what of it can prove the app."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.adapters.entra.client_certificate import ClientCertificate, read
from shared.adapters.key_vault.credential import ClientSecret
from shared.errors import CredentialRefused
from shared.services.sign_in.ports import StoredSecret
from tests.certificates import PEM, PKCS12, made
from tests.unit.adapters.vault_of_versions import MADE, Vault


def stored(value: str, content_type: str | None = None) -> StoredSecret:
    return StoredSecret(value, "0f3c9a1b7d", MADE, None, content_type)


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        pytest.param(made().pkcs12(), PKCS12, id="PKCS12"),
        pytest.param(made().pkcs12(), None, id="PKCS12 stored by hand"),
        pytest.param(made().pem, PEM, id="PEM"),
        pytest.param(made().public + made().key_pem, None, id="PEM, the certificate first"),
        pytest.param(made().key_pem + made("issuer").public + made().public, PEM, id="a chain"),
        pytest.param(made().pem.replace("\n", "\r\n"), PEM, id="PEM of Windows"),
    ],
)
def test_a_certificate_with_its_key_is_read(value: str, content_type: str | None) -> None:
    pair = read(stored(value, content_type))

    assert pair.certificate == made().public
    assert pair.private_key == made().key_pem
    assert pair.expires_at == made().certificate.not_valid_after_utc
    assert "PRIVATE" not in repr(pair)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param("", "neither PKCS #12", id="empty"),
        pytest.param("a client secret", "neither PKCS #12", id="something else"),
        pytest.param("Zm9v", "neither PKCS #12", id="base64 of something else"),
        pytest.param(made().pkcs12(b"password"), "without a password", id="with a password"),
        pytest.param(made().public, "exportable", id="the public part alone"),
        pytest.param(made().key_pem, "neither PKCS #12", id="the key alone"),
        pytest.param(made().key_pem + made("other").public, "belongs to", id="another's key"),
        pytest.param(made("curve", curve=True).pem, "not RSA", id="an elliptic curve"),
        pytest.param(made().pem[:900], "neither PKCS #12", id="cut off"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_that_quote_nothing(value: str, why: str) -> None:
    with pytest.raises(CredentialRefused, match=why) as refused:
        read(stored(value))

    said = f"{refused.value!r} {refused.value.__cause__!r}"
    assert refused.value.code == "unusable_certificate"
    assert "0f3c9a1b " in said
    assert not value or value[:40] not in said


def test_msal_gets_what_makes_it_sign_with_ps256() -> None:
    proof = ClientCertificate(Vault([made().pkcs12()])).proof()

    assert proof.for_msal == {
        "private_key": made().key_pem,
        "public_certificate": made().public,
    }
    assert "PRIVATE" not in repr(proof)


def test_an_unusable_newest_version_yields_to_the_one_before() -> None:
    credential = ClientCertificate(Vault([made().pem, "mistaken"]))

    proof = credential.proof()

    assert isinstance(proof.for_msal, dict)
    assert not proof.newest


def test_unusable_versions_alone_are_told_by_the_newest() -> None:
    credential = ClientCertificate(Vault(["mistaken", made("curve", curve=True).pem]))

    with pytest.raises(CredentialRefused, match="not RSA"):
        credential.proof()


def test_an_empty_vault_says_what_belongs_there() -> None:
    with pytest.raises(CredentialRefused, match="postroom-client-certificate") as refused:
        ClientCertificate(Vault([])).proof()
    assert refused.value.code == "no_client_certificate"


def test_the_expiry_is_the_certificates_own() -> None:
    soon = made("soon", days=10)
    vault = Vault([soon.pem, made().pem, "mistaken"])
    vault.expiry = {"mistaken": MADE, soon.pem: MADE + timedelta(days=9999)}

    told = [one.expires_at for one in ClientCertificate(vault).describe()]

    assert told == [
        MADE,
        made().certificate.not_valid_after_utc,
        soon.certificate.not_valid_after_utc,
    ]


def test_a_secret_and_a_certificate_have_names_of_their_own() -> None:
    assert ClientSecret.secret_name != ClientCertificate.secret_name
