"""Files timed in turns: what is claimed, and what is not."""

import numpy as np
import pytest

from tfopt.runtimes import BenchReport, BenchRow, bench
from tfopt.runtimes._bench import interval_of_median


def row(name: str, low: float, median: float, high: float) -> BenchRow:
    return BenchRow(name, median, low, high, 2 * high, 60, 1000, 500)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (row("b", 0.9, 1.0, 1.05), "no difference, the intervals overlap"),
        (row("b", 0.4, 0.5, 0.6), "2 times faster"),
        (row("b", 1.9, 2.0, 2.1), "2 times slower"),
        (row("b", 1.05, 1.2, 1.3), "no difference, the intervals overlap"),
    ],
)
def test_a_difference_is_claimed_where_the_intervals_are_apart(other: BenchRow, said: str) -> None:
    report = BenchReport("LiteRT", 1, (row("a", 0.9, 1.0, 1.05), other))
    assert report.against_first(other) == f"b against a: {said}."
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_the_interval_holds_the_median_with_95_percent() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        low, high = interval_of_median(np.sort(rng.exponential(size=20)))
        held += low <= np.log(2.0) <= high
    assert 0.94 <= held / 2000 <= 0.99


def test_files_are_timed(files: dict[str, bytes]) -> None:
    report = bench({"float": files["dense"], "int8": files["dense int8"]}, runs=61)
    assert [(one.name, one.runs) for one in report.rows] == [("float", 70), ("int8", 70)]
    assert all(0 < one.low_ms <= one.median_ms <= one.high_ms for one in report.rows)
    assert report.rows[0].raw_bytes == len(files["dense"])


def test_bad_calls_teach(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="'runs' argument must be an integer of at least 60"):
        bench({"a": files["dense"]}, runs=5)
    with pytest.raises(ValueError, match="each under a name of its own"):
        bench(["a/model.tflite", "b/model.tflite"])
