"""Mutations of what keeps strangers out and secrets in: sign-in, session, telemetry."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, unit

_CLAIMS = "shared/services/sign_in/identity_claims.py"
_CONSENT = "shared/services/sign_in/authorization_code.py"
_LINKING = "shared/services/sign_in/connecting.py"

SIGN_IN = (
    Mutation(
        "state-is-not-compared",
        _CONSENT,
        "if not state or not hmac.compare_digest("
        'state.encode(), answer.get("state", "").encode()):',
        "if not state:",
        "An answer with another state belongs to another sign-in, and is refused.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "wrong-nonce-is-an-internal-error",
        "shared/adapters/entra/identity_platform.py",
        "        except RuntimeError:\n",
        "        except ZeroDivisionError:\n",
        "An id token with another nonce is refused, in words that hold no part of a token.",
        ("tests/contract/test_entra_adapter.py",),
    ),
    Mutation(
        "pkce-verifier-is-not-sent",
        "shared/adapters/entra/identity_platform.py",
        "                        dict(flow),\n",
        '                        {**flow, "code_verifier": None},\n',
        "The code is redeemed with the verifier of the sign-in that asked for it (PKCE).",
        ("tests/contract/test_entra_adapter.py",),
    ),
    Mutation(
        "another-directory-signs-in",
        _CLAIMS,
        "(bool(GUID.fullmatch(authority)) and tenant != authority)",
        "(bool(GUID.fullmatch(authority)) and not tenant)",
        "Only accounts of the configured directory are connected.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "token-of-another-issuer",
        _CLAIMS,
        'if claims.get("iss") != f"{expected.authority_host}/{tenant}/v2.0":',
        'if not claims.get("iss"):',
        "The id token comes from the authority that was asked.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "token-for-another-application",
        _CLAIMS,
        'if claims.get("aud") != expected.client_id:',
        'if not claims.get("aud"):',
        "The id token is meant for this app registration.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "expired-token-is-taken",
        _CLAIMS,
        "<= moment < ends + CLOCK_SKEW_SECONDS",
        "<= moment",
        "An id token that has expired is refused.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "issuer-of-the-answer-is-not-checked",
        _CONSENT,
        '_check_issuer(answer.get("iss"), self._rules.authority_host)',
        "_check_issuer(None, self._rules.authority_host)",
        "A code that another issuer sent goes nowhere (RFC 9207).",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "sign-in-is-finished-twice",
        _CONSENT,
        "        if expires_at is None:\n"
        '            raise _stale("This sign-in was finished already, or it was not begun here.")\n',
        "        expires_at = expires_at or flow.expires_at\n",
        "A sign-in is finished once.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "any-mailbox-is-the-expected-one",
        _LINKING,
        "if expected and folded(expected) != folded(chosen):",
        "if expected and not chosen:",
        "A sign-in that expects one mailbox links no other.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "allow-list-admits-subdomains",
        "shared/mail/account.py",
        'or entry.removeprefix("@") == domain',
        'or domain.endswith(entry.removeprefix("@"))',
        "The allow-list admits the domains that it names, and no others.",
        unit("mail/test_account", "services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "token-and-profile-of-two-people",
        _LINKING,
        "return bool(graph) and (graph == token or",
        "return bool(graph) and (bool(token) or",
        "The mailbox that Graph names is the one of the person who signed in.",
        unit("services/sign_in/test_authorization_code"),
    ),
    Mutation(
        "session-never-ends",
        "shared/web/auth/session.py",
        'return self._clock().timestamp() < int(content.partition(b":")[0])',
        'return self._clock().timestamp() > 0 or int(content.partition(b":")[0]) > 0',
        "A session ends after its lifetime.",
        unit("web/auth/test_session"),
    ),
    Mutation(
        "page-without-a-session",
        "shared/web/pages/guard.py",
        "        if not sessions.is_open(req):\n",
        "        if sessions is None:\n",
        "A page is shown only to those who have a session.",
        unit("web/pages/test_adding"),
    ),
    Mutation(
        "form-of-another-site",
        "shared/web/auth/same_origin.py",
        "if not (same_site and same_origin):",
        "if not (same_site or same_origin):",
        "A change comes from a page of our own.",
        unit("web/auth/test_same_origin"),
    ),
    Mutation(
        "one-key-for-all-purposes",
        "shared/web/auth/signing.py",
        'f"postroom {purpose} v1".encode()',
        'f"postroom {purpose and 0} v1".encode()',
        "A token made for one purpose is worth nothing for another.",
        unit("web/auth/test_signing"),
    ),
)

TELEMETRY = (
    Mutation(
        "any-fact-is-logged",
        "shared/telemetry.py",
        "    if unknown:\n",
        "    if unknown and not name:\n",
        "Only the facts on the list are logged.",
        unit("test_telemetry"),
    ),
    Mutation(
        "values-show-everything",
        "shared/discreet.py",
        "for n in self.__struct_fields__ if n not in self.unshown",
        "for n in self.__struct_fields__",
        "A value in a log or traceback shows no content, key or token.",
        unit("test_discreet"),
    ),
    Mutation(
        "log-line-holds-the-exceptions-text",
        "shared/telemetry.py",
        'return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-6:]))',
        'return " < ".join(f"{Path(f.filename).name}:{error}" for f in reversed(frames[-6:]))',
        "An unexpected exception is logged by its place, without its text.",
        ("tests/functional/test_send.py",),
    ),
    Mutation(
        "masked-recipient-is-shown",
        "shared/mail/shown_recipients.py",
        'return f"{local[:1]}***@{domain}"',
        'return f"{local}***@{domain}"',
        "With POSTROOM_MASK_LEDGER the ledger keeps no whole address.",
        unit("services/intake/test_submission"),
    ),
)

MUTATIONS = (*SIGN_IN, *TELEMETRY)
