"""Run by the tools' Python: checkov's report of each file on standard input, as one.

Each file is scanned by itself. checkov looks a parameter up by its name alone, in all the files of
a scan at once, and the last one wins (`BicepLocalGraph.vertices_by_name`); the files are a set of
paths, so which one is last changes with the hash seed and the folder. Scanned together, any value
`name: name` may be worked out with the default that another file gives to its own `name`.
"""

from __future__ import annotations

import functools
import json
import logging
import sys


def main() -> None:
    # What checkov logs about a check that crashed is read from standard error; all else is noise.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    import checkov.arm.runner  # type: ignore[import-not-found]  # noqa: F401 - registers what Bicep shares with ARM
    from checkov.bicep import parser  # type: ignore[import-not-found]
    from checkov.bicep.runner import Runner  # type: ignore[import-not-found]
    from checkov.runner_filter import RunnerFilter  # type: ignore[import-not-found]

    # Its grammar takes longer to read than any file.
    parser.BicepParser = functools.cache(parser.BicepParser)

    found: dict[str, list[object]] = {
        "passed_checks": [],
        "failed_checks": [],
        "skipped_checks": [],
        "parsing_errors": [],
    }
    for path in json.load(sys.stdin):
        report = Runner().run(
            root_folder=None,
            files=[path],
            runner_filter=RunnerFilter(framework=["bicep"], show_progress_bar=False),
        )
        found["parsing_errors"] += report.parsing_errors
        for kind in ("passed_checks", "failed_checks", "skipped_checks"):
            found[kind] += [
                {
                    "check_id": record.check_id,
                    "check_name": record.check_name,
                    "check_result": {
                        "suppress_comment": record.check_result.get("suppress_comment", "")
                    },
                    "resource": record.resource,
                    "file_abs_path": record.file_abs_path,
                }
                for record in getattr(report, kind)
            ]
    json.dump({"results": found}, sys.stdout)


if __name__ == "__main__":
    main()
