"""What a function gets and gives, by the converters of azure-functions (azure-functions.md 1.7, 1.8)."""

from __future__ import annotations

import azure.functions as func
import pytest

from local.host.protocol import QueueTrigger
from local.host.worker import conversions

MESSAGE = QueueTrigger("Zoë", {"DequeueCount": ("string", "2"), "Id": ("string", "7")})


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        pytest.param(str, "Zoë", id="text"),
        pytest.param(bytes, "Zoë".encode(), id="bytes"),
    ],
)
def test_a_queue_function_gets_text_or_bytes_as_its_parameter_is_annotated(
    parameter: type, expected: object
) -> None:
    assert conversions.argument(MESSAGE, parameter) == expected


@pytest.mark.parametrize("parameter", [func.QueueMessage, None])
def test_a_queue_function_gets_a_message_with_its_metadata_otherwise(
    parameter: type | None,
) -> None:
    message = conversions.argument(MESSAGE, parameter)

    assert (message.get_body(), message.dequeue_count, message.id) == ("Zoë".encode(), 2, "7")


@pytest.mark.parametrize("value", [None, 7, b"bytes", {"a": 1}])
def test_a_return_value_that_is_no_answer_fails_the_call(value: object) -> None:
    with pytest.raises(NotImplementedError):
        conversions.response(value)


def test_a_response_header_that_kestrel_refuses_fails_the_call() -> None:
    answer = func.HttpResponse("x", headers={"X-Name": "Zoë"})

    with pytest.raises(ValueError, match="'X-Name' has a character"):
        conversions.response(answer)


def test_a_queue_output_may_hold_several_messages_of_any_kind() -> None:
    given = ["text", b"bytes", {"a": 1}, func.QueueMessage(body=b"message")]

    found = list(conversions.messages(given))

    assert found == [b"text", b"bytes", b'{"a": 1}', b"message"]
