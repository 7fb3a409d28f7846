"""What Entra's AADSTS codes mean, who has to act, and what exactly they do.

The one catalogue behind the callback page, the accounts page, errors and health. The codes come
from Microsoft's list; the reading of which of them need a person, and which pass, from reports.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import Refused
from shared.mail.problems import SIGN_IN_REFUSED


class Actor(StrEnum):
    """Who can mend it, in words for a sentence."""

    MAILBOX_OWNER = "the person whose mailbox it is"
    DIRECTORY_ADMIN = "an administrator of the mailbox's directory"
    OPERATOR = "whoever runs Postroom"
    NOBODY = "nobody: it passes by itself"


class Retry(StrEnum):
    """Whether asking again, with the same grant, can help."""

    NO = "no"
    ONCE = "once"
    """The same answer has been seen for grants that worked a minute later."""
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: a code, its meaning, who acts, the step that mends it, and whether to ask again."""

    code: str
    """`AADSTS65004`, or one of our own words where Entra gave no number."""
    meaning: str
    who: Actor
    step: str
    retry: Retry = Retry.NO

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anybody acting."""
        return self.retry is not Retry.NO

    @property
    def blames_the_app(self) -> bool:
        """Whether the application's credential or registration is at fault, not the mailbox."""
        return self.who is Actor.OPERATOR


class SignInRefused(Refused):
    """A sign-in that was not finished. Nothing was linked."""

    def __init__(
        self, detail: str, remedy: str, *, code: str | None = None, chosen: str | None = None
    ) -> None:
        super().__init__(SIGN_IN_REFUSED, detail, help=remedy)
        self.code = code
        """Entra's code, or None where Postroom itself refused."""
        self.chosen = chosen
        """The address of the account that was chosen, where it is known."""


_AGAIN = "Sign the mailbox in again on the accounts page."
_START_AGAIN = "Open /accounts and start the sign-in again, in one tab."


def _rows(
    numbers: str, meaning: str, who: Actor, step: str, retry: Retry = Retry.NO
) -> dict[str, Refusal]:
    codes = [f"AADSTS{number}" for number in numbers.split()]
    return {code: Refusal(code, meaning, who, step, retry) for code in codes}


CATALOGUE: dict[str, Refusal] = {
    # Grants that have ended.
    **_rows(
        "70008",
        "The sign-in, or the grant that Postroom kept, has expired.",
        Actor.MAILBOX_OWNER,
        _AGAIN,
    ),
    **_rows(
        "700082",
        "The grant was not used for 90 days and has expired.",
        Actor.MAILBOX_OWNER,
        f"{_AGAIN} A mailbox that sends now and then stays alive by itself.",
    ),
    **_rows(
        "700084",
        "The app is registered as a single-page application, whose grants end after 24 hours.",
        Actor.OPERATOR,
        "In the app registration, under Authentication, move the redirect URI from 'Single-page "
        "application' to 'Web'; then sign the mailbox in again.",
    ),
    **_rows(
        "70043",
        "The directory's sign-in frequency policy has ended the grant.",
        Actor.DIRECTORY_ADMIN,
        "Exclude the mailbox or this app from the sign-in frequency policy, then sign the mailbox "
        "in again.",
    ),
    **_rows(
        "70000",
        "Microsoft does not accept the grant, or it does not cover what was asked.",
        Actor.MAILBOX_OWNER,
        f"{_AGAIN} Where the mailbox is a personal one, set POSTROOM_TENANT to 'consumers' first.",
        Retry.ONCE,
    ),
    **_rows(
        "50173",
        "The grant was revoked: all sessions were ended, or the password was reset.",
        Actor.MAILBOX_OWNER,
        _AGAIN,
    ),
    **_rows(
        "70044",
        "The directory's session policy has ended the grant.",
        Actor.MAILBOX_OWNER,
        _AGAIN,
    ),
    # More than a password is asked for.
    **_rows(
        "50076 50079 50074 50072 50078",
        "The directory asks for multi-factor authentication.",
        Actor.MAILBOX_OWNER,
        "Sign the mailbox in again on /accounts and complete the extra step. If it comes back, an "
        "administrator adjusts the policy for this mailbox.",
    ),
    **_rows(
        "53000 53001 530003",
        "The directory lets only managed devices in, and a server cannot be one.",
        Actor.DIRECTORY_ADMIN,
        "Exclude the mailbox or this app from the device policy in Conditional Access, then sign "
        "the mailbox in again.",
    ),
    **_rows(
        "53003",
        "A Conditional Access policy blocks the sign-in.",
        Actor.DIRECTORY_ADMIN,
        "Find the entry in the directory's sign-in log; it names the policy. Exclude the mailbox "
        "or this app from it, then sign the mailbox in again.",
    ),
    **_rows(
        "53004 530032 530035",
        "The directory's security settings block the sign-in.",
        Actor.DIRECTORY_ADMIN,
        "Complete the security registration of the mailbox's user, or adjust the policy that the "
        "directory's sign-in log names; then sign the mailbox in again.",
    ),
    **_rows(
        "90072 50097 50155 50187 500212 500213",
        "A policy between directories, or about devices, blocks the sign-in.",
        Actor.DIRECTORY_ADMIN,
        "Check cross-tenant access and device policies for this mailbox, or sign in a mailbox of "
        "the app's own directory.",
    ),
    # The account itself.
    **_rows(
        "50055",
        "The password of the account has expired.",
        Actor.MAILBOX_OWNER,
        "Change the password at Microsoft, then sign the mailbox in again on /accounts.",
    ),
    **_rows(
        "50053",
        "The account is locked, or Microsoft distrusts the address the sign-in came from.",
        Actor.MAILBOX_OWNER,
        "Wait half an hour, then sign the mailbox in again on /accounts.",
    ),
    **_rows(
        "50057",
        "The account is disabled.",
        Actor.DIRECTORY_ADMIN,
        "Enable the user in Entra and sign the mailbox in again, or put another mailbox under the alias.",
    ),
    **_rows(
        "50034",
        "The account does not exist in this directory.",
        Actor.DIRECTORY_ADMIN,
        "Check that the user still exists and that POSTROOM_TENANT is its directory.",
    ),
    **_rows(
        "50020",
        "The account belongs to another directory and is no guest in this one.",
        Actor.MAILBOX_OWNER,
        "Choose an account of the right directory. To admit others, the app registration must "
        "allow accounts of any directory, and POSTROOM_TENANT be 'organizations' or 'common'.",
    ),
    **_rows(
        "50105",
        "The account is not assigned to the app, and the directory requires that.",
        Actor.DIRECTORY_ADMIN,
        "In Entra, under Enterprise applications, open the app and assign the user under 'Users "
        "and groups'.",
    ),
    # Consent.
    **_rows(
        "65001",
        "Consent to the app's permissions is missing or was withdrawn.",
        Actor.MAILBOX_OWNER,
        "Sign the mailbox in again on /accounts and accept the permissions. If Microsoft does not "
        "let you, an administrator grants consent in Entra.",
    ),
    **_rows(
        "65004",
        "The permissions were declined.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts and choose 'Accept' when Microsoft asks.",
    ),
    **_rows(
        "90094 90095",
        "The directory wants an administrator to approve the app.",
        Actor.DIRECTORY_ADMIN,
        "In Entra, under Enterprise applications, open the app, go to Permissions and choose "
        "'Grant admin consent'; then sign the mailbox in.",
    ),
    # The app's registration and credential.
    **_rows(
        "7000215",
        "The client secret is wrong. Often the secret's id was stored in place of its value.",
        Actor.OPERATOR,
        "Create a client secret in the app registration and store its value (not its id) in Key "
        "Vault as postroom-client-secret.",
    ),
    **_rows(
        "7000222",
        "The client secret has expired; no mailbox can send.",
        Actor.OPERATOR,
        "Create a new client secret in the app registration and store its value in Key Vault as "
        "postroom-client-secret.",
    ),
    **_rows(
        "7000218 700025",
        "The app's credential does not fit its registration.",
        Actor.OPERATOR,
        "In the app registration, under Authentication, the redirect URI must be of type 'Web' "
        "and the app must not be a public client.",
    ),
    **_rows(
        "700027 50012 50013",
        "The app's certificate or signed assertion was not accepted.",
        Actor.OPERATOR,
        "Upload the certificate to the app registration, and check the tenant and the clock.",
    ),
    **_rows(
        "70021 700213",
        "No federated credential of the app fits its managed identity.",
        Actor.OPERATOR,
        "Compare issuer, subject and audience of the federated credential with the identity. A "
        "new one takes some minutes to work.",
        Retry.LATER,
    ),
    **_rows(
        "700229",
        "The federated assertion was not a token of the managed identity.",
        Actor.OPERATOR,
        "Let the app use its user-assigned managed identity.",
    ),
    **_rows(
        "700016",
        "The app is not known in this directory.",
        Actor.OPERATOR,
        "Check POSTROOM_CLIENT_ID and POSTROOM_TENANT against the app registration's overview.",
    ),
    **_rows(
        "70001 7000112",
        "The app is missing or disabled in the directory.",
        Actor.OPERATOR,
        "In Entra, under Enterprise applications, set 'Enabled for users to sign in' to Yes.",
    ),
    **_rows(
        "90002 900023",
        "There is no such directory.",
        Actor.OPERATOR,
        "Set POSTROOM_TENANT to the directory (tenant) id from the app registration's overview.",
    ),
    **_rows(
        "50011",
        "The redirect URI differs from the one that is registered.",
        Actor.OPERATOR,
        "Register exactly the redirect URI that Postroom uses, as platform 'Web'.",
    ),
    **_rows(
        "500113 900971",
        "No redirect URI is registered for the app.",
        Actor.OPERATOR,
        "In the app registration, under Authentication, add the platform 'Web' with Postroom's "
        "redirect URI.",
    ),
    **_rows(
        "500208 50194",
        "The app registration does not admit this sort of account here.",
        Actor.OPERATOR,
        "Make POSTROOM_TENANT fit the registration's supported account types: the tenant id for "
        "one directory, 'organizations' for several, 'consumers' for personal, 'common' for all.",
    ),
    **_rows(
        "9001023",
        "This kind of sign-in cannot be used at the shared address of all directories.",
        Actor.OPERATOR,
        "Set POSTROOM_TENANT to the directory (tenant) id.",
    ),
    **_rows(
        "650052 650056 650057",
        "A permission or service is missing in the app registration or the directory.",
        Actor.OPERATOR,
        "In the app registration, under API permissions, add Microsoft Graph's delegated "
        "Mail.Send and User.Read, and grant consent.",
    ),
    **_rows(
        "70011 28002 28003 700022 9002313 900144",
        "Microsoft did not understand the request.",
        Actor.OPERATOR,
        "Check the app registration's API permissions. If they are in order this is a fault in "
        "Postroom: report it with the code.",
    ),
    # One sign-in that went astray.
    **_rows(
        "501481 50147",
        "The answer does not fit the sign-in it was sent to: two sign-ins got mixed up.",
        Actor.MAILBOX_OWNER,
        _START_AGAIN,
    ),
    **_rows(
        "54005",
        "This sign-in was finished already.",
        Actor.MAILBOX_OWNER,
        "Look at /accounts: the mailbox may be there. If not, start again.",
    ),
    **_rows(
        "700005",
        "The sign-in was begun in one directory and finished in another.",
        Actor.MAILBOX_OWNER,
        _START_AGAIN,
    ),
    # Passing trouble.
    **_rows(
        "50196",
        "Microsoft saw too many requests in a row.",
        Actor.NOBODY,
        "Wait some minutes.",
        Retry.LATER,
    ),
    **_rows(
        "50033 90006 90024 90033 90055 90090",
        "Microsoft's sign-in service has a passing problem.",
        Actor.NOBODY,
        "Wait a little and try again.",
        Retry.LATER,
    ),
}

# What the OAuth error names mean where no number that we know comes with them. Acting on the name
# is what Microsoft asks for; the numbers may change.
_BY_ERROR: dict[str, Refusal] = {
    "no_grant": Refusal(
        "no_grant", "No grant is stored for the mailbox.", Actor.MAILBOX_OWNER, _AGAIN
    ),
    "access_denied": Refusal(
        "access_denied",
        "The sign-in was cancelled or not allowed.",
        Actor.MAILBOX_OWNER,
        "Start again on /accounts. If Microsoft asked for an administrator's approval, have one "
        "grant consent in Entra first.",
    ),
    "invalid_grant": Refusal(
        "invalid_grant",
        "Microsoft does not accept the grant any more.",
        Actor.MAILBOX_OWNER,
        _AGAIN,
        Retry.ONCE,
    ),
    **{
        name: Refusal(
            name, "Microsoft wants the person to sign in again.", Actor.MAILBOX_OWNER, _AGAIN
        )
        for name in ("interaction_required", "consent_required", "login_required")
    },
    **{
        name: Refusal(
            name,
            "Microsoft refused the app's credential or registration.",
            Actor.OPERATOR,
            "Compare the app registration in Entra with Postroom's settings: client id, tenant, "
            "client secret, redirect URI (platform 'Web'), API permissions.",
        )
        for name in (
            "invalid_client",
            "unauthorized_client",
            "invalid_request",
            "invalid_resource",
            "invalid_scope",
            "invalid_tenant",
            "unsupported_grant_type",
            "unsupported_response_type",
        )
    },
    **{
        name: Refusal(
            name,
            "Microsoft's sign-in service has a passing problem.",
            Actor.NOBODY,
            "Wait a little and try again.",
            Retry.LATER,
        )
        for name in ("temporarily_unavailable", "server_error")
    },
}

_CODE = re.compile(r"AADSTS([0-9]{2,9})")
_WORD = re.compile(r"[a-z_]{1,40}")


def is_known(code: str) -> bool:
    """Whether the catalogue has its own words for a code."""
    return _known(code) is not None


def _known(code: str) -> Refusal | None:
    return CATALOGUE.get(f"AADSTS{code.removeprefix('AADSTS')}") or _BY_ERROR.get(code)


def find(code: str) -> Refusal:
    """The row for `AADSTS50173`, `50173` or an OAuth error name; a cautious one where unknown."""
    return _known(code) or Refusal(
        code,
        "Microsoft refused, with a code that Postroom does not know.",
        Actor.MAILBOX_OWNER,
        "Look the code up at https://login.microsoftonline.com/error, or start again on /accounts.",
    )


def read(error: str, description: str, numbers: tuple[int, ...] = ()) -> Refusal:
    """The row that fits an OAuth error answer.

    The number decides where the catalogue has it; else the error's name does, and the number is
    kept for people to look up. Nothing else of the description goes any further.
    """
    spelled = [f"AADSTS{number}" for number in numbers] + [
        match.group(0) for match in _CODE.finditer(description[:2000])
    ]
    for code in spelled:
        if code in CATALOGUE:
            return CATALOGUE[code]
    name = error if _WORD.fullmatch(error) else "unknown_error"
    row = find(name)
    if not spelled:
        return row
    return Refusal(spelled[0], row.meaning, row.who, row.step, row.retry)


def refused_sign_in(refusal: Refusal, *, chosen: str | None = None) -> SignInRefused:
    """The error for a sign-in that met a refusal."""
    return SignInRefused(
        refusal.meaning,
        f"{refusal.step} (Who: {refusal.who}.)",
        code=refusal.code,
        chosen=chosen,
    )
