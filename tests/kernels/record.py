"""Records what a runtime's kernels make of random codes, for the tests that run without it.

python -m tests.kernels.record --runtime reference    # TFLite Micro: tests/data/reference_kernels.npz
python -m tests.kernels.record --runtime xnnpack      # LiteRT: tests/data/xnnpack_kernels.npz
"""

import argparse
from collections.abc import Iterator

import numpy as np

from tests.kernels.golden import DATA, Golden, save
from tests.kernels.one_operator import RUNTIMES
from tests.kernels.samples import OPERATIONS, Sample, random_sample
from tests.kernels.weighted import WEIGHTED, Weighted, random_weighted
from tfopt.kernels import FAMILIES

_SEED = 20261128
# Where today's functions for LiteRT have rules of their own.
_XNNPACK_KINDS = ("Add", "Subtract", "Multiply", "Matmul", "Mean", "Sum", "leaky_relu")


def kinds_of(runtime: str, num_bits: int) -> tuple[str, ...]:
    """The kinds of operation of which a runtime's family has a function of its own."""
    if runtime == "xnnpack":
        return _XNNPACK_KINDS
    family = FAMILIES["reference"]
    table = family.int8 if num_bits == 8 else family.int16
    return tuple(kind for kind in OPERATIONS if kind in table)


def samples(runtime: str) -> Iterator[Sample | Weighted]:
    """One sample of each operation and width, always the same."""
    rng = np.random.default_rng(_SEED)
    for num_bits in (8, 16):
        for kind in kinds_of(runtime, num_bits):
            yield random_sample(OPERATIONS[kind], num_bits, rng)
        for name in WEIGHTED:
            for per_channel in (True, False):
                yield random_weighted(name, num_bits, per_channel, rng)
    if runtime == "xnnpack":
        for kind in ("Rsqrt", "softmax"):
            yield random_sample(OPERATIONS[kind], 16, rng)
        yield random_sample(OPERATIONS["Requantize"], 8, rng, output_bits=16)
        yield random_sample(OPERATIONS["Requantize"], 16, rng, output_bits=8)
        yield random_sample(OPERATIONS["softmax"], 8, rng)
    if runtime == "reference":
        yield random_sample(OPERATIONS["Requantize"], 8, rng, output_bits=16)
        yield random_sample(OPERATIONS["Requantize"], 16, rng, output_bits=8)
        yield random_weighted("CONV_2D", 16, True, rng, bias_bits=32)
        yield random_weighted("FULLY_CONNECTED", 16, True, rng, bias_bits=32)


def record(runtime: str) -> list[Golden]:
    """Each sample with what the runtime writes."""
    run = RUNTIMES[runtime]
    rows = []
    for sample in samples(runtime):
        codes = [sample.codes] if isinstance(sample, Weighted) else list(sample.codes)
        rows.append(Golden(sample, run(sample.content(), codes)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", choices=sorted(RUNTIMES), required=True)
    runtime = parser.parse_args().runtime
    path = DATA / f"{runtime}_kernels.npz"
    rows = record(runtime)
    save(path, rows)
    print(f"{path.name}: {len(rows)} kernels, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
