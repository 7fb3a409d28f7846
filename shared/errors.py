"""Every error Postroom raises on purpose.

    ConfigurationError            a setting is missing or wrong; outside the tree, so that nothing
                                  that tolerates a failed send can swallow a broken set-up
    PostroomError
    ├── RequestRejected           a caller asked for something that cannot be done; says what and
    │                             how to mend it (`shared.mail.problems` has the kinds)
    ├── FileChanged               a file in storage is not the one that was accepted
    ├── LostRace                  another worker changed the row first
    ├── OutOfTime                 the run of a function has no time left for another request
    ├── ConsentRequired           the mailbox must be signed in again by a person
    ├── NotFinishedYet            the person has not finished the sign-in by code
    ├── CredentialRefused         Entra refused the application's own credential
    ├── AlreadyExists             a name that must be new is taken
    └── RemoteError               a remote system did not do what was asked
        ├── NotSent               certain: the request never took effect; safe to repeat
        ├── AnswerLost            the request left, its answer did not come back
        └── RemoteRefused         the remote answered no, and asking again will not help

A message is safe to show: it never holds a body, an address, a token or a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.mail.problems import ProblemKind


class ConfigurationError(Exception):
    """One or more settings are missing or wrong. Names them, never their values."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class PostroomError(Exception):
    """Base of all errors that Postroom raises on purpose."""


# No struct (decision 0025): indexing the app does without msgspec.
@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request, and how to mend it."""

    field: str
    """Where, as a path: `to[0]`, `attachments[2].content`."""
    message: str


class RequestRejected(PostroomError):
    """A caller asked for something that cannot be done as it is.

    `detail` says what is wrong in this case; the kind carries the HTTP status, the stable code and
    the general remedy.
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
        """Further members of the problem document (RFC 9457, 3.2): facts for programs."""


class FileChanged(PostroomError):
    """A file in storage was changed or removed since the mail that it belongs to was accepted."""

    def __init__(self, *, gone: bool) -> None:
        super().__init__("a stored file was " + ("removed" if gone else "changed"))
        self.gone = gone


class LostRace(PostroomError):
    """Another worker changed the row first: its ETag no longer matches, or the row is gone."""


class OutOfTime(PostroomError):
    """The run of a function has no time left for another request: the host would end it."""


class AlreadyExists(PostroomError):
    """A row that must be new is already there."""


class ConsentRequired(PostroomError):
    """Entra wants a person: the mailbox has to be signed in again.

    `code` is the AADSTS number where one was given, such as `AADSTS50173`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFinishedYet(PostroomError):
    """The person has not finished the sign-in by code; asking again later may help."""

    def __init__(self, *, slower: bool = False) -> None:
        super().__init__("the sign-in by code is not finished")
        self.slower = slower
        """Whether Entra wants to be asked less often from now on (RFC 8628, 3.5)."""


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
        """Seconds the remote asked us to wait, where it said so."""
        self.code = code
        """The remote's own code, where it gave one."""


class NotSent(RemoteError):
    """Certain: the request had no effect. Repeating it is safe."""


class AnswerLost(RemoteError):
    """The request left and its answer was lost: it may or may not have taken effect."""


class RemoteRefused(RemoteError):
    """The remote answered no; the same request will be refused again."""
