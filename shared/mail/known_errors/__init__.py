"""The catalogue of known errors: what each error means, who has to act, and what exactly they do.

The callback page, the accounts page, the API's answers, the reasons of mails, the health details,
the log events (by code) and docs/errors.md use these texts. There is one module for each origin:
`entra` (AADSTS numbers), `oauth` (error names), `graph` (codes and statuses) and `app` (faults that
Postroom finds in its vault, its identity and its grants). They are imported when an error occurs,
so that an instance that only delivers does not load them.
"""

from __future__ import annotations

import re

from shared.errors import RequestRejected
from shared.mail.known_errors.row import Actor, KnownError, Retry
from shared.mail.problems import SIGN_IN_REFUSED

__all__ = [
    "Actor",
    "KnownError",
    "Retry",
    "SignInRejected",
    "find",
    "is_known",
    "read",
    "refused_sign_in",
]

_CODE = re.compile(r"AADSTS([0-9]{2,9})")
_WORD = re.compile(r"[a-z_]{1,40}")


class SignInRejected(RequestRejected):
    """A sign-in that was not finished. Nothing was connected."""

    def __init__(
        self, detail: str, remedy: str, *, code: str | None = None, chosen: str | None = None
    ) -> None:
        super().__init__(SIGN_IN_REFUSED, detail, help=remedy)
        self.code = code
        """The catalogue's code, or None if Postroom itself refused."""
        self.chosen = chosen
        """The address of the account that was chosen, if it is known."""


def is_known(code: str) -> bool:
    """Whether the catalogue has an entry for a code."""
    return _known(code) is not None


def find(code: str) -> KnownError:
    """The entry for a code of any origin, or for a bare AADSTS number; a general one if the code is
    unknown."""
    return _known(code) or KnownError(
        code,
        "Microsoft refused, with a code that Postroom does not know.",
        Actor.OPERATOR if code.startswith("Error") else Actor.MAILBOX_OWNER,
        "Look the code up at https://login.microsoftonline.com/error or in Microsoft Graph's "
        "documentation. If it is about the mailbox, sign it in again on /accounts.",
    )


def read(error: str, description: str, numbers: tuple[int, ...] = ()) -> KnownError:
    """The entry that fits an OAuth error answer.

    The AADSTS number decides if the catalogue has it. Otherwise the error's name decides, and the
    number is kept so that people can look it up. The rest of the description is dropped.
    """
    from shared.mail.known_errors import entra, oauth

    spelled = [f"AADSTS{number}" for number in numbers] + [
        match.group(0) for match in _CODE.finditer(description[:2000])
    ]
    for code in spelled:
        if code in entra.ROWS:
            return entra.ROWS[code]
    name = error if _WORD.fullmatch(error) else "unknown_error"
    row = oauth.ROWS.get(name) or find(name)
    if not spelled:
        return row
    return KnownError(spelled[0], row.meaning, row.who, row.step, row.retry, row.admin_consent)


def refused_sign_in(refusal: KnownError, *, chosen: str | None = None) -> SignInRejected:
    """The exception for a sign-in that failed with a known error."""
    return SignInRejected(refusal.meaning, refusal.help, code=refusal.code, chosen=chosen)


def _known(code: str) -> KnownError | None:
    from shared.mail.known_errors import app, entra, graph, oauth

    return (
        entra.ROWS.get(f"AADSTS{code.removeprefix('AADSTS')}")
        or oauth.ROWS.get(code)
        or app.ROWS.get(code)
        or graph.ROWS.get(code)
        or graph.of_reason(code)
    )
