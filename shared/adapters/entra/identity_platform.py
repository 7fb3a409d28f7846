"""Microsoft Entra through MSAL: implements `sign_in.ports.IdentityPlatform`.

MSAL is imported at first use: building its application object fetches the authority's metadata,
which must not slow down a cold start. The module works around three habits of MSAL. It caches
tokens, so each call gets an empty cache. It remembers errors for up to an hour, so that memory is
dropped after each error. It reports failures as dictionaries, so they become Postroom's errors,
without their text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from shared.adapters.entra.app_credential import AppCredential, Proof, RefusedProof
from shared.adapters.entra.token_endpoint import (
    ANSWER_SECONDS,
    TokenEndpoint,
    TokenResponse,
    shown,
)
from shared.adapters.entra.wire import Wire, tenant_in
from shared.errors import ConsentRequired, CredentialRefused, NotFinishedYet, NotSent
from shared.mail import known_errors
from shared.mail.known_errors import Actor, KnownError, SignInRejected
from shared.mail.permissions import EMAIL
from shared.services.sign_in.ports import DeviceCode, Grant

if TYPE_CHECKING:
    import msal  # type: ignore[import-untyped]
    import requests

LONGEST_DEVICE_SECONDS = 1800
DEVICE_ENDINGS = ("authorization_declined", "bad_verification_code", "expired_token")
"""Errors of a sign-in by code after which only a new sign-in helps.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code"""
_ADDED_BY_MSAL = ("openid", "profile", "offline_access")

_Answer = Mapping[str, Any]


class Entra:
    """The identity platform of one cloud, for one app registration."""

    def __init__(
        self,
        *,
        client_id: str,
        authority_host: str,
        redirect_uri: str,
        credential: AppCredential,
        graph_resource: str = "https://graph.microsoft.com",
        development: bool = False,
        ca_file: str | None = None,
    ) -> None:
        self._client_id = client_id
        self._authority_host = authority_host
        self._redirect_uri = redirect_uri
        self._credential = credential
        self._graph_resource = graph_resource
        self._development = development
        self._ca_file = ca_file
        self._tokens = TokenEndpoint(authority_host, client_id, ca_file)
        self._session: requests.Session | None = None
        self._lock = Lock()
        # MSAL's cache of each authority: it holds the metadata for a day.
        self._memories: dict[str, dict[str, object]] = {}

    def begin(
        self,
        authority: str,
        scopes: Sequence[str],
        *,
        login_hint: str | None = None,
        prompt: str | None = None,
        domain_hint: str | None = None,
    ) -> Mapping[str, object]:
        """MSAL's flow dictionary. MSAL adds PKCE (S256), state and nonce."""

        def start(app: msal.ConfidentialClientApplication) -> _Answer:
            flow: _Answer = app.initiate_auth_code_flow(
                self._long(scopes),
                redirect_uri=self._redirect_uri,
                login_hint=login_hint,
                prompt=prompt,
                domain_hint=domain_hint,
                response_mode="form_post",
            )
            return flow

        return self._ask(authority, start)

    def redeem(
        self, authority: str, flow: Mapping[str, object], answer: Mapping[str, str]
    ) -> Grant:
        """Exchange the code. Raises SignInRejected, CredentialRefused or NotSent.

        A lost answer is also NotSent: nothing is lost, because the person starts the sign-in again.
        """
        try:
            return self._granted(
                self._ask(
                    authority,
                    lambda app: app.acquire_token_by_auth_code_flow(
                        # MSAL takes the scopes from here, and compares the state with the answer.
                        dict(flow),
                        dict(answer),
                    ),
                )
            )
        except RuntimeError:
            # Not chained, here and below: MSAL's messages quote nonces and parts of tokens.
            raise SignInRejected(
                "Microsoft's confirmation belongs to another sign-in (its nonce differs).",
                "Open /accounts and start the sign-in again, in one tab.",
            ) from None
        except ConsentRequired as error:
            raise known_errors.refused_sign_in(known_errors.find(error.code)) from error

    def begin_device(self, authority: str, scopes: Sequence[str]) -> DeviceCode:
        """Ask for a code that a person types at Microsoft."""
        wanted = [*self._long(scopes), *_ADDED_BY_MSAL]
        flow = self._ask(authority, lambda app: _ask_for_device_code(app, wanted))
        return DeviceCode(
            user_code=str(flow["user_code"]),
            verification_uri=str(flow["verification_uri"]),
            device_code=str(flow["device_code"]),
            expires_in_seconds=min(int(flow["expires_in"]), LONGEST_DEVICE_SECONDS),
            interval_seconds=max(1, min(int(flow["interval"]), 60)),
        )

    def poll_device(self, authority: str, code: DeviceCode) -> Grant:
        """Ask once. An error of the device flow itself is ConsentRequired with its name."""

        def poll(app: msal.ConfidentialClientApplication) -> _Answer:
            result = _redeem_device_code(app, code.device_code)
            error = str(result.get("error", ""))
            if error in ("authorization_pending", "slow_down"):
                raise NotFinishedYet(slower=error == "slow_down")
            if error in DEVICE_ENDINGS:
                raise ConsentRequired(error, "The sign-in by code has ended.")
            return result

        return self._granted(self._ask(authority, poll))

    def refresh(self, authority: str, refresh_token: str, scopes: Sequence[str]) -> Grant:
        """Exchange a refresh token for a new grant. A lost answer is NotSent: the old token stays
        valid."""
        wanted = self._long(scopes)

        def trade(proof: Proof) -> _Answer:
            fields = shown(proof.for_msal)
            if fields is None:
                return self._answer(
                    authority,
                    proof,
                    lambda app: app.acquire_token_by_refresh_token(refresh_token, wanted),
                )
            told = self._tokens.refresh(authority, fields(), refresh_token, wanted)
            if "error" in told.result:
                raise _refusal(told.result, told)
            if not isinstance(told.result.get("access_token"), str):
                raise _unusable(told)
            return told.result

        return self._granted(self._tried(trade))

    def app_grant(self, authority: str) -> Grant:
        """Get a token with the client credentials, for everything that this directory granted to
        the app.

        https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        endpoints: list[str] = []

        def ask(app: msal.ConfidentialClientApplication) -> _Answer:
            endpoints.append(str(app.authority.token_endpoint))
            answer: _Answer = app.acquire_token_for_client(self._long([".default"]))
            return answer

        grant = self._granted(self._ask(authority, ask))
        return replace(grant, tenant_id=tenant_in(endpoints[-1]))

    def probe(self, authority: str = "common") -> None:
        """Fetch the authority's metadata, and check that there is a proof. Raises the same errors
        as the other methods."""
        self._memories.pop(authority, None)
        self._ask(authority, lambda app: {})

    def close(self) -> None:
        """Close the connections."""
        self._tokens.close()
        if self._session is not None:
            self._session.close()

    def _ask(
        self, authority: str, call: Callable[[msal.ConfidentialClientApplication], _Answer]
    ) -> _Answer:
        return self._tried(lambda proof: self._answer(authority, proof, call))

    def _tried(self, ask: Callable[[Proof], _Answer]) -> _Answer:
        """The answer of one call. The call is repeated as long as there is another proof to try."""
        proof = self._credential.proof()
        refused: list[RefusedProof] = []
        while True:
            try:
                answer = ask(proof)
            except CredentialRefused as error:
                refused.append(RefusedProof(proof, error))
                proof = self._credential.after(refused)
                continue
            if "access_token" in answer:
                self._credential.worked(proof)
            return answer

    def _answer(
        self,
        authority: str,
        proof: Proof,
        call: Callable[[msal.ConfidentialClientApplication], _Answer],
    ) -> _Answer:
        from msal.exceptions import MsalServiceError  # type: ignore[import-untyped]

        wire = Wire(self._shared_session(), self._ca_file)
        try:
            result = call(self._application(authority, proof, wire))
        except MsalServiceError as error:
            self._memories.pop(authority, None)
            raise NotSent(
                "entra",
                f"Microsoft's sign-in answered {wire.status}.",
                retry_after=wire.retry_after,
            ) from error
        except (ValueError, LookupError, TypeError):
            self._memories.pop(authority, None)
            raise _unusable(wire) from None
        except NotSent:
            self._memories.pop(authority, None)
            raise
        if "error" in result:
            self._memories.pop(authority, None)
            raise _refusal(result, wire)
        return result

    def _application(
        self, authority: str, proof: Proof, wire: Wire
    ) -> msal.ConfidentialClientApplication:
        import msal

        return msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=proof.for_msal,
            authority=f"{self._authority_host}/{authority}",
            # Microsoft's discovery service does not know a simulator's host; settings.load allows
            # such a host only in development.
            instance_discovery=False if self._development else None,
            http_client=wire,
            http_cache=self._memories.setdefault(authority, {}),
            token_cache=msal.TokenCache(),
        )

    def _shared_session(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                from shared.adapters.http.session import BoundedSession

                self._session = BoundedSession(ANSWER_SECONDS)
            return self._session

    def _long(self, scopes: Sequence[str]) -> list[str]:
        """Scopes in long form: Microsoft's answers have this form, and it names Graph without
        doubt."""
        return [scope if scope == EMAIL else f"{self._graph_resource}/{scope}" for scope in scopes]

    def _granted(self, result: _Answer) -> Grant:
        prefix = f"{self._graph_resource}/".lower()
        words = str(result.get("scope", "")).split()
        claims = result.get("id_token_claims")
        return Grant(
            access_token=str(result["access_token"]),
            refresh_token=result.get("refresh_token"),
            scopes=frozenset(
                word[len(prefix) :] if word.lower().startswith(prefix) else word for word in words
            ),
            expires_in_seconds=int(result.get("expires_in", 0)),
            id_token_claims=claims if isinstance(claims, Mapping) else None,
        )


def _ask_for_device_code(app: msal.ConfidentialClientApplication, scopes: Sequence[str]) -> _Answer:
    if not app.client.configuration.get("device_authorization_endpoint"):
        raise SignInRejected(
            "Microsoft offers no sign-in by code here.",
            "Sign the mailbox in through the browser, on /accounts.",
        )
    answer: _Answer = app.client.initiate_device_flow(scope=list(scopes))
    return answer


def _redeem_device_code(app: msal.ConfidentialClientApplication, device_code: str) -> _Answer:
    """Ask once for the result of a sign-in by code, with the application's credential.

    UNCONFIRMED, and kept to this function: that Entra lets a confidential client redeem a device
    code with its credential. MSAL offers the flow to public clients only. This function sends the
    same request plus the credential, which RFC 8628, 3.4, asks of a client that has one.
    """
    answer: _Answer = app.client.obtain_token_by_device_flow(
        {"device_code": device_code, "interval": 1},
        exit_condition=lambda flow: True,
        data={"code": device_code},
    )
    return answer


def _refusal(
    result: _Answer, wire: Wire | TokenResponse
) -> ConsentRequired | CredentialRefused | NotSent:
    """The error for an OAuth error answer."""
    numbers = result.get("error_codes")
    row = known_errors.read(
        str(result.get("error", "")),
        str(result.get("error_description", "")),
        tuple(n for n in numbers if isinstance(n, int)) if isinstance(numbers, list) else (),
    )
    throttled = wire.status == 429 or (wire.status or 0) >= 500
    if throttled or row.who is Actor.NOBODY:
        return NotSent("entra", _words(row), retry_after=wire.retry_after)
    if row.blames_the_app:
        return CredentialRefused(row.code, _words(row))
    return ConsentRequired(row.code, _words(row))


def _words(row: KnownError) -> str:
    return f"{row.meaning} ({row.code}) {row.help}"


def _unusable(wire: Wire | TokenResponse) -> NotSent | CredentialRefused:
    """The error for an answer that MSAL could not use.

    For a tenant that does not exist, Microsoft answers the request for the authority's metadata
    with a 4xx. MSAL turns that into a bare ValueError.
    """
    if wire.status is not None and 400 <= wire.status < 429:
        return CredentialRefused("AADSTS90002", _words(known_errors.find("AADSTS90002")))
    return NotSent("entra", "Microsoft's sign-in answered with something unusable.")
