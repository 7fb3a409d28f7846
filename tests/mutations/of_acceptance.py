"""Mutations of what happens before a mail is in the ledger: idempotency, policy, limits, MIME."""

from __future__ import annotations

from tests.mutations.mutation import Mutation, unit

_SUBMISSION = "shared/services/intake/submission.py"
_IDEMPOTENCY = "shared/services/intake/idempotency.py"
_CHOICE = "shared/mail/choice.py"

IDEMPOTENCY = (
    Mutation(
        "key-stands-for-two-documents",
        _IDEMPOTENCY,
        "        if claimed.document_hash != order.document_hash:\n"
        "            raise key_conflict()\n",
        "",
        "A key that comes with another document is refused.",
        unit("services/intake/test_submission"),
    ),
    Mutation(
        "second-caller-writes-another-mail",
        _IDEMPOTENCY,
        "return replace(mail, mail_id=claimed.mail_id), earlier",
        "return mail, earlier",
        "Two callers with one key write one mail, even where the first has died.",
        unit("services/intake/test_submission", "services/delivery/test_interleavings"),
    ),
    Mutation(
        "replay-counts-as-own-write",
        _SUBMISSION,
        "ours = found.mail.accepted_at == mail.accepted_at and (\n"
        "                found.mail.lease_id == mail.lease_id\n            )",
        "ours = True",
        "A mail that was there already is a replay, and is not sent a second time.",
        unit("services/intake/test_submission", "services/delivery/test_interleavings"),
    ),
    Mutation(
        "all-queue-messages-have-one-id",
        "shared/mail/ids.py",
        "hashlib.sha256(message_id.encode()).digest()[:10]",
        "hashlib.sha256(message_id[:0].encode()).digest()[:10]",
        "Each queue message becomes a mail of its own.",
        unit("mail/test_ids"),
    ),
    Mutation(
        "key-lives-for-ever",
        "shared/services/intake/ports.py",
        "return now - self.claimed_at <= KEY_LIFETIME",
        "return now >= self.claimed_at",
        "A key is free again after 24 hours.",
        unit("services/intake/test_submission"),
    ),
    Mutation(
        "earlier-mail-of-another-document",
        _IDEMPOTENCY,
        "if claim is None or claim.document_hash != order.document_hash:\n            return None",
        "if claim is None:\n            return None",
        "A document that is refused today is not answered with another document's mail.",
        unit("services/intake/test_submission"),
    ),
    Mutation(
        "mails-of-a-batch-share-a-key",
        "shared/services/intake/batch.py",
        "place=internal_key(key, index)",
        "place=internal_key(key, 0)",
        "Each mail of a batch has a key of its own.",
        unit("services/intake/test_batch"),
    ),
)

POLICY = (
    Mutation(
        "named-account-sends-from-any-address",
        _CHOICE,
        "if sender is not None and not account.may_send_as(sender.email):",
        "if sender is not None and account.alias != alias:",
        "A named account sends only from the addresses on its list.",
        unit("mail/test_choice"),
    ),
    Mutation(
        "owner-does-not-come-first",
        _CHOICE,
        "return (owners or permitted)[0]",
        "return (permitted or owners)[0]",
        "The account that owns the From address carries the mail.",
        unit("mail/test_choice"),
    ),
    Mutation(
        "missing-permission-is-overlooked",
        _CHOICE,
        "return account.owns(address) or account.may_send_shared",
        "return account.owns(address) or address is not None",
        "Another From address than the account's own needs Mail.Send.Shared.",
        unit("mail/test_choice"),
    ),
    Mutation(
        "any-account-is-the-default",
        _CHOICE,
        "        if account.is_default:\n",
        "        if account.alias:\n",
        "A mail that names neither account nor From goes from the default account.",
        unit("mail/test_choice"),
    ),
    Mutation(
        "locked-reply-to-is-taken",
        "shared/mail/composing.py",
        "bool(message.reply_to) and message.reply_to != defaults.reply_to,",
        "False,",
        "A mail does not override the Reply-To that its account locks.",
        unit("services/intake/test_submission", "mail/test_defaults"),
    ),
    Mutation(
        "locked-display-name-is-taken",
        "shared/mail/composing.py",
        'name not in ("", usual_name),',
        "False,",
        "A mail does not override the display name that its account locks.",
        unit("services/intake/test_submission", "mail/test_defaults"),
    ),
    Mutation(
        "held-account-sends",
        "shared/mail/account.py",
        "return self.held_until is not None and self.held_until <= now",
        "return self.held_until is not None",
        "A held account sends nothing before its hold is over.",
        unit("mail/test_account", "services/delivery/test_delivery"),
    ),
    Mutation(
        "signed-out-account-accepts",
        "shared/services/intake/order_checks.py",
        "    if account.state is AccountState.NEEDS_SIGN_IN:\n        row = why(account)",
        "    if account.state is AccountState.HELD:\n        row = why(account)",
        "A mail for an account that must be signed in again is refused over HTTP.",
        unit("services/intake/test_submission"),
    ),
    Mutation(
        "revoked-sender-is-used",
        "shared/services/delivery/attempts.py",
        "        if account.may_send_as(sender.email):\n            return True",
        "        if account.may_send_as(sender.email) or sender.email:\n            return True",
        "An address that was taken off the list is not used for mails that still wait.",
        unit("services/delivery/test_delivery"),
    ),
)

LIMITS_AND_MIME = (
    Mutation(
        "mail-above-the-limit-is-accepted",
        "shared/mail/limits.py",
        "    if mail > max_mail_bytes:\n",
        "    if mail > 2 * max_mail_bytes:\n",
        "A mail larger than POSTROOM_MAX_MAIL_BYTES is refused.",
        unit("mail/test_limits"),
    ),
    Mutation(
        "personal-limit-is-forgotten",
        "shared/mail/limits.py",
        "account.kind is AccountKind.PERSONAL and files > MAX_PERSONAL_BYTES",
        "account.kind is AccountKind.SHARED and files > MAX_PERSONAL_BYTES",
        "Outlook.com's limit holds for personal accounts.",
        unit("mail/test_limits"),
    ),
    Mutation(
        "mime-has-the-limit-of-json",
        "shared/mail/graph_payload.py",
        "        return len(request.body) <= _base64_length(MAX_MIME_BYTES)\n    # Base64",
        "        return len(request.body) <= MAX_REQUEST_BYTES\n    # Base64",
        "MIME has a lower limit than JSON: above it Graph answers 200 and sends nothing.",
        unit("mail/test_limits", "mail/test_graph_payload"),
    ),
    Mutation(
        "request-of-any-size-is-read",
        "shared/web/api/request_body.py",
        "if (_is_number(declared) and float(declared) > max_bytes) or len(body) > max_bytes:",
        "if max_bytes < 0:",
        "A request body larger than the setting says is refused.",
        ("tests/functional/test_send.py", "tests/functional/test_large.py"),
    ),
    Mutation(
        "too-many-recipients",
        "shared/mail/message.py",
        "    if recipients > MAX_RECIPIENTS:\n",
        "    if recipients > 2 * MAX_RECIPIENTS:\n",
        "A mail has at most as many recipients as Exchange takes.",
        unit("mail/test_message", "services/intake/test_mail_document"),
    ),
    Mutation(
        "bcc-becomes-cc",
        "shared/mail/graph_payload.py",
        '("bccRecipients", message.bcc),',
        '("ccRecipients", message.bcc),',
        "Nobody sees the Bcc recipients of a mail.",
        unit("mail/test_graph_payload"),
    ),
    Mutation(
        "draft-has-no-key",
        "shared/mail/graph_payload.py",
        '        "from": _recipient(sender),\n'
        '        "singleValueExtendedProperties": [{"id": KEY_PROPERTY, "value": key}],',
        '        "from": _recipient(sender),',
        "Every JSON message carries the mail's id, by which a lost answer is cleared up.",
        unit("mail/test_graph_payload"),
    ),
    Mutation(
        "line-break-in-a-header-value",
        "shared/mail/header_rules.py",
        "    if has_control_characters(value):\n",
        "    if has_control_characters(name):\n",
        "A header value holds no line break, and so adds no header of its own.",
        unit("mail/test_message"),
    ),
    Mutation(
        "reserved-header-is-taken",
        "shared/mail/header_rules.py",
        "        fault = refusal_in_document(name) or _value_fault(name, value)\n",
        "        fault = refusal(name) or _value_fault(name, value)\n",
        "A caller's headers do not stand for fields such as From, Bcc or our key.",
        unit("mail/test_message"),
    ),
)

MUTATIONS = (*IDEMPOTENCY, *POLICY, *LIMITS_AND_MIME)
