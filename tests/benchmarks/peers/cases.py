"""Networks that are not trained: whether each library takes them to an int8 file at all.

    python -m tests.benchmarks.peers.cases MODULE KERAS GROUP NAME FOLDER

One network, in the environment of a contender, by its plainest method. `forms` are the tiny models of
`tests/quantization/battery.py`, `networks` those of `tests/networks.py`, `reported` those of `tests/field_models.py`,
all in Keras 3 alone; `applications` are in every Keras. The file goes to FOLDER, with what `run` leaves there; beside
it the float file and the samples.
"""

import importlib
import json
import sys
import traceback
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.peers.run import attempt, versions
from tests.benchmarks.peers.work import Work

# Contender -> its plainest way to a file whose operators are integers.
METHODS = {
    "ours": "PTQ int8",
    "converter": "PTQ int8",
    "quantizer": "PTQ int8",
    "tfmot": "QAT",
    "mct": "PTQ int8",
}
SAMPLES = 8


def network_of(library: Any, group: str, name: str) -> tuple[Any, Any]:
    """A network with weights of no meaning, and samples for it.

    Raises:
        ValueError: this Keras does not have it.
    """
    library.utils.set_random_seed(zlib.crc32(name.encode()))
    if group == "applications":
        from tests.benchmarks import applications

        if not hasattr(library.applications, name):
            raise ValueError(f"keras.applications must have {name}. Got Keras {library.__version__}.")
        model = applications.untrained(name, applications.SMALLEST, library)
        x = np.random.default_rng(0).uniform(0, 255, (SAMPLES, *model.input_shape[1:])).astype("float32")
        applications.settle(model, x, library)
        return model, x
    from tests.field_models import reported
    from tests.models import samples_for, trained_like
    from tests.networks import NETWORKS
    from tests.quantization.battery import BATTERY

    if group == "forms":
        model = trained_like(BATTERY[name][0]())
        return model, samples_for(model, SAMPLES)
    if group == "reported":
        model, x = reported(name)
        if isinstance(x, dict):
            return library.Model(model.inputs, model.outputs), [x[tensor.name] for tensor in model.inputs]
        return model, x
    model = NETWORKS[name].make()
    return model, NETWORKS[name].samples(model, SAMPLES)


def work_on(library: Any | None, group: str, name: str, folder: Path) -> Work:
    """A network in the hands of a contender, with nothing to train on."""
    float_file = folder.parent / "float.tflite"
    if library is None:
        model: Any = None
        x = read_samples(folder.parent)
    else:
        model, x = network_of(library, group, name)
    y = np.zeros(SAMPLES, "int64")
    # One epoch of one batch: tfmot knows no ranges before it has seen some.
    return Work(library, model, x, y, x, x, 1, 1e-3, 0, False, folder, float_file)


def write_float(work: Work) -> None:
    """The samples, and for those who have no Keras the float file, if this network has one."""
    import tfopt

    arrays = work.x if isinstance(work.x, list) else [work.x]
    np.savez(work.float_file.with_name("samples.npz"), *arrays)
    try:
        tfopt.export(work.model, work.float_file)
    except (ValueError, RuntimeError):
        traceback.print_exc()


def read_samples(place: Path) -> Any:
    """What `write_float` left: an array, or a list of one for each input."""
    with np.load(place / "samples.npz") as data:
        arrays = [data[f"arr_{number}"] for number in range(len(data))]
    return arrays if len(arrays) > 1 else arrays[0]


def main(module: str, keras: str, group: str, name: str, folder: str) -> None:
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    contender = importlib.import_module(f"tests.benchmarks.peers.contenders.{module}")
    try:
        work = work_on(importlib.import_module(keras) if keras != "-" else None, group, name, out)
        if module == "ours":
            write_float(work)
        result = attempt(contender, METHODS[module], work)
    except ValueError as error:
        result = {"error": str(error)}
    (out / "result.json").write_text(json.dumps(result | {"versions": versions()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
