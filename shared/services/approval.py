"""Whether it is an administrator's consent that a sign-in lacks."""

from __future__ import annotations

from collections.abc import Mapping

# 90094 and 90095 say so outright; 900941 and 90093 are their kin. 65001 is the answer where consent
# is missing and nobody is there to be asked.
# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_ADMIN_CONSENT = frozenset(
    {
        "AADSTS65001",
        "AADSTS90093",
        "AADSTS90094",
        "AADSTS90095",
        "AADSTS900941",
        "access_denied",
        "consent_required",
    }
)


def would_mend(code: str | None) -> bool:
    """Whether an administrator's consent is what mends a refusal of this code.

    Of a bare `access_denied` nobody can tell whether the person or the directory said no.
    """
    return code in _ADMIN_CONSENT


def is_wanted(answer: Mapping[str, str], code: str | None) -> bool:
    """The same for an answer at the callback, which may say so in a parameter of its own."""
    return would_mend(code) or answer.get("admin_consent", "").lower() == "true"
