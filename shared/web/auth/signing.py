"""Signs and seals the data that browsers store for Postroom.

Each purpose has its own key, derived from the vault secret `postroom-session-key`, so that a token
for one purpose is invalid for another. The secret may hold several keys, one on each line, the
newest first: the first key signs, all keys verify. To rotate the key, put a new line on top. Any
instance can read what another one wrote.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock

from shared.errors import RemoteError
from shared.services.clock import Clock
from shared.services.sign_in.ports import Vault

KEY_SECRET = "postroom-session-key"  # noqa: S105 - its name in the vault
READ_AGAIN_AFTER = timedelta(seconds=60)
"""How often, at most, a token of an unknown key makes Postroom read the vault again."""
TROUBLE_FOR = timedelta(seconds=5)
"""How long a vault that could not be read is not asked again: each try may take many seconds."""
_MAC_BYTES = 32
_NONCE_BYTES = 12


class Purpose(StrEnum):
    """The purpose of a token: the salt of its key."""

    SESSION = "session"
    FLOW = "flow"
    NOTICE = "notice"
    DEVICE = "device"
    SEARCH = "search"


class Keys:
    """The keys of all instances, read from the vault at first use and made if there are none."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock
        self._lock = Lock()
        self._known: tuple[str, ...] = ()
        self._read_at: datetime | None = None
        self._trouble: RemoteError | None = None
        self._trouble_until: datetime | None = None

    def known(self) -> tuple[str, ...]:
        """The keys, newest first. Raises NotSent or RemoteRefused if the vault cannot be read.

        Anybody can cause this call, so threads wait only for the very first answer. While the vault
        fails, one thread at a time asks it, and the others get the known error at once.
        """
        if self._known:
            return self._known
        trouble = self._trouble
        if trouble is None:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            raise trouble.with_traceback(None)
        try:
            if not self._known:
                if self._trouble and self._trouble_until and self._clock() < self._trouble_until:
                    raise self._trouble.with_traceback(None)
                self._read()
            return self._known
        finally:
            self._lock.release()

    def read_again(self) -> bool:
        """Read the vault again, unless that was done just before. Returns whether there is a new
        key."""
        if not self._lock.acquire(blocking=self._trouble is None):
            return False
        try:
            now = self._clock()
            if self._read_at is not None and now - self._read_at < READ_AGAIN_AFTER:
                return False
            before = self._known
            self._read()
            return self._known != before
        finally:
            self._lock.release()

    def _read(self) -> None:
        self._read_at = self._clock()
        try:
            self._known = self._newest()
        except RemoteError as error:
            self._trouble, self._trouble_until = error, self._clock() + TROUBLE_FOR
            raise
        self._trouble = self._trouble_until = None

    def _newest(self) -> tuple[str, ...]:
        """The vault's keys, then those that were known before."""
        known = self._known
        stored = self._vault.get(KEY_SECRET)
        if stored is None or not stored.value.split():
            made = secrets.token_urlsafe(32)
            self._vault.set(KEY_SECRET, made)
            # Two instances may do this at the same time: the newest key in the vault signs.
            stored = self._vault.get(KEY_SECRET)
            known = (made,)
        newest = tuple(stored.value.split()) if stored else ()
        return (*newest, *(key for key in known if key not in newest))[:8]


def sign(keys: Keys, purpose: Purpose, content: bytes) -> str:
    """A token that everybody can read, but only Postroom can make or change."""
    mac = _mac(keys.known()[0], purpose, content)
    return f"{_text(content)}.{_text(mac)}"


def verify(keys: Keys, purpose: Purpose, token: str) -> bytes | None:
    """The content of a token made by `sign` for the same purpose, else None."""
    head, _, tail = token.partition(".")
    content, mac = _bytes(head), _bytes(tail)
    if content is None or mac is None or len(mac) != _MAC_BYTES:
        return None
    signed = content

    def check(key: str) -> bytes | None:
        # In constant time: the duration tells a forger nothing about a wrong token.
        return signed if hmac.compare_digest(_mac(key, purpose, signed), mac) else None

    return _with_any(keys, check)


def seal(keys: Keys, purpose: Purpose, content: bytes, context: str) -> str:
    """A token that only Postroom can read (AES-256-GCM); it opens only in the same context."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE_BYTES)
    cipher = AESGCM(_derived(keys.known()[0], purpose))
    return _text(nonce + cipher.encrypt(nonce, content, context.encode()))


def unseal(keys: Keys, purpose: Purpose, token: str, context: str) -> bytes | None:
    """The content that `seal` got for the same purpose and context, else None."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = _bytes(token)
    if sealed is None or len(sealed) < _NONCE_BYTES + 16:
        return None
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]

    def attempt(key: str) -> bytes | None:
        try:
            return AESGCM(_derived(key, purpose)).decrypt(nonce, rest, context.encode())
        except InvalidTag:
            return None

    return _with_any(keys, attempt)


def _with_any(keys: Keys, attempt: Callable[[str], bytes | None]) -> bytes | None:
    for key in keys.known():
        found = attempt(key)
        if found is not None:
            return found
    return _with_any(keys, attempt) if keys.read_again() else None


def _derived(key: str, purpose: Purpose) -> bytes:
    return hmac.new(key.encode(), f"postroom {purpose} v1".encode(), hashlib.sha256).digest()


def _mac(key: str, purpose: Purpose, content: bytes) -> bytes:
    return hmac.new(_derived(key, purpose), content, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
