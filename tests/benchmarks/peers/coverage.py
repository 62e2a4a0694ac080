"""How much goes through: untrained networks of every form, and those of `keras.applications`.

Each network in a process of its own, in the environment of its contender (`cases.py`). What has run is not run again.
"""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import tfopt
from tests.benchmarks import applications
from tests.benchmarks.peers.cases import METHODS, read_samples
from tests.benchmarks.peers.environments import Contender, run_program
from tests.benchmarks.peers.measure import last_words, share_equal
from tests.field_models import REPORTED
from tests.networks import NETWORKS
from tests.quantization.battery import BATTERY
from tfopt._report import Table

# Group of networks -> their names.
GROUPS = {
    "forms": tuple(BATTERY),
    "networks": tuple(NETWORKS),
    "reported": tuple(REPORTED),
    "applications": applications.NETWORKS,
}
# Seconds that a network may take.
LIMIT = 900


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one network.

    Attributes:
        error: why there is no file that runs.
        floats: operators that compute in float.
        faithful: share of the outputs that are those of the model in Keras, to half a step of 255: the quantized one
            where there is one, else the float one.
    """

    error: str = ""
    floats: int = 0
    faithful: float = 0.0

    @property
    def kind(self) -> str:
        """One word for it."""
        return "failed" if self.error else "partly in float" if self.floats else "in integers"


def run_case(contender: Contender, group: str, name: str, folder: Path) -> Outcome:
    """Run one network, unless that was done."""
    place = folder / "coverage" / group / name.replace(" ", "-")
    out = place / contender.module
    if not (out / "outcome.json").exists():
        run_program(contender, "cases", [group, name, str(out)], out, folder / "environments", LIMIT)
        (out / "outcome.json").write_text(json.dumps(dataclasses.asdict(_outcome(place, out))))
        for path in out.glob("*.tflite"):  # of the large networks, a gigabyte each
            path.unlink()
    return Outcome(**json.loads((out / "outcome.json").read_text()))


def _outcome(place: Path, out: Path) -> Outcome:
    if not (out / "result.json").exists():
        return Outcome(last_words(out))
    result = json.loads((out / "result.json").read_text())
    if "error" in result:
        return Outcome(result["error"])
    x = read_samples(place)
    file = out / "model.tflite"
    try:
        found = [*tfopt.runtimes.run(file, x).values.values()]
        floats = tfopt.runtimes.inspect(file).float_ops
    except ValueError as error:
        return Outcome(str(error))
    expected = _expected(out, place, x)
    return Outcome("", floats, float(np.mean([_share(values, expected) for values in found])))


def _expected(out: Path, place: Path, x: Any) -> list[np.ndarray]:
    if (out / "trained.npz").exists():
        with np.load(out / "trained.npz") as data:
            return [*data.values()]
    return [*tfopt.runtimes.run(place / "float.tflite", x).values.values()]


def _share(values: np.ndarray, expected: list[np.ndarray]) -> float:
    """Of the model's outputs the one that is meant: files put them in orders of their own."""
    step = np.ptp(values) / 255
    alike = [each for each in expected if each.shape == values.shape]
    return max((share_equal(values, each, step) for each in alike), default=0.0)


def table_of(outcomes: dict[tuple[str, str], list[Outcome]], names: dict[str, int]) -> Table:
    """A row for each contender: of each group, how many go through, and how faithful those are."""
    columns = ["method", *(f"{group} ({count})" for group, count in names.items()), "faithful, median %"]
    rows = []
    for contender in dict.fromkeys(contender for contender, _ in outcomes):
        cells, shares = [], []
        for group in names:
            found = outcomes.get((contender, group))
            if not found:
                cells.append("-")
                continue
            counts = Counter(outcome.kind for outcome in found)
            shares += [outcome.faithful for outcome in found if not outcome.error]
            cells.append(f"{counts['in integers']}, {counts['partly in float']} partly")
        rows.append((contender, *cells, f"{100 * np.median(shares):.1f}" if shares else "-"))
    return Table("Coverage", tuple(columns), tuple(rows))


def coverage(groups: dict[str, int | None], contenders: list[Contender], folder: Path) -> Table:
    """Runs the first so many networks of each group, all for None, with all contenders that read Keras or a file."""
    names = {group: GROUPS[group][:first] for group, first in groups.items()}
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    for group, chosen in names.items():
        for name in chosen:
            for contender in contenders:
                title = f"{contender.title}: {METHODS[contender.module]}"
                if group != "applications" and contender.keras not in ("keras", "-"):
                    continue
                outcome = run_case(contender, group, name, folder)
                outcomes.setdefault((title, group), []).append(outcome)
                said = outcome.error[:100] or f"{outcome.kind}, faithful {outcome.faithful:.1%}"
                print(f"{group}, {name}, {title}: {said}", flush=True)
    return table_of(outcomes, {group: len(chosen) for group, chosen in names.items()})
