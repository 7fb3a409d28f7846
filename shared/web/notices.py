"""What a page tells about a sign-in that was not finished, and how to go on from there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from shared.errors import CredentialRefused, PostroomError, Refused, RemoteError
from shared.mail import refusals
from shared.mail.refusals import SignInRefused
from shared.services.ports import SignInFlow
from shared.web import cookies, signing
from shared.web.signing import Keys, Purpose

_NAME = "notice"
_PATH = "/accounts"
_SECONDS = 120


@dataclass(frozen=True)
class Notice:
    """A sign-in's sad end, in words for the person at the browser."""

    detail: str
    help: str
    status: int = 400
    code: str | None = None
    chosen: str | None = None
    alias: str | None = None
    """Set where the sign-in can be begun anew by a button."""
    expected_address: str | None = None
    replace: bool = False
    retry_after: float | None = None


def of(error: PostroomError, flow: SignInFlow | None = None) -> Notice:
    """The notice for an error, with the button to try again where the flow is known."""
    detail, remedy, status, code = _told(error)
    return Notice(
        detail=detail,
        help=remedy,
        status=status,
        code=code,
        chosen=error.chosen if isinstance(error, SignInRefused) else None,
        alias=flow.alias if flow else None,
        expected_address=flow.expected_address if flow else None,
        replace=flow.replace if flow else False,
        retry_after=_wait(error) if status == 503 else None,
    )


def _told(error: PostroomError) -> tuple[str, str, int, str | None]:
    if isinstance(error, Refused):
        code = error.code if isinstance(error, SignInRefused) else None
        return error.detail, error.help, error.kind.status, code
    if isinstance(error, CredentialRefused):
        row = refusals.CATALOGUE.get(error.code)
        if row is None:
            return str(error), "Whoever runs Postroom has to act.", 503, error.code
        return row.meaning, f"{row.step} (Who: {row.who}.)", 503, error.code
    return str(error), "Wait a little, then try again.", 503, None


def _wait(error: PostroomError) -> float:
    return (error.retry_after if isinstance(error, RemoteError) else None) or 30


def build_cookie(keys: Keys, notice: Notice) -> str:
    """Carry a notice to /accounts, for answers that came in a URL which must not stay there."""
    sealed = signing.seal(keys, Purpose.NOTICE, json.dumps(asdict(notice)).encode(), _NAME)
    return cookies.build(_NAME, sealed, max_age=_SECONDS, path=_PATH, same_site="Lax")


def read_cookie(keys: Keys, cookie_header: str) -> Notice | None:
    """The notice that was carried along, if any."""
    sealed = cookies.read(cookie_header, _NAME)
    content = signing.unseal(keys, Purpose.NOTICE, sealed, _NAME) if sealed else None
    return Notice(**json.loads(content)) if content is not None else None


def clear_cookie() -> str:
    """A notice is shown once."""
    return cookies.clear(_NAME, path=_PATH, same_site="Lax")
