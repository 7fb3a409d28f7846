"""Whether it is an administrator's consent that a sign-in lacks."""

from __future__ import annotations

from collections.abc import Mapping

from shared.mail import known_errors


def would_mend(code: str | None) -> bool:
    """Whether an administrator's consent may mend a refusal of this code: the catalogue says so.

    Of a bare `access_denied` nobody can tell whether the person or the directory said no.
    """
    return code is not None and known_errors.find(code).admin_consent


def is_wanted(answer: Mapping[str, str], code: str | None) -> bool:
    """The same for an answer at the callback, which may say so in a parameter of its own."""
    return would_mend(code) or answer.get("admin_consent", "").lower() == "true"
