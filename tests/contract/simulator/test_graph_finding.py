"""Finding a mail again, as graph-mail.md section 3 describes it."""

from __future__ import annotations

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import KEY_ID, GraphClient, error_of, file, keyed, mail


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def by_key(value: str, key_id: str = KEY_ID) -> str:
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{key_id}' and ep/value eq '{value}')"


@pytest.fixture
def three(graph: GraphClient) -> GraphClient:
    """A sent mail, a draft, and another draft, each with its key."""
    graph.send(mail("sent", singleValueExtendedProperties=keyed("Key-1")))
    graph.draft(mail("draft", singleValueExtendedProperties=keyed("key-2")))
    graph.draft(mail("it's another", singleValueExtendedProperties=keyed("key-3")))
    return graph


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        pytest.param(by_key("Key-1"), ["sent"], id="own key"),
        pytest.param(by_key("KEY-2"), ["draft"], id="values compare without case"),
        pytest.param(by_key("key-2", KEY_ID.replace("66f5a359", "66F5A359")), ["draft"], id="GUID"),
        pytest.param(by_key("key-2", KEY_ID.lower()), [], id="names keep their case"),
        pytest.param(by_key("key-9"), [], id="unknown key"),
        pytest.param("isDraft eq false", ["sent"], id="not a draft"),
        pytest.param(f"isDraft eq true and {by_key('key-2')}", ["draft"], id="and"),
        pytest.param("subject eq 'it''s another'", ["it's another"], id="quotes are doubled"),
        pytest.param("startswith(subject,'dra')", ["draft"], id="startswith"),
        pytest.param("not (isDraft eq true)", ["sent"], id="not"),
        pytest.param(
            "isDraft eq false or subject eq 'draft'", ["draft", "sent"], id="or, newest first"
        ),
        pytest.param("receivedDateTime ge 2020-01-01T00:00:00Z and isDraft eq false", ["sent"]),
    ],
)
def test_filters_find_what_they_say(three: GraphClient, query: str, subjects: list[str]) -> None:
    assert [one["subject"] for one in three.messages(filter=query)] == subjects


def test_a_key_is_found_within_one_folder(three: GraphClient) -> None:
    assert len(three.messages("sentitems", filter=by_key("key-1"))) == 1
    assert three.messages("drafts", filter=by_key("key-1")) == []


def test_the_message_id_finds_draft_and_sent_copy(graph: GraphClient) -> None:
    draft = graph.draft()
    query = f"internetMessageId eq '{draft['internetMessageId']}'"

    before = graph.messages(filter=query)
    graph.post(f"/me/messages/{draft['id']}/send")
    after = graph.messages(filter=query)

    assert [one["isDraft"] for one in (*before, *after)] == [True, False]


def test_the_conversation_finds_draft_and_sent_copy(graph: GraphClient) -> None:
    draft = graph.draft()

    graph.post(f"/me/messages/{draft['id']}/send")

    (sent,) = graph.messages(filter=f"conversationId eq '{draft['conversationId']}'")
    assert sent["isDraft"] is False


@pytest.mark.parametrize(
    "query",
    [
        "colour eq 'red'",
        "subject",
        "subject eq 7",
        "isDraft eq 'x'",
        "subject eq 'a' and",
        "(",
        "§",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(graph: GraphClient, query: str) -> None:
    assert error_of(graph.get("/me/messages", params={"$filter": query})) == (400, "BadRequest")


def test_select_gives_only_what_was_asked_for(three: GraphClient) -> None:
    (one, *_) = three.messages(select="subject,isDraft")

    assert one.keys() == {"@odata.etag", "id", "subject", "isDraft"}


def test_selecting_what_no_message_has_is_refused(three: GraphClient) -> None:
    response = three.get("/me/messages", params={"$select": "colour"})

    assert error_of(response) == (400, "BadRequest")


def test_properties_are_shown_only_when_expanded(three: GraphClient) -> None:
    plain = three.messages(filter=by_key("key-2"))
    expanded = three.messages(
        filter=by_key("key-2"), expand=f"singleValueExtendedProperties($filter=id eq '{KEY_ID}')"
    )

    assert "singleValueExtendedProperties" not in plain[0]
    assert expanded[0]["singleValueExtendedProperties"] == keyed("key-2")


def test_attachments_can_be_expanded(graph: GraphClient) -> None:
    graph.draft(mail(attachments=[file()]))

    assert graph.messages(expand="attachments")[0]["attachments"][0]["name"] == "a.txt"


def test_headers_are_missing_on_sent_copies_and_there_in_the_inbox(graph: GraphClient) -> None:
    header = {"name": "x-ref", "value": "7"}
    graph.send(mail(to="ada@contoso.com", internetMessageHeaders=[header]))

    (sent,) = graph.messages("sentitems", select="internetMessageHeaders")
    (received,) = graph.acting("ada@contoso.com").messages("inbox", select="internetMessageHeaders")

    assert "internetMessageHeaders" not in sent
    assert header in received["internetMessageHeaders"]


def test_pages_of_ten_are_linked(graph: GraphClient) -> None:
    for number in range(12):
        graph.draft(mail(f"n{number}"))

    first = graph.get("/me/messages", params={"$select": "subject"}).json()
    second = graph.get(first["@odata.nextLink"]).json()

    subjects = [one["subject"] for one in (*first["value"], *second["value"])]
    assert len(first["value"]) == 10
    assert subjects == [f"n{number}" for number in reversed(range(12))]
    assert "@odata.nextLink" not in second


@pytest.mark.parametrize("top", ["0", "1001", "x"])
def test_top_is_between_one_and_a_thousand(graph: GraphClient, top: str) -> None:
    assert graph.get("/me/messages", params={"$top": top}).status_code == 400


def test_orderby_sorts(three: GraphClient) -> None:
    subjects = [one["subject"] for one in three.messages(orderby="subject desc")]

    assert subjects == ["sent", "it's another", "draft"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("isDraft eq true", 400),
        ("isDraft eq true and subject ge 'a'", 400),
        ("subject ge 'a' and isDraft eq true", 200),
    ],
)
def test_orderby_properties_must_lead_the_filter(
    three: GraphClient, query: str, status: int
) -> None:
    response = three.get("/me/messages", params={"$filter": query, "$orderby": "subject"})

    assert response.status_code == status
    if status == 400:
        assert error_of(response) == (400, "InefficientFilter")


def test_folders_count_their_messages(three: GraphClient) -> None:
    assert three.get("/me/mailFolders/drafts/messages/$count").text == "2"
    assert three.get("/me/mailFolders/drafts").json()["totalItemCount"] == 2
    assert three.get("/me/messages", params={"$count": "true"}).json()["@odata.count"] == 3
    names = [one["displayName"] for one in three.get("/me/mailFolders").json()["value"]]
    assert "Sent Items" in names


def test_an_unknown_folder_is_not_found(graph: GraphClient) -> None:
    assert graph.get("/me/mailFolders/nowhere/messages").status_code == 404


def test_lists_may_lag_behind(graph: GraphClient) -> None:
    graph.option(search_lag_seconds=30)
    draft = graph.draft()

    assert graph.messages() == []
    assert graph.get(f"/me/messages/{draft['id']}").status_code == 200
    graph.simulator.state.clock.advance(31)
    assert len(graph.messages()) == 1


def test_read_basic_shows_no_content_and_no_properties(three: GraphClient) -> None:
    basic = three.acting(scopes="Mail.ReadBasic")

    (one,) = basic.messages(filter="isDraft eq false")
    refused = basic.get("/me/messages", params={"$filter": by_key("key-1")})

    assert not {"body", "bodyPreview"} & one.keys()
    assert error_of(refused) == (403, "ErrorAccessDenied")
