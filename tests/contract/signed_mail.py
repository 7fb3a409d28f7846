"""A signed mail (S/MIME), and the proof that it arrived as it was signed."""

from __future__ import annotations

import email
import email.message
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7


def signed_part(part: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """A multipart/signed body (RFC 8551, 3.5.3) with its own headers, signed without attributes, so that
    the signature is over the part's bytes alone."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "billing@contoso.com")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    signature = (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(part)
        .add_signer(certificate, key, hashes.SHA256())
        .sign(
            serialization.Encoding.DER,
            [
                pkcs7.PKCS7Options.DetachedSignature,
                pkcs7.PKCS7Options.NoAttributes,
                pkcs7.PKCS7Options.Binary,
            ],
        )
    )
    held = EmailMessage(policy=email.policy.SMTP)
    held.set_content(signature, "application", "pkcs7-signature", filename="smime.p7s")
    head = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b' micalg=sha-256; boundary="b1"\r\nMIME-Version: 1.0\r\n\r\n'
    )
    end = b"\r\n--b1\r\n" + held.as_bytes() + b"\r\n--b1--\r\n"
    return head + b"--b1\r\n" + part + end


def verify(source: bytes, key: rsa.RSAPrivateKey) -> None:
    """Raises InvalidSignature. Without attributes the signature is the last field of the structure."""
    part = source.partition(b"--b1\r\n")[2].partition(b"\r\n--b1\r\n")[0]
    held = email.message_from_bytes(source).get_payload()
    assert isinstance(held, list)
    last = held[1]
    assert isinstance(last, email.message.Message)
    signature = last.get_payload(decode=True)
    assert isinstance(signature, bytes)
    key.public_key().verify(signature[-256:], part, padding.PKCS1v15(), hashes.SHA256())
