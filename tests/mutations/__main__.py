"""Break one rule at a time and see that the tests notice.

    python -m tests.mutations                     # all of them, two at a time
    python -m tests.mutations bcc-becomes-cc      # some, by their names
    python -m tests.mutations --list

Exit code 0 says that every mutation was caught. One that cannot be applied is a failure too: where
the code has changed, change the mutation with it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.mutations import of_acceptance, of_delivery, of_security
from tests.mutations.running import Verdict, reports, unchanged_tree_passes

MUTATIONS = (*of_delivery.MUTATIONS, *of_acceptance.MUTATIONS, *of_security.MUTATIONS)


def main() -> int:
    """Returns the exit code."""
    names = [mutation.name for mutation in MUTATIONS]
    parser = argparse.ArgumentParser(description="Break one rule at a time; the tests must notice.")
    parser.add_argument("names", nargs="*", metavar="name", help="mutations to try; all by default")
    parser.add_argument("--at-once", type=int, default=2, help="mutations at a time (default: 2)")
    parser.add_argument("--list", action="store_true", help="print the mutations and their rules")
    options = parser.parse_args()
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"no mutation is called {', '.join(sorted(unknown))}; see --list")
    chosen = [one for one in MUTATIONS if not options.names or one.name in options.names]
    if options.list:
        for mutation in chosen:
            print(f"{mutation.name:<44} {mutation.rule}")
        return 0
    began = time.monotonic()
    trouble = unchanged_tree_passes(chosen)
    if trouble is not None:
        print(f"{trouble}\nThe named tests do not pass without a mutation: mend them first.")
        return 1
    counts: Counter[Verdict] = Counter()
    for report in reports(chosen, max(1, options.at_once)):
        counts[report.verdict] += 1
        print(
            f"{report.verdict.value:<14} {report.seconds:5.1f} s  {report.mutation.name}"
            f"  ({report.detail})",
            flush=True,
        )
    told = ", ".join(f"{counts[verdict]} {verdict.value.lower()}" for verdict in Verdict)
    print(f"{len(chosen)} mutations: {told}, in {time.monotonic() - began:.0f} s.")
    return 0 if counts[Verdict.CAUGHT] == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
