"""What Graph's answer to a send means: the table of the fact sheet, row by row."""

from __future__ import annotations

import pytest

from local.docs import status_of
from shared.mail.known_errors import graph
from shared.mail.outcome import DAY, FITTING, GraphAnswer, Verdict, judge_send

LIMITS = {
    "ErrorSubmissionQuotaExceeded",
    "ErrorExceededMessageLimit",
    "ErrorExceededHourlyMessageLimit",
}
NOT_ON_SENDS = {
    "ErrorItemNotFound",
    "ErrorNonExistentMailbox",
    "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
    "ErrorAttachmentSessionIsSupportedOnlyForFileAttachments",
    "InvalidAudienceForResource",
    "InvalidAudience",
    "InefficientFilter",
}
"""Met while a draft is made or looked for."""

ROWS: list[tuple[int, str | None, str]] = [
    # Done.
    (202, None, "sent"),
    # Success that is none: oversized MIME was answered so, and nothing was sent.
    (200, None, "unknown"),
    (201, None, "unknown"),
    (204, None, "unknown"),
    (302, None, "unknown"),
    # The mail itself.
    (400, "ErrorInvalidRecipients", "failed"),
    (400, "UnableToDeserializePostBody", "failed"),
    (400, "BadRequest", "failed"),
    (400, "RequestBodyRead", "failed"),
    (400, "ErrorRequiredPropertyMissing", "failed"),
    (400, "InvalidInternetMessageHeader", "failed"),
    (400, "ErrorInvalidInternetMessageHeader", "failed"),
    (400, "InvalidInternetMessageHeaderCollection", "failed"),
    (400, "ErrorMimeContentInvalidBase64String", "failed"),
    (400, None, "failed"),
    (405, None, "failed"),
    (415, None, "failed"),
    (413, None, "failed"),
    (413, "BadRequest", "failed"),
    (400, "ErrorMessageSizeExceeded", "failed"),
    (413, "ErrorMessageSizeExceeded", "failed"),
    *((status, "ErrorExceededMaxRecipientLimit", "failed") for status in (400, 403, 429)),
    *((status, "ErrorMessageBlocked", "failed") for status in (400, 403)),
    # Rights.
    (401, "InvalidAuthenticationToken", "refresh"),
    (401, None, "refresh"),
    (403, "ErrorAccessDenied", "needs-sign-in"),
    (403, "Authorization_RequestDenied", "needs-sign-in"),
    (403, "ErrorSendAsDenied", "failed"),
    (403, "ErrorQuotaExceeded", "failed"),
    (403, None, "failed"),
    # The mailbox.
    *((status, "ErrorAccountSuspend", "hold-account") for status in (400, 403, 429)),
    *((status, "ErrorMessageSubmissionBlocked", "hold-account") for status in (400, 403, 429)),
    (404, "MailboxNotEnabledForRESTAPI", "hold-account"),
    (404, "ErrorInvalidUser", "hold-account"),
    (404, "ResourceNotFound", "hold-account"),
    (404, None, "failed"),
    # Limits, whatever their status.
    *((status, "ErrorSubmissionQuotaExceeded", "hold-account") for status in (403, 429, 500)),
    *((status, "ErrorExceededMessageLimit", "hold-account") for status in (400, 403, 429)),
    *((status, "ErrorExceededHourlyMessageLimit", "hold-account") for status in (400, 403, 429)),
    # Too fast, or busy.
    (429, "ApplicationThrottled", "throttled"),
    (429, "TooManyRequests", "throttled"),
    (429, None, "throttled"),
    *((status, "ErrorMessageThrottled", "throttled") for status in (400, 403, 429)),
    *((status, "ErrorMessageTransientError", "again") for status in (400, 403)),
    (429, "ErrorMessageTransientError", "throttled"),
    (409, None, "again"),
    (412, None, "again"),
    (423, None, "again"),
    # It may have gone.
    *((status, "UnknownError", "unknown") for status in (400, 404, 429, 500, 504)),
    *((status, "CommandConcurrencyLimitReached", "unknown") for status in (400, 429, 500)),
    *((status, "ErrorMessageTimeout", "unknown") for status in (400, 403, 500)),
    (408, None, "unknown"),
    (500, "ErrorInternalServerError", "unknown"),
    (500, "ApplicationThrottled", "unknown"),
    (503, "TooManyRequests", "unknown"),
    (500, "ErrorMessageTransientError", "unknown"),
    (502, None, "unknown"),
    (503, "ErrorServerBusy", "unknown"),
    (503, "ResourceUnhealthy", "unknown"),
    (503, "ErrorMailboxStoreUnavailable", "unknown"),
    (503, "ErrorMailboxMoveInProgress", "unknown"),
    (503, "ServiceNotAvailable", "unknown"),
    (503, "MailboxInfoStale", "unknown"),
    (504, None, "unknown"),
    (507, "ErrorQuotaExceeded", "unknown"),
    (509, None, "unknown"),
]


@pytest.mark.parametrize(("status", "code", "verdict"), ROWS)
def test_an_answer_means_what_the_table_says(status: int, code: str | None, verdict: str) -> None:
    outcome = judge_send(GraphAnswer(status, code, None, "req-1"))

    assert outcome.verdict.value == verdict
    assert outcome.request_id == "req-1"


@pytest.mark.parametrize(("status", "code", "verdict"), ROWS)
def test_whatever_is_not_sent_has_a_reason_and_a_remedy(
    status: int, code: str | None, verdict: str
) -> None:
    outcome = judge_send(GraphAnswer(status, code))

    assert (outcome.reason is None) is (outcome.help is None) is (verdict == "sent")
    assert code is None or outcome.reason == code


@pytest.mark.parametrize(("status", "code", "verdict"), [row for row in ROWS if row[2] != "sent"])
def test_the_catalogue_says_of_asking_again_what_the_verdict_does(
    status: int, code: str | None, verdict: str
) -> None:
    answer = GraphAnswer(status, code)
    outcome = judge_send(answer)
    said = [
        row for row in (*graph.ROWS.values(), graph.of_status(status)) if row.words == outcome.help
    ]

    assert said
    assert said[0].retry in FITTING[outcome.verdict]


def test_every_code_of_the_catalogue_is_judged_as_its_row_says() -> None:
    assert {code for _, code, _ in ROWS if code} | NOT_ON_SENDS == graph.ROWS.keys()
    for code, row in graph.ROWS.items():
        outcome = judge_send(GraphAnswer(status_of(code), code))

        assert (outcome.reason, outcome.help) == (code, row.words)
        assert row.retry in FITTING[outcome.verdict]
        if outcome.verdict is Verdict.HOLD_ACCOUNT:
            assert row.retryable == (code in LIMITS)


def test_a_202_with_retry_after_is_sent_and_asks_for_nothing() -> None:
    outcome = judge_send(GraphAnswer(202, None, 30.0, "req-1"))

    assert (outcome.verdict, outcome.retry_after) == (Verdict.SENT, None)


AGAIN_VERDICTS = (Verdict.AGAIN, Verdict.THROTTLED, Verdict.REFRESH)
CODES = [*sorted({code for _, code, _ in ROWS if code}), None, "SomethingNew"]


@pytest.mark.parametrize("status", [200, 201, 204, 302, 408, 500, 501, 502, 503, 504, 507, 509])
def test_nothing_that_may_have_been_sent_is_ever_sent_again(status: int) -> None:
    verdicts = {code: judge_send(GraphAnswer(status, code)).verdict for code in CODES}

    again = {c: v for c, v in verdicts.items() if v in AGAIN_VERDICTS}
    assert status < 400 or again == {}
    assert verdicts[None] is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("asked", "verdict", "wait"),
    [
        (None, Verdict.THROTTLED, None),
        (2.128, Verdict.THROTTLED, 2.128),
        (900.0, Verdict.THROTTLED, 900.0),
        (901.0, Verdict.HOLD_ACCOUNT, 901.0),
        (1e12, Verdict.HOLD_ACCOUNT, 86400.0),
    ],
)
def test_a_long_pause_is_a_hold_that_people_see_and_lasts_a_day_at_most(
    asked: float | None, verdict: Verdict, wait: float | None
) -> None:
    outcome = judge_send(GraphAnswer(429, "ApplicationThrottled", asked))

    assert (outcome.verdict, outcome.retry_after) == (verdict, wait)


def test_only_a_202_is_sent() -> None:
    sent = [s for s in range(100, 600) if judge_send(GraphAnswer(s)).verdict is Verdict.SENT]

    assert sent == [202]


def test_an_unknown_code_falls_back_to_the_status() -> None:
    by_code = [judge_send(GraphAnswer(s, "SomethingNew")).verdict for s in range(400, 600)]

    assert by_code == [judge_send(GraphAnswer(s)).verdict for s in range(400, 600)]


@pytest.mark.parametrize(
    ("code", "asked", "expected"),
    [
        ("ErrorSubmissionQuotaExceeded", None, DAY),
        ("ErrorExceededMessageLimit", None, DAY),
        ("ErrorExceededHourlyMessageLimit", None, 3600.0),
        ("ErrorExceededMessageLimit", 120.0, 120.0),
        ("ErrorExceededMessageLimit", 0.0, DAY),
        ("ApplicationThrottled", 2.128, 2.128),
        ("ApplicationThrottled", None, None),
    ],
)
def test_the_remotes_own_wait_wins_over_what_a_limit_implies(
    code: str, asked: float | None, expected: float | None
) -> None:
    assert judge_send(GraphAnswer(429, code, asked)).retry_after == expected
