"""Whether LiteRT computes the same numbers on ARM64, which phones have, as on this x86 machine, to the last bit.

    python -m tests.arm64.check                    # the ten forms of tests/quantization/battery.py
    python -m tests.arm64.check model.tflite ...   # these files
    python -m tests.arm64.check --cache FOLDER     # where the emulated machine is, build/arm64 by default

The files run under QEMU on a processor with the dot product instructions and on one without. Exit code 1 if any output
value differs. The first run downloads some 60 MB of Debian packages and wheels into the cache.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.arm64.emulated import CPUS, Emulated
from tfopt._report import Table
from tfopt.runtimes import TFLiteFile

SAMPLES = 16
INSIDE = Path(__file__).with_name("inside.py")


def export_battery(folder: Path) -> None:
    """Quantizes and exports every form of the battery."""
    import keras

    import tfopt
    from tests.models import samples_for, trained_like
    from tests.quantization.battery import BATTERY

    for name, (make, _, _) in BATTERY.items():
        keras.utils.set_random_seed(0)
        model = trained_like(make())
        tfopt.export(tfopt.quantize(model, calibration=samples_for(model)), folder / f"{name}.tflite")


def write_inputs(file: Path) -> None:
    """Random inputs of a file, over the whole range of its integers."""
    rng = np.random.default_rng(0)
    arrays = {}
    for tensor in TFLiteFile.read(file).inputs:
        shape = (SAMPLES, *tensor.shape[1:])
        if tensor.is_float:
            values = rng.normal(size=shape)
        elif tensor.scales:
            limits = np.iinfo(tensor.dtype)
            values = rng.integers(limits.min, limits.max + 1, shape)
        else:  # it may be an index into a table
            values = rng.integers(0, 2, shape)
        arrays[str(tensor.index)] = values.astype(tensor.dtype)
    np.savez(file.with_suffix(".npz"), **arrays)


def compare(file: Path, suffixes: dict[str, str]) -> list[tuple[str, ...]]:
    """A row for each processor: how many values differ from those of this machine, and by how much."""
    here, rows = np.load(file.with_suffix(".x86.npz")), []
    for title, suffix in suffixes.items():
        there = np.load(file.with_suffix(f".{suffix}.npz"))
        names = [name for name in here.files if name != "delegated"]
        off = [np.abs(here[name].astype("float64") - there[name].astype("float64")) for name in names]
        values, differ = sum(one.size for one in off), sum(int(np.count_nonzero(one)) for one in off)
        kernels = "XNNPACK" if there["delegated"] else "builtin"
        most = max(float(one.max()) for one in off)
        rows.append((file.stem, title, kernels, f"{values:,}", f"{differ:,}", f"{most:g}"))
    return rows


def main() -> int:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help=".tflite files; by default those of the battery")
    parser.add_argument(
        "--cache", type=Path, default=Path("build/arm64"), help="folder of the emulated machine"
    )
    arguments = parser.parse_args()
    emulated = Emulated(arguments.cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.files:
            for file in arguments.files:
                shutil.copy(file, folder)
        else:
            export_battery(folder)
        files = sorted(folder.glob("*.tflite"))
        for file in files:
            write_inputs(file)
        suffixes = {title: cpu.name for title, cpu in CPUS.items()}
        subprocess.run([sys.executable, INSIDE, folder, "x86"], check=True, capture_output=True)
        for cpu in CPUS.values():
            emulated.run(cpu, INSIDE, folder, cpu.name)
        rows = tuple(row for file in files for row in compare(file, suffixes))
    different = sum(row[4] != "0" for row in rows)
    columns = ("file", "dot product", "kernels", "values", "differ", "by at most")
    verdict = f"{different} of {len(rows)} runs differ" if different else "all equal to the last bit"
    print(Table(f"ARM64 against x86: {verdict}", columns, rows))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
