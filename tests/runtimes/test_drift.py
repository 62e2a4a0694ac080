"""A file with one bias off is found, and the layer that it belongs to is named."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tests.models import trained_like
from tests.runtimes.conftest import convert
from tfopt.conversion._flatbuffer import Flatbuffer
from tfopt.runtimes import RUNTIMES, TFLiteFile, VerifyReport, load, verify
from tfopt.runtimes._match import Written, written_tensors


def images() -> keras.Model:
    """Convolutions, batch norms, a ReLU, a sum of two branches, pooling; names that the converter makes ambiguous."""
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, padding="same", use_bias=False, name="conv2d")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(3, 1, name="conv2d_1")(y)])
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return keras.Model(inputs, layers.Dense(4, name="head")(x))


def rows() -> keras.Model:
    """Dense layers of one shape each, and reshapes."""
    inputs = keras.Input((2, 6), name="row")
    x = layers.Dense(6, activation="relu", name="one")(inputs)
    x = layers.Dense(6, activation="tanh", name="two")(layers.Reshape((3, 4))(x)[:, :2])
    x = layers.Dense(6, name="three")(x)
    return keras.Model(inputs, layers.Dense(3, name="four")(layers.Flatten()(x)))


NETWORKS = {"images": images, "rows": rows}
# Network -> its layers with a bias, and the operators of the file that hold them, in the order of the file.
LAYERS = {"images": ["conv2d", "depthwise", "conv2d_1", "head"], "rows": ["one", "two", "three", "four"]}


class Exported:
    """A quantized network, its file, and samples on which the file computes what the network does, everywhere."""

    def __init__(self, name: str, folder: Path, runtimes: list[str]) -> None:
        self.layers = LAYERS[name]
        keras.utils.set_random_seed(3)
        network = trained_like(NETWORKS[name]())  # a bias of zeros is left out
        x = np.random.default_rng(7).normal(size=(48, *network.inputs[0].shape[1:])).astype("float32")
        self.model = tfopt.quantize(network, calibration=x)
        path = tfopt.export(self.model, folder / f"{name}.tflite").path
        self.content = Path(path).read_bytes()
        self.written = written_tensors(TFLiteFile.read(self.content))
        # Runtimes round differently now and then; these samples are those where they do not.
        tensors = [self.tensors(self.content, runtime, x) for runtime in runtimes]
        same = [
            np.all([np.array_equal(one[at], tensors[0][at]) for one in tensors])
            for at in range(len(tensors[0]))
        ]
        self.x = x[np.flatnonzero(same)[:16]]

    def tensors(self, content: bytes, runtime: str, x: np.ndarray) -> list[np.ndarray]:
        """All that the file writes, a row for each sample."""
        loaded = load(content, runtime, keep_tensors=True)
        return [
            np.concatenate([loaded.tensor(one.tensor).ravel() for one in self.written])
            for _ in loaded.batches(x)
        ]

    def broken(self, layer: int, runtime: str) -> tuple[bytes, Written]:
        """The file with one bias off by as little as shows on these samples, and the tensor that it spoils."""
        intact = self.tensors(self.content, runtime, self.x)
        for unit in 2 ** np.arange(20):
            file = Flatbuffer(self.content)
            operator = list(file.kernel_operators())[layer]
            bias = operator.operand(2)
            codes = bias.data("<i4").copy()
            codes[0] += unit
            bias.replace(codes.view("uint8"), bias.scales)
            content = file.to_bytes()
            if not np.array_equal(self.tensors(content, runtime, self.x), intact):
                spoiled = int(operator.op.outputs[0])
                return content, next(one for one in self.written if one.tensor.index == spoiled)
        raise ValueError(f"No bias of layer {layer} changes anything.")


@pytest.fixture(scope="module")
def runtimes() -> list[str]:
    """Those that are installed."""
    try:
        import tflite_micro  # noqa: F401 (asked for whether it is there)
    except ImportError:
        return [name for name in RUNTIMES if name != "tflm"]
    return list(RUNTIMES)


@pytest.fixture(scope="module", params=NETWORKS)
def exported(
    request: pytest.FixtureRequest, runtimes: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    return Exported(request.param, tmp_path_factory.mktemp("files"), runtimes)


def test_an_intact_file_has_no_drift(exported: Exported, runtimes: list[str]) -> None:
    report = verify(exported.model, exported.content, exported.x, 0, runtime=runtimes, per_tensor=True)
    assert report.passed and report.first_drift is None and not report.unmatched
    assert len(exported.x) >= 4
    quantizers = [layer for layer in exported.model.layers if isinstance(layer, tfopt.FakeQuantize)]
    assert len(report.tensors) == len(runtimes) * (len(quantizers) - 1)  # but for the input's
    assert all(tensor.equal == 1.0 for tensor in report.tensors)
    assert str(report).count("tensors inside are equal") == len(runtimes)


@pytest.mark.parametrize("layer", range(4))
def test_a_bias_that_is_off_is_found(exported: Exported, runtimes: list[str], layer: int) -> None:
    content, spoiled = exported.broken(layer, "reference")
    report = verify(exported.model, content, exported.x, 0, runtime=runtimes, per_tensor=True)
    for runtime in runtimes:
        first = next(tensor for tensor in report.tensors if tensor.runtime == runtime and tensor.differ)
        assert first.layer == exported.layers[layer]
        assert (first.tensor, first.max_steps) == (spoiled.tensor.name, 1)
    assert report.first_drift.runtime == runtimes[0]
    text = " ".join(str(report).split())
    assert text.count(f"that differs is that of layer '{exported.layers[layer]}'") == len(runtimes)


def test_it_is_found_unasked(exported: Exported) -> None:
    content, _ = exported.broken(3, "xnnpack")
    report = verify(exported.model, content, exported.x)
    assert report.passed  # one step is within the tolerance
    assert report.first_drift == report.tensors[-1]
    assert report.first_drift.layer == exported.layers[3]
    assert verify(exported.model, content, exported.x, per_tensor=False).tensors == ()
    assert verify(exported.model, exported.content, exported.x).tensors == ()


def test_model_explorer_gets_a_value_for_each_node(exported: Exported, tmp_path: Path) -> None:
    content, spoiled = exported.broken(3, "xnnpack")
    report = verify(exported.model, content, exported.x)
    report.to_model_explorer(tmp_path / "steps.json")
    data = json.loads((tmp_path / "steps.json").read_text())
    # The format is that of Model Explorer's NodeData: a 'results' at the top belongs to the graph that is shown.
    assert data["results"][spoiled.tensor.name] == {"value": 1}
    assert [value for value in data["results"].values() if value["value"]] == [{"value": 1}]
    names = {tensor.name for op in TFLiteFile.read(content).operators for tensor in op.outputs}
    assert set(data["results"]) <= names
    assert {"value", "bgColor"} == set(data["thresholds"][0])
    with pytest.raises(
        ValueError, match=r"no tensors of 'tflm' to draw. Call verify\(..., per_tensor=True\)"
    ):
        report.to_model_explorer(tmp_path / "steps.json", runtime="tflm")


def test_the_report_is_plain_json(exported: Exported) -> None:
    content, _ = exported.broken(0, "xnnpack")
    report: VerifyReport = verify(exported.model, content, exported.x, per_tensor=True)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["first_drift"]["layer"] == exported.layers[0]
    assert len(data["tensors"]) == len(report.tensors)
    assert max(map(len, str(report).splitlines())) <= 80


def test_a_float_model_has_no_tensors_to_compare() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="'per_tensor' argument must not be True for a model without FakeQ"):
        verify(model, convert(model), np.ones((2, 3), "float32"), per_tensor=True)
