"""Who is ahead of whom: the tables, and the points that no point of ours covers."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from tests.benchmarks.peers.measure import RUNTIMES, Point
from tfopt._report import Table
from tfopt._text import format_bytes

OURS = "tfopt"
# How the line begins that names the points that ours do not cover; `pages` looks for it.
AHEAD = "Ahead of every point of ours"
# Percent correct, and mean squared errors.
FORMS = {False: ".2f", True: ".5f"}
# What a file costs, and the heads of its columns.
COSTS = {
    "raw": "raw",
    "gzip": "gzip",
    "compressed": "for TFLM",
    "vela": "Ethos-U",
    "latency": "latency",
}


def _spread(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    text = format(statistics.mean(known), form)
    return f"{text} ± {format(statistics.stdev(known), form)}" if len(known) > 1 else text


def _by_name(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        found[point.name].append(point)
    return found


def accuracy_table(reference: float, points: Sequence[Point], regression: bool = False) -> Table:
    """A row for each method: accuracy, bytes and latency, over its seeds."""
    form = FORMS[regression]
    rows, failures = [], []
    for name, seeds in _by_name(points).items():
        good = [point for point in seeds if not point.error]
        failures += [f"{name} failed: {point.error}" for point in seeds if point.error][:1]
        if not good:
            rows.append((name, "failed", *["-"] * len(COSTS)))
            continue
        cells = (_mean_cost(good, kind) for kind in COSTS)
        rows.append((name, _spread([point.metric for point in good], form), *cells))
    notes = (f"The float network: {reference:{form}}.", *failures)
    return Table("Accuracy and bytes", ("method", "metric", *COSTS.values()), tuple(rows), notes)


def _mean_cost(points: Sequence[Point], kind: str) -> str:
    known = [point.costs[kind] for point in points if kind in point.costs]
    if not known:
        return "-"
    mean = statistics.mean(known)
    return f"{mean:.4g} ms" if kind == "latency" else format_bytes(round(mean))


def fidelity_table(points: Sequence[Point], regression: bool = False) -> Table:
    """A row for each method: what is left of the model in Keras on each runtime, over its seeds."""
    rows = []
    for name, seeds in _by_name([point for point in points if not point.error]).items():
        shares = (
            _spread([point.faithful.get(runtime) and 100 * point.faithful[runtime] for point in seeds], ".1f")
            for runtime in RUNTIMES
        )
        rows.append((name, *shares, _spread([point.drop for point in seeds], FORMS[regression])))
    return Table("Fidelity", ("method", *(f"{title}, %" for title in RUNTIMES), "drop"), tuple(rows))


def ahead_of_ours(points: Sequence[Point], kind: str = "gzip", lower_is_better: bool = False) -> list[str]:
    """Methods of peers that no method of ours equals in both a cost and the metric, means over seeds.

    Latencies within 5 % of each other are equal: two runs of one file differ by as much.
    """
    sign = -1.0 if lower_is_better else 1.0
    slack = 1.05 if kind == "latency" else 1.0
    means: dict[str, tuple[float, float]] = {}
    ours = []
    for name, seeds in _by_name([point for point in points if point.metric is not None]).items():
        costs = [point.costs[kind] for point in seeds if kind in point.costs]
        if not costs:
            continue
        mean = statistics.mean(costs), statistics.mean(sign * (point.metric or 0.0) for point in seeds)
        if seeds[0].contender == OURS:
            ours.append(mean)
        else:
            means[name] = mean
    return sorted(
        name
        for name, (cost, metric) in means.items()
        if not any(c <= slack * cost and m >= metric for c, m in ours)
    )


def versions_of(points: Sequence[Point]) -> str:
    """The libraries that were used, with who used them where there are several versions."""
    users: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for contender, versions in {
        point.contender: point.result["versions"] for point in points if point.result
    }.items():
        for library, version in versions.items():
            users[library][version].append(contender)
    said = []
    for library, by_version in users.items():
        several = len(by_version) > 1
        each = (
            f"{version} ({', '.join(names)})" if several else version for version, names in by_version.items()
        )
        said.append(f"{library} {', '.join(each)}")
    return f"Versions: {'; '.join(said)}."


def cost_table(points: Sequence[Point]) -> Table:
    """What a method cost: CPU seconds, memory and lines, means over seeds; with the versions of all libraries."""
    rows = tuple(
        (
            name,
            _spread([point.result["cpu_seconds"] for point in seeds], ".1f"),
            format_bytes(max(point.result["peak_bytes"] for point in seeds)),
            str(seeds[0].result["lines"]),
        )
        for name, seeds in _by_name([point for point in points if not point.error]).items()
    )
    columns = ("method", "CPU s", "largest memory", "lines of code")
    return Table("Cost", columns, rows, (versions_of(points),))
