"""The app settings of the template are those of the code and of the settings page."""

from __future__ import annotations

import pytest

from tests.infra.bicep.evaluate import deploy
from tests.infra.checks import app_settings
from tests.infra.conftest import Copy, has
from tests.infra.tools import INFRA
from tests.infra.variants import Variant, samples, variants

MAIN = INFRA / "main.bicep"


def test_settings_of_template_code_and_page_are_the_same() -> None:
    assert app_settings.problems(MAIN) == []


def test_every_exception_has_its_reason() -> None:
    for names in app_settings.rules().values():
        assert all(len(reason) > 10 for reason in names.values())


def with_client_id(label: str) -> Variant:
    """Without one the app answers 503 and names the setting, as main.bicep says."""
    variant = next(v for v in variants(MAIN) if v.label == label)
    given = {**variant.template.given, "clientId": samples()["*"]["clientId"]}
    return Variant(MAIN, label, deploy(MAIN, given))


@pytest.mark.parametrize("label", [variant.label for variant in variants(MAIN)])
def test_settings_of_every_variant_are_accepted_by_the_code(label: str) -> None:
    settings = app_settings.loaded(with_client_id(label))

    assert settings.storage.connection_string is None
    assert settings.storage.identity_client_id == settings.identity_client_id
    assert settings.vault_url.startswith("https://kv")
    assert not settings.development


def test_custom_host_is_in_the_redirect_uri() -> None:
    settings = app_settings.loaded(with_client_id("publicHost=mail.contoso.com"))

    assert settings.redirect_uri == "https://mail.contoso.com/api/auth/callback"


def test_setting_in_the_template_alone_is_reported(copy: Copy) -> None:
    copy.change("'POSTROOM_MASK_LEDGER'", "'POSTROOM_MASK_LEDGERS'")

    found = app_settings.problems(copy.main)

    assert has(found, "POSTROOM_MASK_LEDGERS: the template sets it and nothing reads it")
    assert has(found, "POSTROOM_MASK_LEDGERS", "docs/settings.md does not know it")
    assert has(found, "POSTROOM_MASK_LEDGER: the code reads it and the template never sets it")


def test_setting_in_the_code_alone_is_reported() -> None:
    found = app_settings.problems(MAIN, read={*app_settings.read_by_code(), "POSTROOM_NEW"})

    assert has(found, "POSTROOM_NEW: the code reads it and the template never sets it")
    assert has(found, "POSTROOM_NEW: the code reads it and docs/settings.md does not know it")


def test_setting_missing_from_the_page_is_reported() -> None:
    page = app_settings.PAGE.read_text().replace("`POSTROOM_TENANT`", "the tenant")

    assert has(app_settings.problems(MAIN, page), "POSTROOM_TENANT", "does not know it")


@pytest.mark.parametrize("name", ["FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE"])
def test_setting_that_flex_consumption_forbids_is_reported(copy: Copy, name: str) -> None:
    copy.change("'AzureWebJobsDisableHomepage'", f"'{name}'")

    assert has(app_settings.problems(copy.main), f"{name} must not be set")


def test_setting_that_is_no_text_is_reported(copy: Copy) -> None:
    copy.change("maskLedger [?] 'true' : 'false'", "maskLedger")

    assert has(app_settings.problems(copy.main), "POSTROOM_MASK_LEDGER is no text")
