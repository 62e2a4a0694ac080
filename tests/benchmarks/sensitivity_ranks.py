"""Whether proxies order the layers of a network as measurement does, and find the three worst.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.sensitivity_ranks --network=mobile --folder=build/peers

`images` is ResNet8 of MLPerf Tiny, `mobile` MobileNetV2-0.35, both on CIFAR-10, as the comparison with peers trains
them (`peers/tasks.py`; kept in `--folder`). For each proxy and technique: Spearman's rank correlation with the measured
growth of the loss, and how many of the three layers that lose most the proxy has among its three.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import keras
import numpy as np
from absl import app, flags

import tfopt
from tests.benchmarks.peers.tasks import write
from tfopt._report import Table
from tfopt.analysis import SensitivityReport

_NETWORK = flags.DEFINE_enum("network", "mobile", ["images", "mobile"], "The network.")
_FOLDER = flags.DEFINE_string("folder", "build/peers", "Where the trained network is kept.")
_SAMPLES = flags.DEFINE_integer("samples", 500, "Test images to measure with.", lower_bound=1)

# Proxy -> 1 where more of it means more damage, else -1.
PROXIES = {"output_db": -1, "fisher": 1, "hessian": 1}
_WORST = 3


def found_worst(report: SensitivityReport, proxy: str, technique: str) -> str:
    """How many of the worst layers a proxy has among its worst; "-" where it says nothing of the technique."""
    rows = [row for row in report.rows if row.technique == technique and not row.reason]
    if len(rows) <= _WORST or any(getattr(row, proxy) is None for row in rows):
        return "-"
    measured = report.worst(technique, _WORST)
    foretold = sorted(rows, key=lambda row: -PROXIES[proxy] * getattr(row, proxy))[:_WORST]
    return str(len({row.path for row in measured} & {row.path for row in foretold}))


def main(_: list[str]) -> None:
    """Measures, and prints both tables."""
    folder = write(_NETWORK.value, Path(_FOLDER.value) / _NETWORK.value)
    model = keras.models.load_model(folder / "float.keras", compile=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    with np.load(folder / "data.npz") as data:
        x, y = data["x_test"], data["y_test"]
    chosen = np.random.default_rng(0).choice(len(x), _SAMPLES.value, replace=False)
    report = tfopt.sensitivity(model, (x[chosen], y[chosen]), samples=_SAMPLES.value)
    print(report)
    ranks = {(one.proxy, one.technique): one.rank for one in report.correlations}
    rows = []
    for technique in ["", *dict.fromkeys(row.technique for row in report.rows)]:
        cells = []
        for proxy in PROXIES:
            rank = ranks.get((proxy, technique))
            worst = found_worst(report, proxy, technique) if technique else "-"
            cells += ["-" if rank is None else f"{rank:.2f}", worst]
        rows.append((technique or "all", *cells))
    columns = [name for proxy in PROXIES for name in (proxy, f"worst {_WORST}")]
    print(Table("Proxies against measurement", ("technique", *columns), tuple(rows)))


if __name__ == "__main__":
    app.run(main)
