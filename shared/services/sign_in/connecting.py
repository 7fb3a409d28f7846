"""Connecting the mailbox of a person who has signed in: first all checks, then the rows. After any
refusal nothing is stored."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared import telemetry
from shared.errors import (
    AnswerLost,
    ConsentRequired,
    LostRace,
    RemoteError,
    RemoteRefused,
)
from shared.mail import known_errors, permissions
from shared.mail.account import (
    DISCONNECTING,
    PERSONAL_TENANT,
    Account,
    AccountState,
    folded,
    is_allowed,
    kind_of,
)
from shared.mail.defaults import NO_DEFAULTS
from shared.mail.known_errors import SignInRejected
from shared.services.accounts.access_tokens import grant_secret
from shared.services.accounts.ports import (
    AccountRegister,
    AccountsSnapshot,
    DisconnectedMailbox,
    Profile,
)
from shared.services.accounts.registering import registered
from shared.services.accounts.releasing import released
from shared.services.clock import Clock
from shared.services.delivery.ports import MailService
from shared.services.sign_in.connecting_refusals import (
    added_already,
    linked_already,
    not_written,
    overtaken,
)
from shared.services.sign_in.identity_claims import Person, read_person
from shared.services.sign_in.ports import Grant, IdentityPlatform, SignInRequest, Vault

_SHARED_AUTHORITIES = ("organizations", "consumers")


class ConsentRules(msgspec.Struct, frozen=True):
    """What the settings say about signing in."""

    client_id: str
    tenant: str
    """The authority for new sign-ins: a tenant id, a domain, or `organizations`, `consumers`,
    `common`."""
    authority_host: str
    allowed_mailboxes: tuple[str, ...] = ()


class Connecting:
    """Turns a grant into a connected account."""

    def __init__(
        self,
        *,
        rules: ConsentRules,
        identity: IdentityPlatform,
        mail_service: MailService,
        vault: Vault,
        accounts: AccountRegister,
        clock: Clock,
        released: Callable[[Account], int] = lambda account: 0,
        connected: Callable[[Account, str], None] = lambda account, access_token: None,
        new_account_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`linked` is called with each account that was connected and an access token of it, before
        its held mails are released."""
        self._rules = rules
        self._identity = identity
        self._mail_service = mail_service
        self._vault = vault
        self._accounts = accounts
        self._clock = clock
        self._released = released
        self._connected = connected
        self._new_account_id = new_account_id

    def link(self, sign_in_request: SignInRequest, grant: Grant) -> Account:
        """Check whose grant it is and that it works, connect the mailbox, release its held mails.
        Raises SignInRejected, CredentialRefused or NotSent; then no mailbox is connected."""
        person = read_person(
            grant.id_token_claims, sign_in_request.authority, self._rules, self._clock()
        )
        self._check_grant(grant, person)
        profile = self._profile(grant, person)
        self._check_mailbox(sign_in_request, person, profile)
        authority = _authority_of(sign_in_request, person)
        newer = self._test_refresh(authority, grant, profile)
        return self._enter(sign_in_request, person, profile, authority, newer)

    def _check_grant(self, grant: Grant, person: Person) -> None:
        if not grant.refresh_token:
            raise SignInRejected(
                "Microsoft gave no refresh token, so Postroom could send for an hour only.",
                "In the app registration, under API permissions, allow Microsoft Graph's delegated "
                "offline_access, and register the redirect URI as platform 'Web'. Then start "
                "again.",
                chosen=person.label,
            )
        if "Mail.Send" not in grant.scopes:
            raise SignInRejected(
                "The permission to send mail (Mail.Send) was not granted.",
                "In the app registration, under API permissions, add Microsoft Graph's delegated "
                "Mail.Send; accept it when Microsoft asks. Then start again.",
                chosen=person.label,
            )

    def _profile(self, grant: Grant, person: Person) -> Profile:
        try:
            profile = self._mail_service.me(grant.access_token)
        except RemoteRefused as error:
            raise SignInRejected(
                "Microsoft Graph would not say whose mailbox it is.",
                "In the app registration, under API permissions, add Microsoft Graph's delegated "
                "User.Read. Then start again.",
                chosen=person.label,
            ) from error
        if not _same_object(profile.object_id, person.object_id):
            raise SignInRejected(
                "Microsoft's sign-in and Microsoft Graph name two different accounts.",
                "Sign out at Microsoft, then start again.",
                chosen=profile.address,
            )
        return profile

    def _check_mailbox(
        self, sign_in_request: SignInRequest, person: Person, profile: Profile
    ) -> None:
        chosen = profile.address
        expected = sign_in_request.expected_address
        if not chosen:
            raise SignInRejected(
                "Microsoft knows no address for the account that was chosen: it has no mailbox.",
                "Choose an account with a mailbox, or assign it a licence with Exchange Online.",
                chosen=person.label,
            )
        if expected and folded(expected) != folded(chosen):
            raise SignInRejected(
                f"The account that was chosen is {chosen}, not {expected}.",
                f"Choose the account {expected}. If {chosen} is right, start again with that "
                "address.",
                chosen=chosen,
            )
        if (
            sign_in_request.expected_object_id
            and sign_in_request.expected_object_id != person.object_id
        ):
            raise SignInRejected(
                f"The account that was chosen ({chosen}) has another object id than the one that "
                "is expected.",
                "Choose the account whose object id Entra shows as "
                f"{sign_in_request.expected_object_id}, or start again with the right id.",
                chosen=chosen,
            )
        if not is_allowed(chosen, person.tenant_id, self._rules.allowed_mailboxes):
            raise SignInRejected(
                f"{chosen} is not among the mailboxes that may be connected here.",
                "Choose another account, or have whoever runs Postroom add the address, its "
                "domain or its directory's id to POSTROOM_ALLOWED_MAILBOXES.",
                chosen=chosen,
            )
        self._existing(self._accounts.snapshot(), sign_in_request, person, chosen)

    def _existing(
        self,
        snapshot: AccountsSnapshot,
        sign_in_request: SignInRequest,
        person: Person,
        chosen: str,
    ) -> Account | None:
        """The account that has the alias, if any. Raises SignInRejected if the alias or the mailbox
        belongs to another account."""
        for row in snapshot.accounts:
            if row.alias != sign_in_request.alias and _is_theirs(row, person, chosen):
                raise linked_already(row, chosen)
        existing = snapshot.accounts.by_alias(sign_in_request.alias)
        if existing and existing.reason == DISCONNECTING:
            raise SignInRejected(
                f"'{sign_in_request.alias}' is being disconnected, and that did not come to its end.",
                f"Open /accounts/{sign_in_request.alias}/disconnect and disconnect it once more; then sign the "
                "mailbox in.",
                chosen=chosen,
            )
        if existing and not existing.kind.is_signed_in and not sign_in_request.replace:
            raise added_already(existing, chosen)
        if existing and not person.owns(existing) and not sign_in_request.replace:
            raise SignInRejected(
                f"'{sign_in_request.alias}' is the mailbox {existing.address}; {chosen} is another one.",
                f"Choose the account {existing.address}, or start again and tick 'Put another "
                "mailbox under this alias'.",
                chosen=chosen,
            )
        return existing

    def _test_refresh(self, authority: str, grant: Grant, profile: Profile) -> Grant:
        """One refresh, made in the same way as all later ones. Grants of personal accounts from
        `common` have been seen to fail at the first refresh there. It is better to find this now
        than in an hour."""
        try:
            scopes = sorted(grant.scopes & permissions.ALL)
            newer = self._identity.refresh(authority, str(grant.refresh_token), scopes)
        except ConsentRequired as error:
            raise known_errors.refused_sign_in(
                known_errors.find(error.code), chosen=profile.address
            ) from error
        return replace(newer, refresh_token=newer.refresh_token or grant.refresh_token)

    def _enter(
        self,
        sign_in_request: SignInRequest,
        person: Person,
        profile: Profile,
        authority: str,
        grant: Grant,
    ) -> Account:
        snapshot = self._accounts.snapshot()
        existing = self._existing(snapshot, sign_in_request, person, profile.address)
        same = existing if existing and person.owns(existing) else None
        # Another mailbox gets another id. A token of the old mailbox, which an instance may have in
        # memory, can then never be used for the new one.
        account_id = same.account_id if same else None
        if existing is None:
            # It was disconnected and is connected again: the mails that waited belong to it.
            account_id = next(
                (
                    gone.account_id
                    for gone in snapshot.disconnected
                    if _had(gone, sign_in_request, person)
                ),
                None,
            )
        account_id = account_id or self._new_account_id()
        account = Account(
            alias=sign_in_request.alias,
            account_id=account_id,
            tenant_id=person.tenant_id,
            object_id=person.object_id,
            address=profile.address,
            display_name=profile.display_name,
            kind=kind_of(person.tenant_id),
            authority=authority,
            scopes=grant.scopes & permissions.ALL,
            state=AccountState.READY,
            signed_in_at=self._clock(),
            grant=self._new_account_id(),
        )
        self._store(account, grant)
        try:
            account = self._enrol(account, existing, sign_in_request, person)
        except SignInRejected:
            self._drop_unused(account)
            raise
        if existing:
            self._drop_grant(existing)
        self._connected(account, grant.access_token)
        released = self._release(account)
        telemetry.event(
            "account_signed_in", account=account.alias, kind=account.kind, released=released
        )
        return account

    def _store(self, account: Account, grant: Grant) -> None:
        try:
            self._vault.set(grant_secret(account), str(grant.refresh_token))
        except RemoteError as error:
            if isinstance(error, AnswerLost):
                self._drop_unused(account)
            raise SignInRejected(
                f"The mailbox was signed in, but Key Vault did not take the grant: {error}",
                "Give the app's identity the right to read and set secrets in the vault, or wait "
                "until the vault answers; then start again. Nothing was connected.",
                chosen=account.address,
            ) from error

    def _drop_grant(self, account: Account) -> None:
        """Remove a grant from the vault that no account uses any more."""
        try:
            self._vault.remove(grant_secret(account))
        except RemoteError:
            # The app may not be allowed to delete. Nobody can use the secret without the app.
            telemetry.event("unused_grant_kept", level=logging.WARNING, account=account.alias)

    def _drop_unused(self, account: Account) -> None:
        """Remove the grant of a rejected sign-in, unless a row uses it."""
        try:
            used = any(row.grant == account.grant for row in self._accounts.snapshot().accounts)
        except RemoteError:
            # The person reads that no mailbox was connected, and starts again.
            used = False
        if not used:
            self._drop_grant(account)

    def _enrol(
        self, account: Account, seen: Account | None, sign_in_request: SignInRequest, person: Person
    ) -> Account:
        expected = (seen.account_id if seen else None, account.account_id)

        def row_on(snapshot: AccountsSnapshot) -> Account:
            existing = self._existing(snapshot, sign_in_request, person, account.address)
            # The sign-in that replaces a row removes the row's grant. It read that row when it
            # began, so it never removes a grant that is used again later.
            if (existing.account_id if existing else None) not in expected:
                raise overtaken(existing, account, person)
            same = existing is not None and person.owns(existing)
            return replace(
                account,
                allowed_from=existing.allowed_from if existing and same else (),
                defaults=existing.defaults if existing and same else NO_DEFAULTS,
                is_default=existing.is_default if existing else not snapshot.accounts,
                etag=existing.etag if existing else None,
            )

        try:
            return registered(self._accounts, row_on)
        except (RemoteError, LostRace) as error:
            raise not_written(account) from error

    def _release(self, account: Account) -> int:
        return released(
            account,
            lambda: self._accounts.snapshot().accounts.reached_through(account),
            self._released,
        )


def _had(gone: DisconnectedMailbox, sign_in_request: SignInRequest, person: Person) -> bool:
    mailbox = (gone.tenant_id.lower(), gone.object_id.lower())
    return gone.alias == sign_in_request.alias and mailbox == (person.tenant_id, person.object_id)


def _authority_of(sign_in_request: SignInRequest, person: Person) -> str:
    """The authority that refreshes the grant: where it was given, as far as that is one place.
    Personal accounts need the authority at which they signed in (entra-oauth, 2.6). Of a directory
    the id is kept, because its domains may change."""
    if sign_in_request.authority in _SHARED_AUTHORITIES:
        return sign_in_request.authority
    return "consumers" if person.tenant_id == PERSONAL_TENANT else person.tenant_id


def _same_object(graph_id: str, token_id: str) -> bool:
    """Whether Graph's id and the token's `oid` name the same user.

    UNCONFIRMED, and kept to this function: Graph is said to give a personal account's id as the
    last 16 hexadecimal digits of the `oid`. All digits before them are zero.
    """
    graph, token = graph_id.replace("-", "").lower(), token_id.replace("-", "").lower()
    return bool(graph) and (graph == token or (len(graph) == 16 and token == graph.rjust(32, "0")))


def _is_theirs(row: Account, person: Person, address: str) -> bool:
    """Whether an account is the person's mailbox. An account that was added without reading the
    directory has no object id; then the addresses are compared."""
    if row.object_id:
        return person.owns(row)
    return row.tenant_id.lower() == person.tenant_id and row.owns(address)
