"""What was measured beside the peers, in the words of the tables of docs/performance.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from bench import cold_start, sending
from bench.cold_start import Starts
from bench.peers.letters import LARGEST, TITLES
from bench.report import Result, Row
from bench.sending import FLOOR, POSTROOM, Kinds, Sent

_TIMES = "\N{MULTIPLICATION SIGN}"
_MEGABYTE = 1024 * 1024
_STRETCHES = 20


def of_sending(found: Kinds) -> Result:
    """Postroom against the floor and the best of the peers, kind by kind; all in one table."""
    rows: list[Row] = []
    for kind, senders in found.items():
        rows += _against_floor(kind, senders)
        rows.append(_against_peers(kind, senders))
    rows += _upload(found[LARGEST])
    raw = {
        kind: {delivery_mode: _raw(sent) for delivery_mode, sent in senders.items()}
        for kind, senders in found.items()
    }
    versions = sending.versions()
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Result(
        "sending", rows, raw, more=[_sending_table(found), f"The peers: {named}."], peers=versions
    )


def _against_floor(kind: str, senders: Mapping[str, Sent]) -> Iterable[Row]:
    ours, floor = senders[POSTROOM].cpu_median, senders[FLOOR].cpu_median
    yield Row(
        f"processor time of one mail beside its peers, {TITLES[kind]}",
        f"≤ {sending.CPU_BUDGET:.0f} {_TIMES} a bare session",
        f"{ours / floor:.2f} {_TIMES} ({_ms(ours)} against {_ms(floor)})",
        ours <= sending.CPU_BUDGET * floor,
    )


def _against_peers(kind: str, senders: Mapping[str, Sent]) -> Row:
    ours = senders[POSTROOM].cpu_median
    peers = {
        delivery_mode: sent.cpu_median
        for delivery_mode, sent in senders.items()
        if delivery_mode not in (POSTROOM, FLOOR) and sent.refusal is None
    }
    best = min(peers, key=lambda delivery_mode: peers[delivery_mode])
    return Row(
        f"processor time of one mail, {TITLES[kind]}",
        "below every peer",
        f"{_ms(ours)}; {best} {_ms(peers[best])}",
        ours < peers[best],
    )


def _upload(senders: Mapping[str, Sent]) -> Iterable[Row]:
    ours, floor = senders[POSTROOM], senders[FLOOR]
    yield Row(
        f"time of {TITLES[LARGEST]}, from memory",
        f"≤ {sending.UPLOAD_TIME_BUDGET} {_TIMES} a bare chunk loop",
        f"{ours.wall_median / floor.wall_median:.2f} {_TIMES} ({_ms(ours.wall_median)} against "
        f"{_ms(floor.wall_median)})",
        ours.wall_median <= sending.UPLOAD_TIME_BUDGET * floor.wall_median,
    )
    yield Row(
        f"memory of {TITLES[LARGEST]}",
        f"≤ {sending.UPLOAD_MEMORY_BUDGET // _MEGABYTE} MB",
        f"{ours.peak / _MEGABYTE:.0f} MB",
        ours.peak <= sending.UPLOAD_MEMORY_BUDGET,
    )


def _sending_table(found: Kinds) -> str:
    head = "one mail: processor time (of the floor), time by the clock, memory, calls to Graph"
    lines = [
        f"| {head} | " + " | ".join(TITLES[kind] for kind in found) + " |",
        "| --- |" + " --- |" * len(found),
    ]
    for delivery_mode in sending.WAYS:
        cells = (_cell(senders[delivery_mode], senders[FLOOR]) for senders in found.values())
        lines.append(f"| {delivery_mode} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(sent: Sent, floor: Sent) -> str:
    if sent.refusal is not None:
        return f"cannot: {sent.refusal.split('Microsoft Graph API error')[0].strip()}"
    ratio = sent.cpu_median / floor.cpu_median
    return (
        f"{_ms(sent.cpu_median)} ({ratio:.1f} {_TIMES}), {_ms(sent.wall_median)}, "
        f"{sent.peak / _MEGABYTE:.1f} MB, {sent.graph_calls:.0f}"
    )


def _raw(sent: Sent) -> Mapping[str, object]:
    if sent.refusal is not None:
        return {"refusal": sent.refusal}
    return {
        "mails": len(sent.cpu),
        "cpu_ms": _spread(sent.cpu),
        "wall_ms": _spread(sent.wall),
        "peak_bytes": sent.peak,
        "graph_calls": sent.graph_calls,
    }


def _spread(seconds: Sequence[float]) -> Mapping[str, object]:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {
        "median": round(middle * 1000, 3),
        "quartiles": [round(low * 1000, 3), round(high * 1000, 3)],
        "medians_in_time": [round(value * 1000, 2) for value in _in_time(seconds)],
    }


def _in_time(seconds: Sequence[float]) -> Iterable[float]:
    """Medians of up to twenty equal stretches, in the order in which they were measured."""
    size = -(-len(seconds) // _STRETCHES)
    for at in range(0, len(seconds), size):
        yield statistics.median(seconds[at : at + size])


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"


def of_cold_start(found: Starts) -> Result:
    """Postroom against the floor and against the app on msgraph-sdk, by both clocks."""
    rows = [
        _start_row(found, yardstick, name, clock, budget)
        for yardstick, budget in (
            (cold_start.FLOOR, cold_start.FLOOR_BUDGET),
            (cold_start.SDK, cold_start.SDK_BUDGET),
        )
        for clock, name in (("wall", "by the clock"), ("cpu", "processor time"))
    ]
    raw = {
        app: {
            "wall_ms": _spread(started.wall),
            "cpu_ms": _spread(started.cpu),
            "indexed_ms": _spread(started.indexed),
            "modules_indexed": len(started.modules_indexed),
            "modules": len(started.modules),
            "calls": dict(started.calls),
        }
        for app, started in found.items()
    }
    return Result("cold_start", rows, raw, more=[_start_table(found)], peers=sending.versions())


def _start_row(found: Starts, yardstick: str, name: str, clock: str, budget: float) -> Row:
    pair = cold_start.pair(found, yardstick, clock)
    app = f"an app on {yardstick}"
    return Row(
        f"cold start to the first request to Graph, {name}, against {app}",
        f"≤ {budget} {_TIMES}",
        f"{pair.ratio:.2f} {_TIMES} ({pair.median * 1000:.0f} ms against "
        f"{pair.yardstick_median * 1000:.0f} ms)",
        pair.ratio <= budget,
    )


def _start_table(found: Starts) -> str:
    lines = [
        "| cold start of an app on | imported and indexed | first request to Graph | processor time "
        "| modules indexed, in all | calls to Microsoft |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for app, started in found.items():
        times = (started.indexed, started.wall, started.cpu)
        cells = [f"{statistics.median(seconds) * 1000:.0f} ms" for seconds in times]
        cells.append(f"{len(started.modules_indexed)}, {len(started.modules)}")
        cells.append(str(sum(started.calls.values())))
        lines.append(f"| {app} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
