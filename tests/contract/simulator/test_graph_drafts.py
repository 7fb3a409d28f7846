"""The draft flow as graph-mail.md section 2 describes it, asked with plain `requests`."""

from __future__ import annotations

import base64
import email
from email import policy

import pytest
import requests

from local.simulator.server import Simulator
from tests.contract.simulator.graph_client import GraphClient, error_of, file, keyed, mail

IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


@pytest.fixture
def graph(simulator: Simulator, http: requests.Session) -> GraphClient:
    return GraphClient(simulator, http)


def test_a_draft_answers_201_with_the_stored_message(graph: GraphClient) -> None:
    response = graph.post("/me/messages", json=mail("Draft", "ada@contoso.com"))

    message = response.json()
    assert response.status_code == 201
    assert message["@odata.context"].endswith("/messages/$entity")
    assert message["@odata.etag"] == f'W/"{message["changeKey"]}"'
    assert (message["isDraft"], message["isRead"]) == (True, True)
    assert message["inferenceClassification"] == "focused"
    assert message["ccRecipients"] == message["replyTo"] == []
    assert message["internetMessageId"].startswith("<")
    assert message["toRecipients"][0]["emailAddress"]["name"] == "Ada Lovelace"
    assert message["body"]["contentType"] == "html"
    assert message["body"]["content"].startswith("<html><head>\r\n")
    assert not {"from", "sender", "internetMessageHeaders"} & message.keys()


def test_a_draft_may_be_made_from_mime_but_not_in_a_folder(graph: GraphClient) -> None:
    body = base64.b64encode(b"To: grace@example.org\r\nSubject: M\r\n\r\nx")
    headers = {"Content-Type": "text/plain"}

    made = graph.post("/me/messages", data=body, headers=headers)
    refused = graph.post("/me/mailFolders/drafts/messages", data=body, headers=headers)

    assert (made.status_code, made.json()["subject"]) == (201, "M")
    assert error_of(refused) == (400, "UnableToDeserializePostBody")


def test_a_json_draft_may_be_made_in_a_folder(graph: GraphClient) -> None:
    made = graph.post("/me/mailFolders('Drafts')/messages", json=mail()).json()

    assert [one["id"] for one in graph.messages("drafts")] == [made["id"]]


def test_a_draft_without_recipients_is_stored_and_refused_when_sent(graph: GraphClient) -> None:
    draft = graph.draft({"subject": "Nobody yet"})

    response = graph.post(f"/me/messages/{draft['id']}/send")

    assert error_of(response) == (400, "ErrorInvalidRecipients")


def test_patch_changes_a_draft_and_its_etag(graph: GraphClient) -> None:
    draft = graph.draft()

    changed = graph.call("PATCH", f"/me/messages/{draft['id']}", json={"subject": "New"})

    assert (changed.status_code, changed.json()["subject"]) == (200, "New")
    assert changed.json()["changeKey"] != draft["changeKey"]
    assert changed.json()["id"] == draft["id"]


def test_patch_is_all_or_nothing(graph: GraphClient) -> None:
    draft = graph.draft()
    path = f"/me/messages/{draft['id']}"

    refused = graph.call("PATCH", path, json={"subject": "New", "importance": "no"})

    assert refused.status_code == 400
    assert graph.get(path).json()["subject"] == draft["subject"]


def test_a_sent_mail_keeps_its_subject_but_may_be_marked_unread(graph: GraphClient) -> None:
    graph.send(mail())
    path = f"/me/messages/{graph.messages('sentitems')[0]['id']}"

    refused = graph.call("PATCH", path, json={"subject": "Other"})
    marked = graph.call("PATCH", path, json={"isRead": False})

    assert error_of(refused) == (400, "ErrorInvalidPropertyUpdateSentMessage")
    assert marked.json()["isRead"] is False


def test_sending_consumes_the_draft_id(graph: GraphClient) -> None:
    draft = graph.draft(mail(singleValueExtendedProperties=keyed("k")))
    path = f"/me/messages/{draft['id']}"

    first, second = graph.post(f"{path}/send"), graph.post(f"{path}/send")

    assert (first.status_code, first.content) == (202, b"")
    assert error_of(second) == (404, "ErrorItemNotFound")
    assert error_of(graph.get(path)) == (404, "ErrorItemNotFound")
    assert len(graph.state.deliveries()) == 1


def test_the_sent_copy_has_a_new_id_and_the_same_key_and_message_id(graph: GraphClient) -> None:
    draft = graph.draft(mail(singleValueExtendedProperties=keyed("k")))

    graph.post(f"/me/messages/{draft['id']}/send")

    (sent,) = graph.messages(
        "sentitems", expand=f"singleValueExtendedProperties($filter=id eq '{keyed('k')[0]['id']}')"
    )
    assert sent["id"] != draft["id"]
    assert sent["isDraft"] is False
    assert sent["internetMessageId"] == draft["internetMessageId"]
    assert sent["singleValueExtendedProperties"] == keyed("k")


@pytest.mark.parametrize("kept", [True, False])
def test_an_immutable_id_survives_sending_only_where_the_option_says_so(
    graph: GraphClient, kept: bool
) -> None:
    graph.option(immutable_id_kept=kept)
    response = graph.post("/me/messages", json=mail(), headers=IMMUTABLE)
    draft_id = response.json()["id"]

    graph.post(f"/me/messages/{draft_id}/send")
    after = graph.get(f"/me/messages/{draft_id}", headers=IMMUTABLE)

    assert response.headers["Preference-Applied"] == "IdType=ImmutableId"
    assert after.status_code == (200 if kept else 404)
    assert graph.post(f"/me/messages/{draft_id}/send").status_code == 404


def test_a_fresh_draft_may_be_missing_at_first(graph: GraphClient) -> None:
    graph.option(fresh_draft_misses=2)
    path = f"/me/messages/{graph.draft()['id']}/send"

    statuses = [graph.post(path).status_code for _ in range(3)]

    assert statuses == [404, 404, 202]


def test_ids_are_case_sensitive(graph: GraphClient) -> None:
    draft = graph.draft()

    assert graph.get(f"/me/messages/{draft['id'].swapcase()}").status_code == 404


def test_a_deleted_draft_lies_in_deleted_items_and_then_nowhere(graph: GraphClient) -> None:
    draft = graph.draft()

    assert graph.call("DELETE", f"/me/messages/{draft['id']}").status_code == 204
    (moved,) = graph.messages("deleteditems")
    assert moved["id"] != draft["id"]
    assert graph.call("DELETE", f"/me/messages/{moved['id']}").status_code == 204
    assert graph.messages() == []


def test_a_purged_draft_is_gone(graph: GraphClient) -> None:
    draft = graph.draft()

    assert graph.post(f"/me/messages/{draft['id']}/permanentDelete").status_code == 204
    assert graph.messages() == []


def test_attachments_are_added_listed_read_and_removed(graph: GraphClient) -> None:
    path = f"/me/messages/{graph.draft()['id']}/attachments"

    added = graph.post(path, json=file(content=b"hello"))
    one = added.json()

    assert added.status_code == 201
    assert (one["size"], one["name"], one["contentLocation"]) == (5, "a.txt", None)
    assert [each["id"] for each in graph.get(path).json()["value"]] == [one["id"]]
    assert graph.get(f"{path}/{one['id']}").json()["contentBytes"] == "aGVsbG8="
    assert graph.get(f"{path}/{one['id']}/$value").content == b"hello"
    assert graph.call("DELETE", f"{path}/{one['id']}").status_code == 204
    assert graph.get(path).json()["value"] == []


def test_attachments_travel_with_the_sent_draft(graph: GraphClient) -> None:
    draft = graph.draft(mail(attachments=[file("a.txt")]))
    graph.post(f"/me/messages/{draft['id']}/attachments", json=file("b.txt"))

    graph.post(f"/me/messages/{draft['id']}/send")

    names = [one["name"] for one in graph.state.deliveries()[0]["attachments"]]
    assert names == ["a.txt", "b.txt"]


def test_the_source_of_a_message_can_be_read(graph: GraphClient) -> None:
    draft = graph.draft(mail("Grüße", attachments=[file(content=b"hello")]))

    response = graph.get(f"/me/messages/{draft['id']}/$value")

    source = email.message_from_bytes(response.content, policy=policy.default)
    assert response.headers["Content-Type"] == "text/plain"
    assert source["Subject"] == "Grüße"
    assert source["Message-ID"] == draft["internetMessageId"]
    assert [part.get_content() for part in source.iter_attachments()] == ["hello"]


def test_the_body_can_be_read_as_text(graph: GraphClient) -> None:
    draft = graph.draft()

    response = graph.get(
        f"/me/messages/{draft['id']}", headers={"Prefer": 'outlook.body-content-type="text"'}
    )

    assert response.json()["body"] == {"contentType": "text", "content": "x"}


def test_scripts_are_stripped_from_html_unless_asked_for(graph: GraphClient) -> None:
    html = {"contentType": "html", "content": "<p>x</p><script>y</script>"}
    path = f"/me/messages/{graph.draft(mail(body=html))['id']}"

    plain = graph.get(path).json()
    unsafe = graph.get(path, headers={"Prefer": "outlook.allow-unsafe-html"}).json()

    assert "<script>" not in plain["body"]["content"]
    assert "<script>" in unsafe["body"]["content"]


def test_a_mail_over_the_mailbox_limit_is_refused(graph: GraphClient) -> None:
    graph.option(message_size_limit=1000)
    draft = graph.draft()

    response = graph.post(f"/me/messages/{draft['id']}/attachments", json=file(content=b"x" * 1000))

    assert error_of(response) == (400, "ErrorMessageSizeExceeded")
