"""`python -m bench.plots`: the pictures of docs/performance.md, drawn from `bench/results`.

Runs in the virtual environment of requirements-bench.txt, the only one that has matplotlib.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "bench" / "results"
IMAGES = REPOSITORY / "docs" / "images"
OURS, VARIANT, FLOOR, PEERS = "#1d5fd0", "#8fb3ea", "#9aa3af", "#d97a2b"
WORDS = {"accept": "accepting", "deliver": "delivering", "insert": "inserting its row alone"}
TITLES = {
    "text_2_kb": "2 KB of text",
    "html_20_kb_file_100_kb": "20 KB of html, a file of 100 KB",
    "file_2_mb": "a file of 2 MB",
    "file_20_mb": "a file of 20 MB, by upload session",
}


def main() -> None:
    """Draw what there are results for."""
    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "figure.facecolor": "white",
        }
    )
    for name, draw in (
        ("cold_start", _cold_start),
        ("sending", _sending),
        ("accepting", _accepting),
        ("scaling", _scaling),
        ("growth", _growth),
    ):
        path = RESULTS / f"{name}.json"
        if path.exists():
            document = json.loads(path.read_text("utf-8"))
            figure = draw(document["raw"])
            figure.savefig(IMAGES / f"bench-{name.replace('_', '-')}.png", dpi=110)
            plt.close(figure)


def _cold_start(raw: Mapping[str, Any]) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 2.5), layout="constrained", sharey=True)
    figure.suptitle("Cold start, milliseconds (median)", x=0.01, ha="left", fontsize=11)
    for panel, clock, title in (
        (panels[0], "wall_ms", "process start to first request to Graph"),
        (panels[1], "cpu_ms", "processor time"),
    ):
        _bars(panel, title, {app: one[clock]["median"] for app, one in raw.items()}, "{:.0f}")
    return figure


def _sending(raw: Mapping[str, Any]) -> Any:
    figure, panels = plt.subplots(2, 2, figsize=(8.6, 4.6), layout="constrained", sharey=True)
    figure.suptitle(
        "Processor time of one mail, milliseconds (median)", x=0.01, ha="left", fontsize=11
    )
    for panel, (kind, senders) in zip(panels.flat, raw.items(), strict=True):
        values = {
            delivery_mode: one["cpu_ms"]["median"] if "cpu_ms" in one else None
            for delivery_mode, one in senders.items()
        }
        _bars(panel, TITLES[kind], values, "{:.1f}")
    return figure


def _accepting(raw: Mapping[str, Any]) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 2.7), layout="constrained")
    figure.suptitle("Against the mails in the ledger", x=0.01, ha="left", fontsize=11)
    for callers, colour in zip((1, 8, 32), (OURS, PEERS, FLOOR), strict=True):
        cells = sorted(
            (cell for cell in raw["cells"] if cell["callers"] == callers),
            key=lambda cell: cell["ledger"],
        )
        rates = [statistics.median(cell["requests_a_second"]) for cell in cells]
        ledgers = [cell["ledger"] for cell in cells]
        panels[0].plot(ledgers, rates, "o-", color=colour, label=f"{callers} at a time")
    _axes(panels[0], "POST /api/send, requests a second", "mails in the ledger")
    for of, colour in (("accept", OURS), ("deliver", PEERS), ("insert", FLOOR)):
        times = [statistics.median(one[f"{of}_ms"]) for one in raw["warm"]]
        panels[1].plot(
            [one["ledger"] for one in raw["warm"]], times, "o-", color=colour, label=WORDS[of]
        )
    _axes(panels[1], "one mail after the other, milliseconds (median)", "mails in the ledger")
    return figure


def _scaling(raw: Mapping[str, Any]) -> Any:
    latencies = sorted({run["latency"] for run in raw["runs"]})
    figure, panels = plt.subplots(
        1, len(latencies), figsize=(8.6, 2.7), layout="constrained", squeeze=False
    )
    figure.suptitle("Draining, mails a second by processes", x=0.01, ha="left", fontsize=11)
    for panel, latency in zip(panels.flat, latencies, strict=True):
        for mailboxes, colour in ((1, FLOOR), (10, PEERS), (50, OURS)):
            runs = [
                run
                for run in raw["runs"]
                if (run["mailboxes"], run["latency"]) == (mailboxes, latency)
            ]
            if runs:
                panel.plot(
                    [run["workers"] for run in runs],
                    [run["mails_a_second"] for run in runs],
                    "o-",
                    color=colour,
                    label=f"{mailboxes} mailbox{'es' * (mailboxes > 1)}",
                )
        _axes(panel, f"Graph answers after {latency * 1000:.0f} ms", "worker processes")
        panel.set_xticks([1, 2, 4])
    return figure


def _growth(raw: Mapping[str, Any]) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 2.9), layout="constrained")
    figure.suptitle("Against the size of a mail's file", x=0.01, ha="left", fontsize=11)
    sizes = [one["bytes"] / 1e6 for one in raw["sizes"]]
    for of, colour in (("accept", OURS), ("deliver", PEERS)):
        line = raw["lines"][of]
        times = [statistics.median(one[f"{of}_ms"]) for one in raw["sizes"]]
        panels[0].plot(
            sizes, times, "o", color=colour, label=f"{WORDS[of]}, R² {line['r_squared']:.3f}"
        )
        straight = [(line["base"] + line["slope_for_a_byte"] * size * 1e6) * 1000 for size in sizes]
        panels[0].plot(sizes, straight, "-", color=colour, linewidth=1)
        peaks = [one[f"{of}_peak_bytes"] / 1e6 for one in raw["sizes"]]
        panels[1].plot(sizes, peaks, "o-", color=colour, linewidth=1, label=WORDS[of])
    _axes(panels[0], "milliseconds (median)", "MB")
    _axes(panels[1], "memory beside what is there already, MB", "MB")
    return figure


def _axes(panel: Any, title: str, across: str) -> None:
    panel.set_title(title)
    panel.set_xlabel(across)
    # Room above the lines, for the legend to stand beside none of them.
    panel.set_ylim(0, panel.get_ylim()[1] * 1.45)
    panel.legend(frameon=False, loc="upper left")
    panel.xaxis.set_major_formatter("{x:,.6g}")


def _bars(panel: Any, title: str, values: Mapping[str, float | None], form: str) -> None:
    names = [name.replace("`", "") for name in values]
    lengths = [value or 0.0 for value in values.values()]
    bars = panel.barh(names, lengths, color=_colours(names), height=0.66)
    labels = ["cannot" if value is None else form.format(value) for value in values.values()]
    panel.bar_label(bars, labels, padding=3)
    panel.set_title(title)
    panel.set_xlim(0, max(lengths) * 1.18)
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)
    panel.tick_params(axis="y", length=0)
    if not panel.yaxis_inverted():
        panel.invert_yaxis()


def _colours(names: Sequence[str]) -> list[str]:
    found = {"Postroom": OURS, **{name: VARIANT for name in names if name.startswith("Postroom,")}}
    found |= {name: FLOOR for name in names if "requests" in name}
    return [found.get(name, PEERS) for name in names]


if __name__ == "__main__":
    main()
