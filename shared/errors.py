"""Every error Postroom raises on purpose.

    ConfigurationError            a setting is missing or wrong; not a PostroomError, so that
                                  code that tolerates a failed send cannot hide a wrong set-up
    PostroomError
    ├── RequestRejected           a caller asked for something that cannot be done; says what is
    │                             wrong and the remedy (`shared.mail.problems` has the kinds)
    ├── FileChanged               a file in storage is not the one that was accepted
    ├── LostRace                  another worker changed the row first
    ├── OutOfTime                 the run of a function has no time left for another request
    ├── ConsentRequired           a person must sign the mailbox in again
    ├── NotFinishedYet            the person has not finished the sign-in by code
    ├── CredentialRefused         Entra refused the application's own credential
    ├── AlreadyExists             a row or name that must be new exists
    └── RemoteError               a remote system did not do what was asked
        ├── NotSent               certain: the request had no effect; it is safe to repeat
        ├── AnswerLost            the request was sent, and its answer was lost
        └── RemoteRefused         the remote refused, and a repeated request is refused again

A message is safe to show: it never holds a body, an address, a token or a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.mail.problems import ProblemKind


class ConfigurationError(Exception):
    """One or more settings are missing or wrong. The message names them, but not their values."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class PostroomError(Exception):
    """Base of all errors that Postroom raises on purpose."""


# Not a msgspec struct (decision 0025): the host indexes the app without msgspec.
@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request, and the remedy."""

    field: str
    """The path of the field: `to[0]`, `attachments[2].content`."""
    message: str


class RequestRejected(PostroomError):
    """A caller asked for something that cannot be done as it is.

    `detail` says what is wrong in this case. The kind has the HTTP status, the stable code and the
    general remedy.
    """

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        *,
        help: str | None = None,  # noqa: A002 - the word callers see
        retry_after: float | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.help = help or kind.help
        self.retry_after = retry_after
        self.members = dict(members or {})
        """Further members of the problem document (RFC 9457, 3.2): data for programs."""


class FileChanged(PostroomError):
    """A file in storage was changed or removed after the mail that it belongs to was accepted."""

    def __init__(self, *, gone: bool) -> None:
        super().__init__("a stored file was " + ("removed" if gone else "changed"))
        self.gone = gone


class LostRace(PostroomError):
    """Another worker changed the row first: its ETag no longer matches, or the row does not
    exist."""


class OutOfTime(PostroomError):
    """The run of a function has no time left for another request: the host would end it."""


class AlreadyExists(PostroomError):
    """A row that must be new exists."""


class ConsentRequired(PostroomError):
    """Entra requires that a person signs the mailbox in again.

    `code` is the AADSTS number if Entra gave one, such as `AADSTS50173`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFinishedYet(PostroomError):
    """The person has not finished the sign-in by code; asking again later may help."""

    def __init__(self, *, slower: bool = False) -> None:
        super().__init__("the sign-in by code is not finished")
        self.slower = slower
        """Whether Entra wants longer pauses between the requests from now on (RFC 8628, 3.5)."""


class CredentialRefused(PostroomError):
    """Entra refused the application's own credential or registration; an operator must act."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RemoteError(PostroomError):
    """A remote system did not do what was asked. `system` names it: `graph`, `entra`, `vault`."""

    def __init__(
        self,
        system: str,
        message: str,
        *,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.system = system
        self.retry_after = retry_after
        """The wait in seconds that the remote asked for, if any."""
        self.code = code
        """The remote's own code, if it gave one."""


class NotSent(RemoteError):
    """Certain: the request had no effect. It is safe to repeat it."""


class AnswerLost(RemoteError):
    """The request was sent and its answer was lost: the request may have taken effect."""


class RemoteRefused(RemoteError):
    """The remote refused; it would refuse the same request again."""
