"""The catalogue of refusals, against the fact sheets' lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.mail import known_errors
from shared.mail.known_errors import Actor, Retry, app, entra, graph, oauth

SETTINGS = Path(__file__).parents[3] / "shared" / "settings.py"
PARTS = (entra, oauth, graph, app)
EVERY_ROW = [row for part in PARTS for row in part.ROWS.values()]

# Typed out from the fact sheet: entra-oauth.md, the first column of 4.2, and 900439 of 1.1.
AADSTS = [
    "70008",
    "700082",
    "700084",
    "70043",
    "70000",
    "50173",
    "50076",
    "50079",
    "50074",
    "50072",
    "50078",
    "53000",
    "53001",
    "530003",
    "53003",
    "53004",
    "530032",
    "530035",
    "50055",
    "50053",
    "50057",
    "50034",
    "50020",
    "500208",
    "50194",
    "50105",
    "65001",
    "65004",
    "90094",
    "90095",
    "650052",
    "650056",
    "650057",
    "7000215",
    "7000222",
    "7000218",
    "700025",
    "700027",
    "50012",
    "50013",
    "70021",
    "700213",
    "700229",
    "700016",
    "70001",
    "7000112",
    "90002",
    "900023",
    "50011",
    "500113",
    "900971",
    "501481",
    "50147",
    "54005",
    "700005",
    "70011",
    "28002",
    "28003",
    "700022",
    "9002313",
    "900144",
    "9001023",
    "90072",
    "50097",
    "50155",
    "50187",
    "500212",
    "500213",
    "50196",
    "50033",
    "90006",
    "90024",
    "90033",
    "90055",
    "90090",
    "900439",
]

# entra-oauth.md 2.5 (authorize and admin consent), 4.1 (token) and 5.3 (device code).
OAUTH = [
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "invalid_resource",
    "login_required",
    "interaction_required",
    "consent_required",
    "permission_denied",
    "invalid_grant",
    "invalid_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_tenant",
    "authorization_pending",
    "authorization_declined",
    "bad_verification_code",
    "expired_token",
]

# graph-mail.md 1.4 to 1.8 with the consumer anti-abuse codes, 2.3, 3.3, 4.2 and section 7.
GRAPH = [
    "InvalidInternetMessageHeader",
    "ErrorInvalidInternetMessageHeader",
    "InvalidInternetMessageHeaderCollection",
    "ErrorQuotaExceeded",
    "ErrorRequiredPropertyMissing",
    "UnableToDeserializePostBody",
    "ErrorMimeContentInvalidBase64String",
    "BadRequest",
    "ErrorMessageSizeExceeded",
    "ErrorInvalidRecipients",
    "RequestBodyRead",
    "InvalidAuthenticationToken",
    "ErrorAccessDenied",
    "ErrorSendAsDenied",
    "Authorization_RequestDenied",
    "MailboxNotEnabledForRESTAPI",
    "ErrorInvalidUser",
    "ResourceNotFound",
    "ErrorItemNotFound",
    "ErrorNonExistentMailbox",
    "ApplicationThrottled",
    "TooManyRequests",
    "ErrorSubmissionQuotaExceeded",
    "ErrorInternalServerError",
    "ErrorServerBusy",
    "ResourceUnhealthy",
    "ErrorMailboxStoreUnavailable",
    "ErrorMailboxMoveInProgress",
    "ServiceNotAvailable",
    "MailboxInfoStale",
    "UnknownError",
    "CommandConcurrencyLimitReached",
    "ErrorExceededMessageLimit",
    "ErrorExceededHourlyMessageLimit",
    "ErrorExceededMaxRecipientLimit",
    "ErrorMessageThrottled",
    "ErrorAccountSuspend",
    "ErrorMessageSubmissionBlocked",
    "ErrorMessageBlocked",
    "ErrorMessageTransientError",
    "ErrorMessageTimeout",
    "ErrorAttachmentSessionIsSupportedOnlyForFileAttachments",
    "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
    "InvalidAudienceForResource",
    "InvalidAudience",
    "InefficientFilter",
]

# graph-mail.md 1.8: "Statuses declared by Graph", those of success and of redirects left out.
STATUSES = [
    "400",
    "401",
    "402",
    "403",
    "404",
    "405",
    "406",
    "409",
    "410",
    "411",
    "412",
    "413",
    "415",
    "416",
    "422",
    "423",
    "429",
    "500",
    "501",
    "503",
    "504",
    "507",
    "509",
]

# entra-oauth.md 6.3, and what the app itself finds out.
APP = [
    "ForbiddenByRbac",
    "ForbiddenByPolicy",
    "ForbiddenByFirewall",
    "SecretDisabled",
    "vault_refused",
    "no_client_secret",
    "no_managed_identity",
    "no_grant",
    "vault_unreachable",
    "entra_unreachable",
    "identity_unreachable",
    "not_reached",
    "account_gone",
]

LISTED = [
    *(f"AADSTS{number}" for number in AADSTS),
    *OAUTH,
    *GRAPH,
    *(f"http_{status}" for status in STATUSES),
    *APP,
]


@pytest.mark.parametrize("code", LISTED)
def test_every_listed_code_has_words_of_its_own(code: str) -> None:
    row = known_errors.find(code)

    assert known_errors.is_known(code)
    assert row.code == code or code.startswith("http_")
    assert row.meaning.endswith((".", ")."))
    assert row.step.endswith(".")


def test_a_number_alone_is_found_too() -> None:
    assert known_errors.find("50173") == known_errors.find("AADSTS50173")


def test_no_code_means_two_things() -> None:
    codes = [code for part in PARTS for code in part.ROWS]

    assert len(codes) == len(set(codes))
    assert all(row.code == code for part in PARTS for code, row in part.ROWS.items())


def test_steps_name_only_settings_that_there_are() -> None:
    named = {name for row in EVERY_ROW for name in re.findall(r"POSTROOM_[A-Z_]+", row.words)}

    assert {"POSTROOM_TENANT", "POSTROOM_CLIENT_ID"} <= named
    assert named <= set(re.findall(r"POSTROOM_[A-Z_]+", SETTINGS.read_text()))


def test_where_an_administrators_consent_helps_the_step_says_so() -> None:
    assert [row.code for row in EVERY_ROW if row.admin_consent and "onsent" not in row.step] == [
        "ErrorAccessDenied"
    ]
    assert all(known_errors.find(code).admin_consent for code in ("65001", "90094", "90095"))


def test_whatever_ends_in_needs_sign_in_ends_its_step_with_a_sign_in() -> None:
    """Only a sign-in takes an account out of that state."""
    without = [
        row.code
        for row in entra.ROWS.values()
        if not (row.blames_the_app or row.who is Actor.NOBODY)
        and not re.search(r"ign (the|in a) mailbox|/accounts", row.step)
    ]

    assert without == []


def test_an_unknown_code_gets_a_cautious_answer() -> None:
    row = known_errors.find("AADSTS999999999")

    assert row.code == "AADSTS999999999"
    assert not row.retryable
    assert not row.blames_the_app


def test_the_number_decides_over_the_errors_name() -> None:
    row = known_errors.read("invalid_grant", "AADSTS50196: loop detected. Trace ID: x")

    assert (row.code, row.retry) == ("AADSTS50196", Retry.LATER)


def test_error_codes_are_read_where_the_description_says_nothing() -> None:
    assert known_errors.read("invalid_client", "", (7000222,)).code == "AADSTS7000222"


def test_an_unknown_number_keeps_its_name_for_people_and_follows_the_error() -> None:
    row = known_errors.read("invalid_client", "AADSTS123456: something new")

    assert row.code == "AADSTS123456"
    assert row.who is Actor.OPERATOR


def test_a_known_number_among_unknown_ones_is_found() -> None:
    row = known_errors.read("invalid_grant", "AADSTS999999: see AADSTS53003 below")

    assert row.code == "AADSTS53003"


def test_an_unknown_invalid_grant_may_be_a_passing_one() -> None:
    assert known_errors.read("invalid_grant", "").retry is Retry.ONCE


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
def test_passing_errors_are_retryable(error: str) -> None:
    assert known_errors.read(error, "").retryable


@pytest.mark.parametrize("error", ["", "<script>", "x" * 5000, "invalid\r\ngrant"])
def test_a_crafted_error_name_goes_no_further(error: str) -> None:
    row = known_errors.read(error, "<script>alert(1)</script>" * 1000)

    assert row.code == "unknown_error"


def test_every_row_says_who_acts() -> None:
    assert all(isinstance(row.who, Actor) for row in EVERY_ROW)
    assert all(row.retry is Retry.LATER for row in EVERY_ROW if row.who is Actor.NOBODY)


def test_the_refused_sign_in_names_the_step_the_actor_and_the_code() -> None:
    refused = known_errors.refused_sign_in(known_errors.find("90094"), chosen="a@b.com")

    assert refused.code == "AADSTS90094"
    assert "Grant admin consent" in refused.help
    assert Actor.DIRECTORY_ADMIN.value in refused.help
    assert refused.chosen == "a@b.com"
