"""What every refusal that Postroom can meet means, who has to act, and what exactly they do.

The one catalogue behind the callback page, the accounts page, the API's answers, mails' reasons,
health, log events (by its codes) and docs/errors.md. One module per origin: `entra` (AADSTS
numbers), `oauth` (error names), `graph` (codes and statuses), `app` (what Postroom itself finds out
about its vault, its identity and its grants). They are read when something is refused, so that an
instance that only delivers does not pay for them.
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
        """The catalogue's code, or None where Postroom itself refused."""
        self.chosen = chosen
        """The address of the account that was chosen, where it is known."""


def is_known(code: str) -> bool:
    """Whether the catalogue has its own words for a code."""
    return _known(code) is not None


def find(code: str) -> KnownError:
    """The row for a code of any origin, or for a bare AADSTS number; a cautious one where unknown."""
    return _known(code) or KnownError(
        code,
        "Microsoft refused, with a code that Postroom does not know.",
        Actor.OPERATOR if code.startswith("Error") else Actor.MAILBOX_OWNER,
        "Look the code up at https://login.microsoftonline.com/error or in Microsoft Graph's "
        "documentation. If it is about the mailbox, sign it in again on /accounts.",
    )


def read(error: str, description: str, numbers: tuple[int, ...] = ()) -> KnownError:
    """The row that fits an OAuth error answer.

    The number decides where the catalogue has it; else the error's name does, and the number is
    kept for people to look up. Nothing else of the description goes any further.
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
    """The error for a sign-in that met a refusal."""
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
