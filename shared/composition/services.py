"""The composition root: builds the services over any adapters.

`shared.bootstrap` gives it the real adapters; tests give it adapters in memory.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.composition.mail_services import MailServices
from shared.mail.pace import Pace

if TYPE_CHECKING:
    from shared.services.accounts.adding import Adding
    from shared.services.accounts.changes import AccountChanges
    from shared.services.accounts.checking import Checking
    from shared.services.accounts.disconnecting import Disconnecting
    from shared.services.accounts.overview import AccountOverviews
    from shared.services.intake.batch import Batch
    from shared.services.mails.changes import Changes
    from shared.services.mails.content import Content
    from shared.services.mails.hourly_stats import HourlyStats
    from shared.services.setup.checklist import Checklist
    from shared.services.sign_in.authorization_code import Consent
    from shared.services.sign_in.connecting import Connecting, ConsentRules
    from shared.services.sign_in.device_code import DeviceSignIn
    from shared.services.sign_in.registration import Registration
    from shared.services.upkeep.operators import Operators
    from shared.services.upkeep.retention import Retention
    from shared.services.upkeep.sweep import Upkeep
    from shared.services.upkeep.watch import Watch
    from shared.web.pages.page_context import PageContext


class Services(MailServices):
    """All services of one process. Each is built on first use, so that a cold start loads only the
    modules of what it runs."""

    @cached_property
    def hourly_stats(self) -> HourlyStats:
        """How many mails there were in each hour."""
        from shared.services.mails.hourly_stats import HourlyStats

        return HourlyStats(self.adapters.mails, self.adapters.hours, self.clock)

    @cached_property
    def upkeep(self) -> Upkeep:
        """Enqueues wake-ups for mails that wait too long."""
        from shared.services.upkeep.sweep import Upkeep

        return Upkeep(
            self._ledger,
            self.adapters.waiting,
            self.adapters.wake_ups,
            self.adapters.accounts,
            self.clock,
        )

    @cached_property
    def retention(self) -> Retention:
        """Removes what was kept for long enough."""
        from shared.services.delivery.stray_drafts import StrayDrafts
        from shared.services.mails.attention import AttentionReconciler
        from shared.services.sign_in.stray_grants import StrayGrants
        from shared.services.upkeep.retention import Keeping, Retention

        return Retention(
            ledger=self._ledger,
            archive=self.adapters.mails,
            waiting=self.adapters.waiting,
            payloads=self.adapters.payloads,
            expiring={"keys": self.adapters.keys, "flows": self.adapters.flows},
            upkeep=self.upkeep,
            clock=self.clock,
            keeping=Keeping(
                timedelta(days=self.settings.retention_days),
                timedelta(days=self.settings.keep_payload_days),
            ),
            further={
                "cases": AttentionReconciler(
                    self._ledger, self.adapters.mails, self.adapters.attention, self.clock
                ).run,
                "drafts": StrayDrafts(
                    drafts=self.adapters.drafts,
                    tokens=self.tokens,
                    accounts=self.adapters.accounts,
                    ledger=self._ledger,
                    clock=self.clock,
                ).remove,
                "grants": StrayGrants(
                    shelf=self.adapters.vault, accounts=self.adapters.accounts, clock=self.clock
                ).remove,
            },
        )

    @cached_property
    def registration(self) -> Registration:
        """The app as Entra knows it."""
        from shared.services.sign_in.registration import Registration

        return Registration(
            client_id=self.settings.client_id,
            tenant=self.settings.tenant,
            authority_host=self.settings.authority_host,
            redirect_uri=self.settings.redirect_uri,
            graph_resource=self.settings.graph_resource,
        )

    @cached_property
    def _rules(self) -> ConsentRules:
        from shared.services.sign_in.connecting import ConsentRules

        return ConsentRules(
            tenant=self.settings.tenant,
            client_id=self.settings.client_id,
            authority_host=self.settings.authority_host,
            allowed_mailboxes=self.settings.allowed_mailboxes,
        )

    @cached_property
    def changes(self) -> Changes:
        """Changes of mails. An instance that only delivers never imports it."""
        from shared.services.delivery.draft_removal import DraftRemoval
        from shared.services.mails.changes import Changes

        return Changes(
            ledger=self._ledger,
            content=self._content,
            accounts=self.adapters.accounts,
            checks=self.order_checks,
            pacing=self.pacing,
            wake_ups=self._wake_ups,
            draft_removal=DraftRemoval(
                finding=self._verified, accounts=self.adapters.accounts, clock=self.clock
            ),
            clock=self.clock,
            mask=self.settings.mask_ledger,
        )

    @cached_property
    def account_changes(self) -> AccountChanges:
        """Changes of accounts."""
        from shared.services.accounts.changes import AccountChanges

        return AccountChanges(self.adapters.accounts)

    @cached_property
    def overviews(self) -> AccountOverviews:
        """What the page of an account shows besides its row."""
        from shared.services.accounts.overview import AccountOverviews

        return AccountOverviews(
            pace=Pace(self.settings.mails_per_minute),
            timetables=self.adapters.timetables,
            attention=self.adapters.attention,
            memory=self.adapters.watch_memory,
            credential=self.adapters.credential,
            clock=self.clock,
        )

    @cached_property
    def checking(self) -> Checking:
        """Checks of accounts."""
        from shared.services.accounts.checking import Checking
        from shared.services.upkeep.watch import AccountNews

        return Checking(
            accounts=self.adapters.accounts,
            checks=self.adapters.checks,
            tokens=self.tokens,
            mail_service=self.adapters.graph,
            drafts=self.adapters.drafts,
            clock=self.clock,
            released=self.upkeep.release,
            announce=AccountNews(self.operators),
        )

    @cached_property
    def disconnecting(self) -> Disconnecting:
        """Disconnecting mailboxes."""
        from shared.services.accounts.disconnecting import Disconnecting

        return Disconnecting(
            departures=self.adapters.accounts,
            shredder=self.adapters.vault,
            timetables=self.adapters.timetables,
            checks=self.adapters.checks,
            ledger=self._ledger,
            changes=self.changes,
            clock=self.clock,
        )

    @cached_property
    def operators(self) -> Operators:
        """Notices to the people who run Postroom."""
        from shared.services.upkeep.operators import Operators

        parts = urlsplit(self.settings.redirect_uri)
        return Operators(
            self.settings.operators,
            submission=self.submission,
            accounts=self.adapters.accounts,
            clock=self.clock,
            accounts_page=f"{parts.scheme}://{parts.netloc}/accounts",
        )

    @cached_property
    def watch(self) -> Watch:
        """The hourly timer."""
        from shared.services.upkeep.watch import Watch

        return Watch(
            accounts=self.adapters.accounts,
            checks=self.adapters.checks,
            checking=self.checking,
            credential=self.adapters.credential,
            memory=self.adapters.watch_memory,
            operators=self.operators,
            clock=self.clock,
        )

    @cached_property
    def content(self) -> Content:
        """The content of mails for a person to read."""
        from shared.services.mails.content import Content

        return Content(self._content)

    @cached_property
    def adding(self) -> Adding:
        """Adding mailboxes that nobody signs in."""
        from shared.services.accounts.adding import Adding

        return Adding(
            tenant=self.settings.tenant,
            allowed_mailboxes=self.settings.allowed_mailboxes,
            accounts=self.adapters.accounts,
            tokens=self.tokens,
            mail_service=self.adapters.graph,
            drafts=self.adapters.drafts,
            clock=self.clock,
            released=self.upkeep.release,
        )

    @cached_property
    def batch(self) -> Batch:
        """Accepting several mails at once."""
        from shared.services.intake.batch import Batch

        return Batch(self.submission, self.clock)

    @cached_property
    def connecting(self) -> Connecting:
        """From a grant to a connected account."""
        from shared.services.delivery.known_header import KnownHeader
        from shared.services.sign_in.connecting import Connecting

        return Connecting(
            rules=self._rules,
            identity=self.adapters.identity,
            mail_service=self.adapters.graph,
            vault=self.adapters.vault,
            accounts=self.adapters.accounts,
            clock=self.clock,
            released=self.upkeep.release,
            connected=KnownHeader(self.adapters.drafts).make_known,
        )

    @cached_property
    def consent(self) -> Consent:
        """Signing in through the browser."""
        from shared.services.sign_in.authorization_code import Consent

        return Consent(
            rules=self._rules,
            identity=self.adapters.identity,
            accounts=self.adapters.accounts,
            flows=self.adapters.flows,
            clock=self.clock,
            connecting=self.connecting,
        )

    @cached_property
    def device_sign_in(self) -> DeviceSignIn:
        """Signing in by a code that is entered elsewhere."""
        from shared.services.sign_in.device_code import DeviceSignIn

        return DeviceSignIn(
            identity=self.adapters.identity,
            flows=self.adapters.flows,
            clock=self.clock,
            connecting=self.connecting,
        )

    @cached_property
    def checklist(self) -> Checklist:
        """The checklist of a new installation."""
        from shared.services.setup.checklist import Checklist
        from shared.services.setup.setup_mail import SetupMail

        return Checklist(
            registration=self.registration,
            proves_by=self.settings.credential,
            vault=self.adapters.vault,
            credential=self.adapters.credential,
            identity=self.adapters.identity,
            accounts=self.adapters.accounts,
            setup_mail=SetupMail(self._ledger, self.submission, self._verified, self.clock),
            clock=self.clock,
        )

    @cached_property
    def page_context(self) -> PageContext:
        """For the pages. An instance that only delivers never imports it."""
        from shared.web.pages.page_context import PageContext

        return PageContext.of(
            self.registration,
            self.adapters.vault,
            self.clock,
            session_seconds=self.settings.session_seconds,
            development=self.settings.development,
        )
