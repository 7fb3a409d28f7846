"""Signs people in: the browser's sessions, the account page, the second factor.

A session stores home accounts; the account at an endpoint is looked up each time.
"""

from __future__ import annotations

import re
from dataclasses import replace

from local.simulator.directory import User
from local.simulator.entra.errors import EntraError
from local.simulator.entra.policy import Rules, Strength
from local.simulator.entra.sessions import Sessions
from local.simulator.entra.sign_in import SentBack, SignIn
from local.simulator.entra.state import EntraState

WRONG_CODE = "000000"
"""The one code that is refused (500121), so that a person can see the refusal."""
_CODE = re.compile(r"[0-9]{6}")


class Authentication:
    """Leads a sign-in to a user who meets all requirements of the organisation."""

    def __init__(self, entra: EntraState, sessions: Sessions) -> None:
        self._entra = entra
        self._sessions = sessions

    def silently(self, sign_in: SignIn, session: str) -> bool:
        """Use the browser's session, if the request allows that and the account is clear."""
        if sign_in.prompt & {"login", "select_account", "create"}:
            return False
        known = self._usable(sign_in, session)
        if len(known) == 1:
            try:
                return self._from_session(sign_in, *known[0])
            except EntraError as error:
                if "none" in sign_in.prompt and sign_in.back:
                    raise _for_application(error, sign_in) from error
                return False
        if "none" in sign_in.prompt and sign_in.back:
            raise SentBack(EntraError(16000 if known else 50058), sign_in.back)
        return False

    def choose(self, sign_in: SignIn, address: str, session: str) -> None:
        """An account was chosen; the password counts as given. Raises EntraError."""
        address = address.strip()
        found = self._entra.directory.find(address) if address else None
        if found is not None and address.lower() != found.address.lower():
            # Only the sign-in name can sign in, not another address of the mailbox.
            found = None
        rules = self._entra.principals.admit(found, address, sign_in.tenant)
        rules.check_person()
        rules.check_access(device_code=sign_in.purpose == "device")
        known = self._sessions.of(session).get(rules.home.object_id)
        now = int(self._entra.clock.time())
        sign_in.rules = rules
        sign_in.strength = Strength(now, known.mfa_time if known else None)
        self._complete(sign_in, session)

    def missing_factor(self, sign_in: SignIn) -> int | None:
        """The AADSTS number for what is missing of multi-factor authentication; None if nothing
        is."""
        rules = sign_in.rules
        if rules is None or sign_in.user is not None:
            return None
        missing = rules.missing_factor(sign_in.strength, self._entra.clock.time())
        if missing is None and sign_in.step_up and sign_in.strength.mfa_time is None:
            return 50076 if rules.home.mfa_registered else 50079
        return missing

    def enrol(self, sign_in: SignIn) -> None:
        """The person registered a second factor."""
        if sign_in.rules is not None:
            sign_in.rules.home.mfa_registered = True

    def verify(self, sign_in: SignIn, code: str, session: str) -> None:
        """A code was typed: any six digits but WRONG_CODE. Raises EntraError 500121."""
        code = code.replace(" ", "")
        if not _CODE.fullmatch(code) or code == WRONG_CODE or self.missing_factor(sign_in) == 50079:
            raise EntraError(500121)
        now = int(self._entra.clock.time())
        sign_in.strength = replace(sign_in.strength, mfa_time=now)
        self._complete(sign_in, session)

    def accounts(self, sign_in: SignIn) -> list[User]:
        """The accounts that are offered, the hinted one first. `domain_hint` narrows the list."""
        offered = [u for u in self._entra.directory if u.kind not in ("shared", "guest")]
        if sign_in.domain_hint:
            offered = [user for user in offered if _in_domain(user, sign_in.domain_hint)] or offered
        hint = sign_in.login_hint.lower()
        return sorted(offered, key=lambda user: user.address.lower() != hint)

    def _complete(self, sign_in: SignIn, session: str) -> None:
        if sign_in.rules is None or self.missing_factor(sign_in) is not None:
            return
        sign_in.user = sign_in.rules.user
        self._sessions.sign_in(session, sign_in.rules.home.object_id, sign_in.strength)

    def _from_session(self, sign_in: SignIn, rules: Rules, strength: Strength) -> bool:
        rules.check_access(device_code=sign_in.purpose == "device")
        sign_in.rules, sign_in.strength = rules, strength
        missing = self.missing_factor(sign_in)
        if missing is None:
            sign_in.user = rules.user
        elif "none" in sign_in.prompt:
            raise EntraError(missing, claims=rules.claims())
        return True

    def _usable(self, sign_in: SignIn, session: str) -> list[tuple[Rules, Strength]]:
        now = self._entra.clock.time()
        usable = []
        for home_id, strength in self._sessions.of(session).items():
            home = self._entra.directory.find(home_id)
            old = sign_in.max_age is not None and now - strength.auth_time > sign_in.max_age
            hint = sign_in.login_hint.lower()
            if home is None or old or (hint and hint != home.address.lower()):
                continue
            try:
                rules = self._entra.principals.admit(home, home.address, sign_in.tenant)
            except EntraError:
                # An account that this endpoint refuses counts as not signed in.
                continue
            if not rules.is_too_old(strength, now):
                usable.append((rules, strength))
        return usable


def _for_application(error: EntraError, sign_in: SignIn) -> SentBack:
    """`prompt=none` may show no page, so the error goes to the application (OpenID Connect Core
    3.1.2.6)."""
    if sign_in.back is None:
        raise error
    told = EntraError(error.code, error="interaction_required", claims=error.claims)
    told.text = error.text
    return SentBack(told, sign_in.back)


def _in_domain(user: User, hint: str) -> bool:
    hint = hint.lower()
    if hint in ("organizations", "consumers"):
        return (user.kind == "personal") == (hint == "consumers")
    return user.address.lower().endswith("@" + hint)
