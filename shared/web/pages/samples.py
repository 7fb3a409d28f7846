"""Sample requests that a person can copy. They contain this app's addresses, and never a key."""

from __future__ import annotations

import msgspec

_SOMEWHERE = "https://<storage account>.queue.core.windows.net"


class Sample(msgspec.Struct, frozen=True):
    """A request in one language."""

    name: str
    language: str
    code: str


def over_http(origin: str) -> tuple[Sample, ...]:
    """`POST /api/send`."""
    return _filled(_HTTP, "http", {"@APP@": origin})


def by_queue(service: str | None, queue: str) -> tuple[Sample, ...]:
    """Putting a mail on the queue."""
    url = (service or _SOMEWHERE).rstrip("/")
    account = url.partition("://")[2].partition(".")[0]
    return _filled(_QUEUE, "queue", {"@SERVICE@": url, "@ACCOUNT@": account, "@QUEUE@": queue})


def _filled(
    samples: tuple[tuple[str, str], ...], name: str, facts: dict[str, str]
) -> tuple[Sample, ...]:
    found = []
    for number, (language, code) in enumerate(samples):
        for word, fact in facts.items():
            code = code.replace(word, fact)
        found.append(Sample(f"{name}-{number}", language, code.strip()))
    return tuple(found)


_HTTP = (
    (
        "curl",
        """
curl -X POST '@APP@/api/send' \\
  -H "x-functions-key: $KEY" -H 'Content-Type: application/json' -H 'Idempotency-Key: first-curl-mail' \\
  -d '{"to": "ada@example.com", "subject": "Your invoice", "text": "It is due on Friday."}'
""",
    ),
    (
        "Python",
        """
import os
import requests

answer = requests.post(
    "@APP@/api/send",
    headers={"x-functions-key": os.environ["KEY"], "Idempotency-Key": "first-python-mail"},
    json={"to": "ada@example.com", "subject": "Your invoice", "text": "It is due on Friday."},
    timeout=30,
)
if answer.status_code != 202:
    raise RuntimeError(f"{answer.status_code}: {answer.text}")  # what is wrong, and what to do
print(answer.json()["id"])
""",
    ),
    (
        "PowerShell",
        """
$mail = @{ to = 'ada@example.com'; subject = 'Your invoice'; text = 'It is due on Friday.' }
$body = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $mail -Depth 5))
Invoke-RestMethod -Method Post -Uri '@APP@/api/send' -ContentType 'application/json; charset=utf-8' `
    -Headers @{ 'x-functions-key' = $env:KEY; 'Idempotency-Key' = 'first-powershell-mail' } -Body $body
""",
    ),
    (
        "C#",
        """
using System.Net.Http.Json;

using var http = new HttpClient { BaseAddress = new Uri("@APP@") };
using var request = new HttpRequestMessage(HttpMethod.Post, "/api/send");
request.Headers.Add("x-functions-key", Environment.GetEnvironmentVariable("KEY"));
request.Headers.Add("Idempotency-Key", "first-csharp-mail");
var mail = new { to = "ada@example.com", subject = "Your invoice", text = "It is due on Friday." };
request.Content = JsonContent.Create(mail);
await request.Content.LoadIntoBufferAsync();   // the host takes no body without a Content-Length
using var answer = await http.SendAsync(request);
var body = await answer.Content.ReadAsStringAsync();
Console.WriteLine($"{(int)answer.StatusCode}: {body}");   // the id, or what is wrong
""",
    ),
)

_QUEUE = (
    (
        "Azure CLI",
        """
az storage message put --queue-name '@QUEUE@' --account-name '@ACCOUNT@' --auth-mode login \\
  --content '{"to": "ada@example.com", "subject": "Your invoice", "text": "It is due on Friday."}'
""",
    ),
    (
        "curl",
        """
TOKEN=$(az account get-access-token --resource https://storage.azure.com --query accessToken -o tsv)
curl -X POST '@SERVICE@/@QUEUE@/messages' \\
  -H "Authorization: Bearer $TOKEN" -H 'x-ms-version: 2024-11-04' \\
  -H "x-ms-date: $(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')" -H 'Content-Type: application/xml' \\
  -d "<QueueMessage><MessageText>$(base64 < mail.json | tr -d '\\n')</MessageText></QueueMessage>"
""",
    ),
    (
        "Python",
        """
import json
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueClient

mail = {"to": "ada@example.com", "subject": "Your invoice", "text": "It is due on Friday."}
queue = QueueClient("@SERVICE@", "@QUEUE@", credential=DefaultAzureCredential())
queue.send_message(json.dumps(mail))
""",
    ),
    (
        "PowerShell",
        """
$context = New-AzStorageContext -StorageAccountName '@ACCOUNT@' -UseConnectedAccount
$queue = (Get-AzStorageQueue -Name '@QUEUE@' -Context $context).QueueClient
$mail = @{ to = 'ada@example.com'; subject = 'Your invoice'; text = 'It is due on Friday.' }
$queue.SendMessage((ConvertTo-Json -InputObject $mail -Depth 5))
""",
    ),
    (
        "C#",
        """
using System.Text.Json;
using Azure.Identity;
using Azure.Storage.Queues;

var mail = JsonSerializer.Serialize(
    new { to = "ada@example.com", subject = "Your invoice", text = "It is due on Friday." });
var queue = new QueueClient(new Uri("@SERVICE@/@QUEUE@"), new DefaultAzureCredential());
await queue.SendMessageAsync(mail);
""",
    ),
)
