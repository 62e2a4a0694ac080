"""Who is ahead of whom: the tables, and the points that no point of ours covers."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from tests.benchmarks.peers.measure import Point
from tfopt._report import Table
from tfopt._text import format_bytes

OURS = "tfopt"


def _spread(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = format(statistics.mean(known), form)
    return f"{text} ± {format(statistics.stdev(known), form)}" if len(known) > 1 else text


def accuracy_table(task: str, reference: float, points: Sequence[Point], latencies: dict[str, str]) -> Table:
    """A row for each method: accuracy, bytes, latency and fidelity, over its seeds."""
    by_name: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
    rows, failures = [], []
    for name, seeds in by_name.items():
        good = [point for point in seeds if not point.error]
        failures += [f"{name} failed: {point.error}" for point in seeds if point.error][:1]
        if not good:
            rows.append((name, "failed", "-", "-", "-", "-", "-", "-"))
            continue
        kinds = ("raw", "gzip", "compressed")
        bytes_ = (_mean_bytes(good, kind) for kind in kinds)
        faithful = _spread([point.faithful and 100 * point.faithful for point in good], ".1f")
        drop = _spread([point.drop for point in good], ".2f")
        cells = (*bytes_, latencies.get(name, "-"), faithful, drop)
        rows.append((name, _spread([point.metric for point in good], ".2f"), *cells))
    columns = ("method", "metric", "raw", "gzip", "for TFLM", "latency", "faithful %", "drop")
    notes = (f"The float network: {reference:.2f}.", *failures)
    return Table(task, columns, tuple(rows), notes)


def _mean_bytes(points: Sequence[Point], kind: str) -> str:
    known = [point.bytes[kind] for point in points if kind in point.bytes]
    return format_bytes(round(statistics.mean(known))) if known else "-"


def ahead_of_ours(points: Sequence[Point], kind: str = "gzip", lower_is_better: bool = False) -> list[str]:
    """Methods of peers that no method of ours equals in both bytes and metric, means over seeds."""
    sign = -1.0 if lower_is_better else 1.0
    means: dict[tuple[str, str], tuple[float, float]] = {}
    for key in {(point.contender, point.method) for point in points if point.metric is not None}:
        seeds = [p for p in points if (p.contender, p.method) == key and p.metric is not None]
        sizes = [p.bytes[kind] for p in seeds if kind in p.bytes]
        if sizes:
            metric = statistics.mean(sign * p.metric for p in seeds if p.metric is not None)
            means[key] = statistics.mean(sizes), metric
    ours = [mean for (contender, _), mean in means.items() if contender == OURS]
    return sorted(
        f"{contender}: {method}"
        for (contender, method), (size, metric) in means.items()
        if contender != OURS and not any(s <= size and m >= metric for s, m in ours)
    )


def cost_table(points: Sequence[Point]) -> Table:
    """What a method cost: CPU seconds, memory and lines, means over seeds."""
    by_name: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        if not point.error:
            by_name[point.name].append(point)
    rows = tuple(
        (
            name,
            _spread([point.result["cpu_seconds"] for point in seeds], ".1f"),
            format_bytes(max(point.result["peak_bytes"] for point in seeds)),
            str(seeds[0].result["lines"]),
        )
        for name, seeds in by_name.items()
    )
    return Table("Cost", ("method", "CPU s", "largest memory", "lines of code"), rows)
