"""Postroom's settings. No other module reads the environment.

`docs/settings.md` describes each one; a test compares the names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.discreet import Discreet
from shared.errors import ConfigurationError
from shared.mail.guid import TYPED_GUID

CALLBACK_PATH = "/api/auth/callback"

# Authority hosts of the public and the national clouds, each with its Graph host.
# https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
MICROSOFT_CLOUDS = {
    "login.microsoftonline.com": "graph.microsoft.com",
    "login.microsoftonline.us": "graph.microsoft.us",
    "login.partner.microsoftonline.cn": "microsoftgraph.chinacloudapi.cn",
}
VAULT_SUFFIXES = (".vault.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn")

CREDENTIALS = ("secret", "certificate", "managed-identity")
UNKNOWN = ("leave", "send-again")
LOOK_AFTER_SECONDS = (5, 15, 60, 300, 900)
LEAST_RETENTION_DAYS = 8
"""A queue message lives for seven days unless its writer sets another time, and Postroom recognises
a redelivery by the row of its mail."""

_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,253}")
_WITH_NAMES = re.compile(r"[<>\"]")


class StorageSettings(Discreet, frozen=True):
    """How to reach storage: a connection string in development, service URLs and an identity in
    Azure."""

    unshown: ClassVar = frozenset({"connection_string"})

    connection_string: str | None = None
    queue_url: str | None = None
    table_url: str | None = None
    blob_url: str | None = None
    identity_client_id: str | None = None


class Settings(msgspec.Struct, frozen=True):
    """All settings. Durations are in seconds, sizes in bytes."""

    tenant: str
    client_id: str
    vault_url: str
    redirect_uri: str
    storage: StorageSettings
    authority_host: str = "https://login.microsoftonline.com"
    graph_url: str = "https://graph.microsoft.com/v1.0"
    allowed_mailboxes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    """The addresses to which the watch writes."""
    identity_client_id: str | None = None
    credential: str = "secret"
    development: bool = False
    ca_file: str | None = None
    lease_seconds: int = 300
    send_timeout_seconds: int = 100
    give_up_after_seconds: int = 48 * 3600
    max_attempts: int = 30
    mails_per_minute: int = 30
    """The pace of each mailbox; 0 means no limit."""
    max_request_bytes: int = 32 * 1024 * 1024
    max_mail_bytes: int = 35 * 1024 * 1024
    unknown: str = "leave"
    look_after_seconds: tuple[int, ...] = LOOK_AFTER_SECONDS
    mask_ledger: bool = False
    retention_days: int = 90
    keep_payload_days: int = 30
    session_seconds: int = 8 * 3600
    worker_threads: int = 5
    """How many functions one process runs at a time."""

    @property
    def graph_resource(self) -> str:
        """The resource of the scopes: `https://graph.microsoft.com`, or a national cloud's Graph.

        The tokens of the local stack are for the public cloud, whatever its own address is.
        """
        host = _parts(self.graph_url).hostname or ""
        known = host in MICROSOFT_CLOUDS.values()
        return f"https://{host}" if known else "https://graph.microsoft.com"


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting.

    Raises ConfigurationError, which names all missing and wrong settings at once, but no value.
    """
    reader = _Reader(environ)
    development = reader.flag("POSTROOM_DEVELOPMENT")
    settings = Settings(
        tenant=_tenant(reader),
        client_id=reader.matching("POSTROOM_CLIENT_ID", TYPED_GUID, "the application (client) id"),
        vault_url=_vault_url(reader, development),
        redirect_uri=_redirect_uri(reader),
        storage=_storage(reader),
        authority_host=_microsoft_url(
            reader,
            "POSTROOM_AUTHORITY_HOST",
            "https://login.microsoftonline.com",
            MICROSOFT_CLOUDS.keys(),
            development,
        ),
        graph_url=_microsoft_url(
            reader,
            "POSTROOM_GRAPH_URL",
            "https://graph.microsoft.com/v1.0",
            MICROSOFT_CLOUDS.values(),
            development,
        ),
        allowed_mailboxes=reader.mailboxes("POSTROOM_ALLOWED_MAILBOXES"),
        operators=reader.addresses("POSTROOM_OPERATORS"),
        identity_client_id=reader.text("POSTROOM_IDENTITY_CLIENT_ID"),
        credential=reader.one_of("POSTROOM_CREDENTIAL", CREDENTIALS),
        development=development,
        ca_file=reader.text("POSTROOM_CA_FILE") if development else None,
        lease_seconds=reader.whole("POSTROOM_LEASE_SECONDS", 300, 30, 3600),
        send_timeout_seconds=reader.whole("POSTROOM_SEND_TIMEOUT_SECONDS", 100, 1, 240),
        give_up_after_seconds=reader.whole("POSTROOM_GIVE_UP_AFTER_HOURS", 48, 1, 720) * 3600,
        max_attempts=reader.whole("POSTROOM_MAX_ATTEMPTS", 30, 1, 1000),
        mails_per_minute=reader.whole("POSTROOM_MAILS_PER_MINUTE", 30, 0, 10_000),
        max_request_bytes=reader.whole(
            "POSTROOM_MAX_REQUEST_BYTES", 32 * 1024 * 1024, 64 * 1024, 100 * 1024 * 1024
        ),
        # Exchange Online's message size limit is 35 MB. An administrator can raise it to 150 MB of
        # files, which are 205 MB in base64.
        # https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
        max_mail_bytes=reader.whole(
            "POSTROOM_MAX_MAIL_BYTES", 35 * 1024 * 1024, 64 * 1024, 210 * 1024 * 1024
        ),
        unknown=reader.one_of("POSTROOM_UNKNOWN", UNKNOWN),
        look_after_seconds=reader.seconds("POSTROOM_LOOK_AFTER_SECONDS", LOOK_AFTER_SECONDS),
        retention_days=reader.whole("POSTROOM_RETENTION_DAYS", 90, LEAST_RETENTION_DAYS, 3650),
        keep_payload_days=reader.whole("POSTROOM_KEEP_PAYLOAD_DAYS", 30, 1, 3650),
        mask_ledger=reader.flag("POSTROOM_MASK_LEDGER"),
        session_seconds=reader.whole("POSTROOM_SESSION_HOURS", 8, 1, 24) * 3600,
        # The platform's own setting and its default.
        # https://learn.microsoft.com/azure/azure-functions/python-scale-performance-reference
        worker_threads=reader.whole(
            "PYTHON_THREADPOOL_THREAD_COUNT", min(32, (os.cpu_count() or 1) + 4), 1, 1000
        ),
    )
    if settings.send_timeout_seconds >= settings.lease_seconds:
        reader.fault("POSTROOM_LEASE_SECONDS", "must be longer than POSTROOM_SEND_TIMEOUT_SECONDS")
    if settings.credential == "managed-identity" and settings.identity_client_id is None:
        reader.fault(
            "POSTROOM_IDENTITY_CLIENT_ID",
            "is missing: only a user-assigned identity can be used, so give its client id",
        )
    reader.finish()
    return settings


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._faults: list[str] = []

    def fault(self, name: str, remedy: str) -> None:
        self._faults.append(f"{name} {remedy}")

    def finish(self) -> None:
        if self._faults:
            raise ConfigurationError(self._faults)

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(
            w.lower() for w in re.split(r"[\s,;]+", self._environ.get(name, "")) if w.strip()
        )

    def addresses(self, name: str) -> tuple[str, ...]:
        """Addresses, with or without names; addresses without names may also be separated by
        spaces."""
        text = self.text(name)
        if text is None:
            return ()
        if not _WITH_NAMES.search(text):
            text = ", ".join(self.words(name))
        return self._emails(name, text)

    def mailboxes(self, name: str) -> tuple[str, ...]:
        """Addresses (with or without names), domains and tenant ids."""
        text = self.text(name) or ""
        if not _WITH_NAMES.search(text):
            found = self.words(name)
        else:
            pieces = [piece.strip() for piece in re.split(r"[,;\n]+", text) if piece.strip()]
            plain = tuple(piece.lower() for piece in pieces if not _WITH_NAMES.search(piece))
            named = ", ".join(piece for piece in pieces if _WITH_NAMES.search(piece))
            found = (*self._emails(name, named), *plain)
        shapes = (_ADDRESS, _DOMAIN, TYPED_GUID)
        bare = [word.removeprefix("@") for word in found]  # a domain may be written as @contoso.com
        if not all(any(shape.fullmatch(word) for shape in shapes) for word in bare):
            self.fault(name, "must be addresses, domains and tenant ids, with commas between them")
        return found

    def _emails(self, name: str, text: str) -> tuple[str, ...]:
        from shared.mail.address import BadAddress
        from shared.mail.address_list import read_list

        try:
            return tuple(address.email.lower() for address in read_list(" ".join(text.split())))
        except BadAddress as error:
            self.fault(name, f"must be addresses such as ops@contoso.com: it {error}")
            return ()

    def matching(self, name: str, pattern: re.Pattern[str], what: str) -> str:
        value = self.text(name)
        if value is None:
            self.fault(name, f"is missing: set it to {what}")
        elif not pattern.fullmatch(value):
            self.fault(name, f"does not have the right form: it must be {what}")
        return value or ""

    def flag(self, name: str) -> bool:
        value = (self.text(name) or "false").lower()
        if value not in ("true", "false", "1", "0"):
            self.fault(name, "must be true or false")
        return value in ("true", "1")

    def one_of(self, name: str, values: tuple[str, ...]) -> str:
        value = self.text(name) or values[0]
        if value not in values:
            self.fault(name, f"must be one of {', '.join(values)}")
            return values[0]
        return value

    def seconds(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """As many waits as the default has."""
        words = self.words(name)
        if not words:
            return default
        if len(words) != len(default) or not all(
            re.fullmatch(r"[0-9]{1,6}", word) for word in words
        ):
            self.fault(name, f"must be {len(default)} whole numbers of seconds, 86400 at most each")
            return default
        return tuple(min(int(word), 86400) for word in words)

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
            self.fault(name, f"must be a whole number from {least} to {most}")
            return default
        return int(value)


def _tenant(reader: _Reader) -> str:
    value = reader.text("POSTROOM_TENANT")
    if value is None:
        reader.fault(
            "POSTROOM_TENANT",
            "is missing: set it to the directory (tenant) id, a verified domain, 'organizations', "
            "'consumers' or 'common'",
        )
    elif value.lower() not in ("organizations", "consumers", "common") and not (
        TYPED_GUID.fullmatch(value) or _DOMAIN.fullmatch(value)
    ):
        reader.fault(
            "POSTROOM_TENANT",
            "must be a tenant id (GUID), a verified domain, 'organizations', 'consumers' or 'common'",
        )
    return value or ""


def _parts(url: str) -> SplitResult:
    """The parts of a URL; empty parts if it cannot be split."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_https(url: str) -> bool:
    parts = _parts(url)
    return parts.scheme == "https" and bool(parts.hostname) and not parts.query


def _vault_url(reader: _Reader, development: bool) -> str:
    value = (reader.text("POSTROOM_VAULT_URL") or "").rstrip("/")
    host = _parts(value).hostname or ""
    if not value:
        reader.fault("POSTROOM_VAULT_URL", "is missing: set it to https://VAULT.vault.azure.net")
    elif not _is_https(value) or not (development or host.endswith(VAULT_SUFFIXES)):
        reader.fault("POSTROOM_VAULT_URL", "must be the https URL of an Azure Key Vault")
    return value


def _microsoft_url(
    reader: _Reader, name: str, default: str, hosts: object, development: bool
) -> str:
    value = (reader.text(name) or default).rstrip("/")
    host = _parts(value).hostname or ""
    known = host in hosts  # type: ignore[operator]
    if not _is_https(value) or not (development or known):
        reader.fault(name, "must be an https URL of a Microsoft cloud")
    return value


def _redirect_uri(reader: _Reader) -> str:
    # The platform sets WEBSITE_HOSTNAME to the app's own host name; a custom domain needs the
    # setting. The Host header of a request is never used, because the client controls it.
    host = reader.text("WEBSITE_HOSTNAME")
    default = None
    if host is not None:
        scheme = "http" if host.split(":")[0] in ("localhost", "127.0.0.1") else "https"
        default = f"{scheme}://{host}{CALLBACK_PATH}"
    value = reader.text("POSTROOM_REDIRECT_URI") or default
    if value is None:
        reader.fault("POSTROOM_REDIRECT_URI", f"is missing: set it to https://HOST{CALLBACK_PATH}")
        return ""
    parts = _parts(value)
    local = parts.scheme == "http" and parts.hostname == "localhost"
    right = (_is_https(value) or local) and parts.path == CALLBACK_PATH
    if not right or parts.query or parts.fragment:
        reader.fault(
            "POSTROOM_REDIRECT_URI",
            f"must be an https URL (http for localhost only) that ends with {CALLBACK_PATH}",
        )
    return value


def _storage(reader: _Reader) -> StorageSettings:
    connection_string = reader.text("AzureWebJobsStorage")
    account = reader.text("AzureWebJobsStorage__accountName")

    def service(kind: str) -> str | None:
        given = reader.text(f"AzureWebJobsStorage__{kind}ServiceUri")
        return given or (f"https://{account}.{kind}.core.windows.net" if account else None)

    found = StorageSettings(
        connection_string=connection_string,
        queue_url=service("queue"),
        table_url=service("table"),
        blob_url=service("blob"),
        identity_client_id=reader.text("AzureWebJobsStorage__clientId"),
    )
    if connection_string is None:
        for kind, url in (
            ("queue", found.queue_url),
            ("table", found.table_url),
            ("blob", found.blob_url),
        ):
            if url is None:
                reader.fault(
                    f"AzureWebJobsStorage__{kind}ServiceUri",
                    "is missing: set it (or AzureWebJobsStorage__accountName, or the connection "
                    "string AzureWebJobsStorage)",
                )
            elif not _is_https(url):
                # The app's identity sends tokens to this URL, and a token gives access to the
                # ledger.
                reader.fault(
                    f"AzureWebJobsStorage__{kind}ServiceUri",
                    f"must be an https URL: set it to https://ACCOUNT.{kind}.core.windows.net",
                )
    return found
