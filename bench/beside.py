"""A million mails in dollars, beside what services ask for that a user would pick instead.

Postroom's part is what a mail adds: operations counted at the wire times the prices of `bench.cost`,
nothing taken off for what Azure gives away each month. A mailbox's licence is on neither side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import cost

MILLION = 1_000_000
MAIL_BYTES = 2_000
_TRANSCRIBED = "read from the provider's page by api-evangelist"


@dataclass(frozen=True)
class ListPrice:
    """What a service asks for a million short mails in one month, in US dollars."""

    service: str
    lowest: float
    highest: float
    how: str
    source: str
    confirmed: bool


SERVICES: Sequence[ListPrice] = (
    ListPrice(
        "Amazon SES",
        100,
        160,
        "à la carte $0.0001 a recipient; Essentials, which new accounts get, $0.00016 a mail",
        f"AWS Price List of 2026-07-22, {_TRANSCRIBED}, 2026-08-13",
        True,
    ),
    ListPrice(
        "Azure Communication Services Email",
        MILLION * 0.00025 + MILLION * MAIL_BYTES / 1e6 * 0.00012,
        MILLION * 0.00025 + MILLION * MAIL_BYTES / 1e6 * 0.00012,
        "$0.00025 a mail and $0.00012 a MB",
        "Microsoft's page email-pricing.md of 2022-04-15; today's price was not found",
        False,
    ),
    ListPrice(
        "SendGrid",
        MILLION * 0.0005,
        89.95 + 900_000 * 0.0011,
        "Pro: $89.95 with 100,000 mails, then $0.0011 to $0.0005 each, less with a larger plan",
        f"twilio.com, {_TRANSCRIBED}, 2026-08-13; the price of a plan of 1,000,000 is not on it",
        False,
    ),
    ListPrice(
        "Mailgun",
        90 + 900 * 0.40,
        90 + 900 * 0.80,
        "Scale: $90 with 100,000 mails, then $0.80 to $0.40 for 1,000 by volume",
        "help.mailgun.com, overages, no date; a public guide of 2026 says about $0.60",
        False,
    ),
    ListPrice(
        "Postmark",
        18 + 990 * 1.20,
        16.50 + 990 * 1.30,
        "Platform $18 or Pro $16.50 with 10,000 mails, then $1.20 or $1.30 for 1,000; "
        "less with a larger plan, and by agreement above 300,000",
        f"postmarkapp.com, {_TRANSCRIBED}, 2026-08-13",
        True,
    ),
)


@dataclass(frozen=True)
class Added:
    """What a million mails add to a month, by meter."""

    title: str
    used: Mapping[str, float]

    @property
    def usd(self) -> float:
        """With nothing given away."""
        return sum(
            units / cost.PRICES[meter].per * cost.PRICES[meter].usd
            for meter, units in self.used.items()
        )

    def each(self, meter: str) -> float:
        """For one mail."""
        return self.used[meter] / MILLION


def added() -> list[Added]:
    """By ways of sending: from the dearest to the cheapest."""
    idle = cost.month(0)
    return [
        Added(
            title,
            {
                meter: units - idle.used[meter]
                for meter, units in cost.month(MILLION, memory_mb=memory, **options).used.items()
                if units > idle.used[meter]
            },
        )
        for title, memory, options in (
            ("each mail alone, by HTTP with a key", None, {}),
            ("dropped on the queue, each alone", None, {"path": "life_queue"}),
            ("by HTTP with a key, 16 at a time", None, {"together": 16}),
        )
    ]
