"""Real data for benchmarks: what lies in the folder that `TFOPT_TEST_DATA` names, or beside it."""

import importlib.util
import os
from pathlib import Path

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def find(name: str) -> Path:
    """The file of this name below the data folder, or below the folder that holds it."""
    folder = os.environ.get("TFOPT_TEST_DATA")
    if not folder:
        raise SystemExit("Skipped: set TFOPT_TEST_DATA to the folder that holds cifar10.py and its data.")
    found = [*Path(folder).rglob(name), *Path(folder).parent.rglob(name)]
    if not found:
        raise SystemExit(f"Skipped: there is no {name} in or beside {folder}.")
    return found[0]


def cifar10() -> Arrays:
    """CIFAR-10 as float32 in [0, 255], which is what MLPerf Tiny's ResNet8 takes: x, y, x_test, y_test."""
    spec = importlib.util.spec_from_file_location("cifar10_data", find("cifar10.py"))
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    (x, y), (x_test, y_test) = module.load()
    return x.astype("float32"), y.reshape(-1), x_test.astype("float32"), y_test.reshape(-1)


def mnist() -> Arrays:
    """The 10,000 test images of MNIST, 28 x 28 x 1 in [0, 1]: 8,000 to train on and 2,000 to test on."""
    with np.load(find("mnist_t10k.npz")) as data:
        x, y = (data["x"][..., None] / 255.0).astype("float32"), data["y"].astype("int64")
    return x[:8000], y[:8000], x[8000:], y[8000:]
