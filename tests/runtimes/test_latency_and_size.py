import gzip
from pathlib import Path

import pytest

from tfopt.runtimes import measure_latency, measure_size
from tfopt.runtimes._latency import time_calls


@pytest.mark.parametrize("name", ["dense", "dense int8", "two"])
def test_latency_is_positive_and_ordered(files: dict[str, bytes], name: str) -> None:
    latency = measure_latency(files[name], runs=7, warmup=1)
    assert 0 < latency.p5_ms <= latency.median_ms <= latency.p95_ms
    assert (latency.runs, latency.num_threads) == (7, 1)


def test_every_call_counts() -> None:
    calls: list[int] = []
    time_calls(lambda: calls.append(1), runs=4, warmup=3)
    assert len(calls) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": 0}, "'runs' argument must be an integer of at least 1. Got 0"),
        ({"runs": 2.5}, "'runs' argument must be an integer of at least 1. Got 2.5"),
        ({"warmup": -1}, "'warmup' argument must be an integer of at least 0. Got -1"),
    ],
)
def test_bad_counts_are_refused(files: dict[str, bytes], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_latency(files["dense"], **arguments)


def test_size_of_a_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    (tmp_path / "data").write_bytes(data)
    size = measure_size(tmp_path / "data")
    assert size == measure_size(data)
    assert size.raw == 10_240
    packed = gzip.compress(data, 9, mtime=0)
    assert size.gzip == len(packed) < 500
    assert gzip.decompress(packed) == data


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'source' argument must be the path of a file. Got 'nowhere'"):
        measure_size("nowhere")
