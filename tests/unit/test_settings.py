"""Settings: read once, checked all at once, never quoted."""

from __future__ import annotations

import pytest
from msgspec.structs import fields

from shared.errors import ConfigurationError
from shared.settings import Settings, load

SOUND = {
    "POSTROOM_TENANT": "11111111-1111-4111-8111-111111111111",
    "POSTROOM_CLIENT_ID": "33333333-3333-4333-8333-333333333333",
    "POSTROOM_VAULT_URL": "https://kv.vault.azure.net/",
    "WEBSITE_HOSTNAME": "postroom.azurewebsites.net",
    "AzureWebJobsStorage__accountName": "stpostroom",
}


def faults_of(**changes: str | None) -> list[str]:
    """The names of the settings that are at fault."""
    environ = {n: v for n, v in {**SOUND, **changes}.items() if v is not None}
    with pytest.raises(ConfigurationError) as caught:
        load(environ)
    return [fault.partition(" ")[0] for fault in caught.value.faults]


def loaded(**changes: str) -> Settings:
    return load({**SOUND, **changes})


def test_the_smallest_set_of_settings_is_enough() -> None:
    settings = load(SOUND)

    assert settings.vault_url == "https://kv.vault.azure.net"
    assert settings.redirect_uri == "https://postroom.azurewebsites.net/api/auth/callback"
    assert settings.authority_host == "https://login.microsoftonline.com"
    assert settings.graph_url == "https://graph.microsoft.com/v1.0"
    assert (settings.allowed_mailboxes, settings.development, settings.mask_ledger) == (
        (),
        False,
        False,
    )


def test_what_is_not_set_has_the_default_that_the_type_documents() -> None:
    """The number of threads is the platform's to say: its default depends on the machine."""
    settings = loaded(PYTHON_THREADPOOL_THREAD_COUNT="5")
    defaults = {
        f.name: f.default for f in fields(Settings) if isinstance(f.default, int | str | bool)
    }

    assert {name: getattr(settings, name) for name in defaults} == defaults


def test_the_storage_account_gives_all_three_services() -> None:
    storage = load(SOUND).storage

    assert (storage.queue_url, storage.table_url, storage.blob_url) == (
        "https://stpostroom.queue.core.windows.net",
        "https://stpostroom.table.core.windows.net",
        "https://stpostroom.blob.core.windows.net",
    )


def test_a_service_url_of_its_own_wins_over_the_account() -> None:
    storage = loaded(AzureWebJobsStorage__tableServiceUri="https://t.example").storage

    assert storage.table_url == "https://t.example"


@pytest.mark.parametrize("kind", ["queue", "table", "blob"])
@pytest.mark.parametrize(
    "url", ["http://s.example", "s.example", "https://", "https://s.example?sig=x"]
)
def test_the_apps_identity_is_shown_to_storage_over_https_alone(kind: str, url: str) -> None:
    name = f"AzureWebJobsStorage__{kind}ServiceUri"

    assert faults_of(**{name: url}) == [name]


def test_a_connection_string_is_enough_and_does_not_show() -> None:
    environ = {n: v for n, v in SOUND.items() if not n.startswith("AzureWebJobsStorage")}

    settings = load({**environ, "AzureWebJobsStorage": "AccountKey=hush"})

    assert settings.storage.connection_string == "AccountKey=hush"
    assert "hush" not in repr(settings)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({})

    assert [fault.partition(" ")[0] for fault in caught.value.faults] == [
        "POSTROOM_TENANT",
        "POSTROOM_CLIENT_ID",
        "POSTROOM_VAULT_URL",
        "POSTROOM_REDIRECT_URI",
        "AzureWebJobsStorage__queueServiceUri",
        "AzureWebJobsStorage__tableServiceUri",
        "AzureWebJobsStorage__blobServiceUri",
    ]
    assert all("missing" in fault for fault in caught.value.faults)


WRONG = [
    ("POSTROOM_TENANT", ["contoso", "11111111", "a b.com", "https://contoso.com", "contoso.com/x"]),
    ("POSTROOM_CLIENT_ID", ["postroom", "33333333-3333-4333-8333-33333333333"]),
    (
        "POSTROOM_VAULT_URL",
        [
            "http://kv.vault.azure.net",
            "https://kv.vault.azure.net.evil.com",
            "https://evil.com/kv.vault.azure.net",
            "https://evilvault.azure.net",
            "https://kv.vault.azure.net?x=y",
            "https://[",
            "kv",
        ],
    ),
    (
        "POSTROOM_AUTHORITY_HOST",
        [
            "http://login.microsoftonline.com",
            "https://login.microsoftonline.com.evil.com",
            "https://[",
            "login.microsoftonline.com",
        ],
    ),
    (
        "POSTROOM_GRAPH_URL",
        ["https://graph.evil.com/v1.0", "ftp://graph.microsoft.com", "https://["],
    ),
    (
        "POSTROOM_REDIRECT_URI",
        [
            "http://postroom.example/api/auth/callback",
            "https://postroom.example/other",
            "https://postroom.example/api/auth/callback?x=y",
            "https://postroom.example/api/auth/callback#x",
            "https:///api/auth/callback",
            "https://[/api/auth/callback",
            "//api/auth/callback",
        ],
    ),
    ("POSTROOM_DEVELOPMENT", ["yes", "on", "2"]),
    ("POSTROOM_MASK_LEDGER", ["maybe"]),
    ("POSTROOM_OPERATORS", ["nobody", "ops@contoso.com, Doe", "Doe, J <doe@contoso.com>"]),
    ("POSTROOM_ALLOWED_MAILBOXES", ["billing", "*", "B <x>, contoso.com", "Doe, J <a@b.de>"]),
    (
        "POSTROOM_LEASE_SECONDS",
        ["29", "3601", "1e3", "-5", "x", "9" * 5000, "\uff13\uff10\uff10", "3 0"],
    ),
    ("POSTROOM_SEND_TIMEOUT_SECONDS", ["0", "241", "1.5"]),
    ("POSTROOM_GIVE_UP_AFTER_HOURS", ["0", "721"]),
    ("POSTROOM_MAX_ATTEMPTS", ["0", "1001"]),
    ("POSTROOM_RETENTION_DAYS", ["0", "7", "3651", "1.5"]),
    ("POSTROOM_KEEP_PAYLOAD_DAYS", ["0", "3651"]),
    ("POSTROOM_MAILS_PER_MINUTE", ["-1", "10001", "2.5"]),
    ("POSTROOM_MAX_REQUEST_BYTES", ["65535", "104857601"]),
    ("POSTROOM_MAX_MAIL_BYTES", ["65535", "220200961"]),
    ("POSTROOM_SESSION_HOURS", ["0", "25"]),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in WRONG
        for number, value in enumerate(values)
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(**{name: value})

    (fault,) = caught.value.faults
    assert fault.startswith(f"{name} ")
    assert len(value) < 4 or value not in fault


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("POSTROOM_TENANT", "contoso.com", "tenant", "contoso.com"),
        ("POSTROOM_TENANT", "consumers", "tenant", "consumers"),
        ("POSTROOM_TENANT", "common", "tenant", "common"),
        ("POSTROOM_LEASE_SECONDS", " 600 ", "lease_seconds", 600),
        ("POSTROOM_GIVE_UP_AFTER_HOURS", "2", "give_up_after_seconds", 7200),
        ("POSTROOM_SESSION_HOURS", "1", "session_seconds", 3600),
        ("POSTROOM_MAX_REQUEST_BYTES", "65536", "max_request_bytes", 65536),
        ("POSTROOM_MAX_MAIL_BYTES", "220200960", "max_mail_bytes", 220_200_960),
        ("POSTROOM_MASK_LEDGER", "TRUE", "mask_ledger", True),
        ("POSTROOM_MASK_LEDGER", "0", "mask_ledger", False),
        ("POSTROOM_MASK_LEDGER", "", "mask_ledger", False),
        (
            "POSTROOM_OPERATORS",
            "ops@contoso.com; B@c.de",
            "operators",
            ("ops@contoso.com", "b@c.de"),
        ),
        (
            "POSTROOM_OPERATORS",
            'Ops <ops@contoso.com>, "B, C" <B@c.de>;',
            "operators",
            ("ops@contoso.com", "b@c.de"),
        ),
        (
            "POSTROOM_ALLOWED_MAILBOXES",
            "Billing <Billing@contoso.com>; fabrikam.com",
            "allowed_mailboxes",
            ("billing@contoso.com", "fabrikam.com"),
        ),
        (
            "POSTROOM_ALLOWED_MAILBOXES",
            " A@Contoso.com; contoso.com,\n@fabrikam.com ",
            "allowed_mailboxes",
            ("a@contoso.com", "contoso.com", "@fabrikam.com"),
        ),
        (
            "POSTROOM_AUTHORITY_HOST",
            "https://login.microsoftonline.us/",
            "authority_host",
            "https://login.microsoftonline.us",
        ),
        ("POSTROOM_REDIRECT_URI", "http://localhost:7071/api/auth/callback", "redirect_uri", None),
        ("POSTROOM_IDENTITY_CLIENT_ID", "id-1", "identity_client_id", "id-1"),
    ],
)
def test_a_setting_is_read(name: str, value: str, attribute: str, expected: object) -> None:
    found = getattr(loaded(**{name: value}), attribute)

    assert found == (value if expected is None else expected)


def test_the_redirect_uri_that_is_set_wins_over_the_host_name() -> None:
    settings = loaded(POSTROOM_REDIRECT_URI="https://mail.contoso.com/api/auth/callback")

    assert settings.redirect_uri == "https://mail.contoso.com/api/auth/callback"


def test_on_a_laptop_the_callback_is_plain_http() -> None:
    settings = loaded(WEBSITE_HOSTNAME="localhost:7071")

    assert settings.redirect_uri == "http://localhost:7071/api/auth/callback"


def test_a_lease_shorter_than_a_send_is_a_fault() -> None:
    faults = faults_of(POSTROOM_LEASE_SECONDS="60", POSTROOM_SEND_TIMEOUT_SECONDS="60")

    assert faults == ["POSTROOM_LEASE_SECONDS"]


def test_several_faults_are_told_together() -> None:
    faults = faults_of(POSTROOM_TENANT=None, POSTROOM_CLIENT_ID="x", POSTROOM_SESSION_HOURS="99")

    assert set(faults) == {"POSTROOM_TENANT", "POSTROOM_CLIENT_ID", "POSTROOM_SESSION_HOURS"}


def test_a_simulator_is_let_in_only_in_development() -> None:
    local = {
        "POSTROOM_VAULT_URL": "https://localhost:8443/vault",
        "POSTROOM_AUTHORITY_HOST": "https://localhost:8443",
        "POSTROOM_GRAPH_URL": "https://localhost:8443/v1.0",
    }

    settings = loaded(POSTROOM_DEVELOPMENT="true", **local)

    assert settings.graph_url == "https://localhost:8443/v1.0"
    assert sorted(faults_of(**local)) == sorted(local)


def test_another_root_certificate_is_trusted_only_in_development() -> None:
    assert loaded(POSTROOM_CA_FILE="/ca.pem").ca_file is None
    assert loaded(POSTROOM_CA_FILE="/ca.pem", POSTROOM_DEVELOPMENT="1").ca_file == "/ca.pem"


@pytest.mark.parametrize(
    "waits", ["5 15 60 300", "5 15 60 300 900 1800", "5 15 60 300 soon", "-1 1 1 1 1"]
)
def test_waits_before_looks_are_five_whole_numbers(waits: str) -> None:
    assert faults_of(POSTROOM_LOOK_AFTER_SECONDS=waits) == ["POSTROOM_LOOK_AFTER_SECONDS"]


def test_a_lost_answer_is_left_alone_unless_the_setting_says_send_again() -> None:
    assert loaded().unknown == "leave"
    assert loaded(POSTROOM_UNKNOWN="send-again").unknown == "send-again"
    assert faults_of(POSTROOM_UNKNOWN="twice") == ["POSTROOM_UNKNOWN"]
