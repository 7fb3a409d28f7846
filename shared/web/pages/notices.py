"""What a page says about a sign-in that was not finished, and how to continue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from shared.errors import CredentialRefused, PostroomError, RemoteError, RequestRejected
from shared.mail import known_errors
from shared.mail.known_errors import SignInRejected
from shared.mail.permissions import Choices
from shared.services.sign_in.ports import SignInRequest
from shared.services.sign_in.registration import (
    Registration,
    wants_admin_consent,
)
from shared.web.auth import cookies, signing
from shared.web.auth.sign_in_form import fields_of
from shared.web.auth.signing import Keys, Purpose

_NAME = "notice"
_PATH = "/accounts"
_SECONDS = 120


class Notice(msgspec.Struct, frozen=True):
    """Why a sign-in was not finished, in words for the person at the browser."""

    detail: str
    help: str
    status: int = 400
    code: str | None = None
    chosen: str | None = None
    again: Sequence[Sequence[str]] = ()
    """Names and values of the fields that start the same sign-in again, if it is known."""
    admin_consent_url: str | None = None
    """Set if an administrator's consent may be missing."""
    by_code: bool = False
    """Whether to start again by a code."""
    retry_after: float | None = None


def of(
    error: PostroomError,
    sign_in_request: SignInRequest | None = None,
    *,
    registration: Registration | None = None,
    answer: Mapping[str, str] | None = None,
    by_code: bool = False,
) -> Notice:
    """The notice for an error, with a button to try again if the request is known.

    With the registration, and if consent is missing, it also offers the link for an administrator.
    `answer` is what Microsoft sent to the callback.
    """
    detail, remedy, status, code = _told(error)
    url = None
    if registration and wants_admin_consent(answer or {}, code):
        choices = sign_in_request.choices if sign_in_request else Choices()
        url = registration.admin_consent_url(
            choices, sign_in_request.authority if sign_in_request else None
        )
    return Notice(
        detail=detail,
        help=remedy,
        status=status,
        code=code,
        chosen=error.chosen if isinstance(error, SignInRejected) else None,
        again=fields_of(sign_in_request) if sign_in_request else (),
        admin_consent_url=url,
        by_code=by_code,
        retry_after=_wait(error) if status == 503 else None,
    )


def _told(error: PostroomError) -> tuple[str, str, int, str | None]:
    if isinstance(error, RequestRejected):
        code = error.code if isinstance(error, SignInRejected) else None
        return error.detail, error.help, error.kind.status, code
    if isinstance(error, CredentialRefused):
        row = known_errors.find(error.code)
        return row.meaning, row.help, 503, row.code
    return str(error), "Wait a little, then try again.", 503, None


def _wait(error: PostroomError) -> float:
    return (error.retry_after if isinstance(error, RemoteError) else None) or 30


def build_cookie(keys: Keys, notice: Notice) -> str:
    """Pass a notice to /accounts in a cookie, because an answer in a URL must not stay in the
    history."""
    sealed = signing.seal(keys, Purpose.NOTICE, msgspec.json.encode(notice), _NAME)
    return cookies.build(_NAME, sealed, max_age=_SECONDS, path=_PATH, same_site="Lax")


def read_cookie(keys: Keys, cookie_header: str) -> Notice | None:
    """The notice in the cookie, if any."""
    sealed = cookies.read(cookie_header, _NAME)
    content = signing.unseal(keys, Purpose.NOTICE, sealed, _NAME) if sealed else None
    return Notice(**json.loads(content)) if content is not None else None


def clear_cookie() -> str:
    """Remove the cookie: a notice is shown once."""
    return cookies.clear(_NAME, path=_PATH, same_site="Lax")
