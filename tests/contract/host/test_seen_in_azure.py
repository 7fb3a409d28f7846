"""Every row of "Seen in the real host" (azure-functions.md, section 11) has a test of the local host,
or a line under "What differs from Azure" in docs/local-stack.md."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.contract.host.driver import REPOSITORY

HERE = Path(__file__).parent
PAGE = REPOSITORY / "docs" / "local-stack.md"

TESTS: dict[str, Sequence[str]] = {
    # 11.1 Queue
    "16 at a time, next batch when 8 are left": [
        "test_a_full_batch_is_worked_on_at_once_and_more_is_fetched_at_the_threshold",
        "test_sixteen_messages_are_fetched_and_more_when_eight_are_left",
    ],
    "invisible for 600 s": ["test_a_message_reaches_the_function_with_its_metadata_and_is_deleted"],
    "released for visibilityTimeout after a failure": [
        "test_a_failure_shows_again_after_the_visibility_timeout_of_host_json"
    ],
    "poison after 5 with new id and count 1": [
        "test_a_message_that_keeps_failing_goes_to_the_poison_queue"
    ],
    "the poison listener wakes": [
        "test_the_poison_listener_is_woken_at_once_and_gets_a_new_message"
    ],
    "a failure on a poison queue leaves the message locked": [
        "test_a_failure_on_a_poison_queue_leaves_the_message_locked",
        "test_after_a_failure_on_a_poison_queue_the_next_attempt_waits_for_the_end_of_the_lock",
    ],
    "the Python process dies, the host lives": [
        "test_a_worker_that_dies_fails_everything_in_flight_at_once_and_its_host_lives_on",
        "test_calls_that_come_while_the_worker_is_replaced_wait_for_the_next_one",
    ],
    "the third death within 30 minutes": [
        "test_after_its_worker_s_third_death_the_host_ends_and_the_platform_starts_another",
        "test_the_third_death_ends_it",
        "test_deaths_with_a_long_pause_between_them_do_not_add_up",
    ],
    "functionTimeout": [
        "test_a_queue_call_out_of_time_fails_at_once_and_an_http_caller_waits_for_the_drain",
        "test_neighbours_of_a_call_out_of_time_succeed_in_the_drain_or_hang_until_their_own_time",
        "test_its_own_times_are_those_that_were_seen",
        "test_a_function_out_of_time_replaces_the_worker_and_not_the_host",
    ],
    "SIGTERM, short jobs": [
        "test_a_stopping_host_finishes_its_messages_and_calls_and_ends_with_0",
        "test_one_instance_that_is_stopped_drains_and_is_replaced",
        "test_a_stop_can_leave_a_batch_locked_without_a_call",
    ],
    "SIGTERM, job of 60 s": [
        "test_a_job_beyond_the_grace_is_dropped_and_its_message_stays_locked",
        "test_the_grace_is_that_of_azure",
    ],
    "SIGKILL of the host": [
        "test_a_worker_whose_host_is_killed_finishes_and_the_message_comes_again_when_its_lock_ends"
    ],
    "messageEncoding base64": [
        "test_white_space_in_base64_does_not_count",
        "test_base64_that_is_not_utf_8_fails_in_the_binding_without_a_call",
    ],
    "wrong queue name, schedule, extension, storage": [
        "test_what_is_wrong_with_queues_turns_off_the_functions_with_queues_alone",
        "test_a_schedule_that_is_wrong_turns_off_that_timer_alone",
    ],
    # 11.2 HTTP
    "chunked request body": [
        "test_a_chunked_body_is_lost_and_the_connection_stays_usable",
    ],
    "body over 104,857,600 bytes": [
        "test_a_body_over_the_limit_is_an_empty_500",
        "test_a_body_of_exactly_the_limit_is_taken",
    ],
    "slow upload": [
        "test_an_upload_that_is_slower_than_240_bytes_a_second_is_a_500_after_some_seconds"
    ],
    "header bytes": [
        "test_utf_8_in_a_header_is_read_as_utf_8",
        "test_a_malformed_head_is_a_400_and_the_end_of_the_connection",
    ],
    "query over 4,096": ["test_a_query_is_taken_up_to_a_request_line_of_8192_bytes"],
    "req.url": ["test_the_url_is_percent_encoded_as_it_was_sent_without_dot_segments"],
    "dot segments, two slashes, empty key header": [
        "test_one_slash_at_the_end_of_a_path_does_not_count_and_two_are_a_404",
        "test_an_empty_header_beats_a_good_key_in_the_query",
    ],
    "answers": ["test_an_answer_is_chunked_without_a_length_and_names_kestrel"],
    "None, an exception": [
        "test_a_function_that_returns_none_is_a_500",
        "test_an_exception_is_an_empty_500_and_its_message_and_stack_are_logged",
    ],
    "/admin": [
        "test_the_admin_pages_need_the_master_key",
        "test_a_function_is_run_by_hand_with_json_alone",
    ],
    # 11.3 Starting
    "broken app": ["test_a_broken_app_starts_and_answers_404_and_the_console_has_the_reason"],
    "broken host.json": ["test_a_wrong_host_json_is_a_503_with_the_host_s_words"],
    "storage unreachable": [
        "test_with_storage_that_cannot_be_reached_the_host_does_not_listen_and_ends"
    ],
    "unknown keys in host.json": [
        "test_a_name_that_host_json_does_not_know_is_ignored_and_the_console_has_it"
    ],
    # 11.4 Telemetry
    "traceparent": ["test_a_traceparent_of_the_caller_reaches_the_function"],
}

DIFFERENCES = {
    "a new worker after 0.4 s": "0.4 seconds were seen in Azure",
    "610 s to the next attempt on a poison queue": "in Azure 610 seconds were seen",
    "2 of 27 stops": "in Azure 2 of 27 stops did",
    "SIGTERM gives 41 s": "`make run` gives functions 15 seconds when it stops; Azure gives 41",
    "Request-Context, order of headers": "the order varies, and `Request-Context` is added",
    "Azure's log of a broken app": "of a broken app, Azure's log has a missing module only",
    "unknown keys without a word": "Azure ignores them without a word",
    "broken app and strict": "Azure starts and answers 404 or 503",
    "how long storage is tried": "how long Azure's host tries was not measured",
    "HTTP function by /admin": "is answered 202 and not called",
    "telemetry": "There is no Application Insights",
    "excludedTypes": "`excludedTypes`",
    "Azurite's messages": "Azurite takes queue messages that XML cannot carry",
}


def names_of_tests() -> set[str]:
    return {
        node.name
        for file in HERE.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def differences() -> str:
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition("## What differs from Azure")[2].partition("\n## ")[0]
    return " ".join(section.split())


@pytest.mark.parametrize("row", TESTS)
def test_what_was_seen_has_a_test(row: str) -> None:
    assert set(TESTS[row]) <= names_of_tests()


@pytest.mark.parametrize("row", DIFFERENCES)
def test_what_differs_stands_on_the_page(row: str) -> None:
    assert DIFFERENCES[row] in differences()
