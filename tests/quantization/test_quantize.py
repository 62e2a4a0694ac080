"""`quantize`: what it makes, that it trains, saves and loads, and that it teaches when it refuses."""

import contextlib
import inspect
import weakref
from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfopt
from tests.conversion.rows import quick
from tests.models import IMAGE, MODELS, samples_for, trained_like
from tests.strategies import two_devices
from tfopt.graph import capture, kind
from tfopt.kernels import OPERATIONS
from tfopt.quantization import FakeQuantize
from tfopt.quantization._overrides import FIELDS
from tfopt.quantization.simulation import _quantized_layers as quantized_layers

WEIGHTED = [name for name, row in OPERATIONS.items() if row.weights]
BUILDS = {
    "Dense": (dict(units=3), (2, 4)),
    "EinsumDense": (dict(equation="abc,cde->abde", output_shape=(5, 2, 3), bias_axes="de"), (2, 5, 4)),
    "Conv1D": (dict(filters=3, kernel_size=2), (2, 6, 4)),
    "Conv1DTranspose": (dict(filters=3, kernel_size=2, strides=2), (2, 6, 4)),
    "Conv2D": (dict(filters=3, kernel_size=2, strides=2), (2, 6, 6, 4)),
    "Conv2DTranspose": (dict(filters=3, kernel_size=2, strides=2), (2, 6, 6, 4)),
    "DepthwiseConv1D": (dict(kernel_size=2), (2, 6, 4)),
    "DepthwiseConv2D": (dict(kernel_size=2, depth_multiplier=2), (2, 6, 6, 4)),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_layer_contract(name, tmp_path):
    """Build, call, train a step, save and load; the signature, weights and config of the stock layer."""
    arguments, shape = BUILDS[name]
    stock = getattr(layers, name)(**arguments)
    quantized = getattr(quantized_layers, f"Quantized{name}")(**arguments)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    stock(x), quantized(x)

    assert [(w.name, w.shape) for w in quantized.weights] == [(w.name, w.shape) for w in stock.weights]
    assert {*stock.get_config(), *FIELDS} == quantized.get_config().keys()
    # In inference kernels sum up whole numbers, so that all of them take `training`, as Dense does.
    ours, theirs = (dict(inspect.signature(type(layer).call).parameters) for layer in (quantized, stock))
    training = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
    assert ours == {"training": training, **theirs}
    assert isinstance(quantized, type(stock))
    assert isinstance(quantized.kernel, keras.Variable)

    quantized.set_weights(stock.get_weights())
    rounded = quantized.to_inference()
    assert type(rounded) is type(stock)
    np.testing.assert_allclose(quantized(x), rounded(x), atol=1e-6)
    assert 1e-5 < np.abs(np.asarray(quantized(x)) - np.asarray(stock(x))).max() < 0.1

    model = keras.Sequential([keras.Input(shape[1:]), quantized])
    model.compile("sgd", "mse")
    before = np.asarray(quantized.kernel).copy()
    model.fit(x, np.ones(quantized(x).shape), verbose=0)
    assert (np.asarray(quantized.kernel) != before).mean() > 0.9
    model.save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    np.testing.assert_array_equal(loaded.layers[0].kernel, quantized.kernel)


@pytest.mark.parametrize("name", quick(MODELS, ["residual", "siamese"]))
def test_model_contract(name, tmp_path):
    """Close to the float model, whose weights stay; trains; loads with plain Keras, equal to the bit."""
    model = trained_like(MODELS[name]())
    x = samples_for(model)
    before = [np.asarray(w).copy() for w in model.weights]
    q = tfopt.quantize(model, calibration=x)
    for ours, theirs in zip(
        keras.tree.flatten(q(x, training=False)), keras.tree.flatten(model(x, training=False)), strict=True
    ):
        spread = np.ptp(np.asarray(theirs))
        assert 0 < np.abs(np.asarray(ours) - np.asarray(theirs)).max() < 0.1 * spread

    q.compile("adam", "mse", jit_compile=False)
    y = keras.tree.map_structure(lambda t: np.zeros(t.shape, "float32"), q(x, training=False))
    q.fit(x, y, verbose=0)
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(weight, old)

    q.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    keras.tree.map_structure(np.testing.assert_array_equal, loaded(x, training=False), q(x, training=False))


@pytest.mark.parametrize("name", MODELS)
def test_every_operation_is_in_the_report(name):
    model = MODELS[name]()
    report = tfopt.quantize(model, calibration=samples_for(model)).report
    kinds = Counter(row.kind for row in report.layers)
    assert Counter(kind(node.op) for node in capture(model).nodes) <= kinds
    assert not [row for row in report.layers if row.done == "float"]
    assert all(len(line) <= 80 for line in str(report).splitlines())
    assert report.to_dict()["layers"][0]["path"] == report.layers[0].path


def test_what_has_no_kernel_is_left_float_and_named():
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.Dense(2)(ops.floor(inputs)))
    report = tfopt.quantize(model, calibration=samples_for(model)).report
    (row,) = (row for row in report.layers if row.kind == "Floor")
    assert (row.done, row.note) == ("float", "LiteRT has no int8 kernel for it")


def quantizers(model):
    return {layer.name: layer for layer in model.layers if isinstance(layer, FakeQuantize)}


def test_nothing_is_quantized_between_fused_operations():
    q = tfopt.quantize(MODELS["sequential"](), calibration=samples_for(MODELS["sequential"]()))
    kinds = [type(layer).__name__ for layer in q.layers]
    start = kinds.index("QuantizedConv2D")
    assert kinds[start : start + 4] == ["QuantizedConv2D", "FusedBatchNormalization", "ReLU", "FakeQuantize"]


def test_a_concatenation_shares_one_grid():
    inputs = keras.Input((4,))
    a, b = layers.Dense(2, name="a")(inputs), layers.Dense(2, name="b")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([a, b, inputs])))
    q = tfopt.quantize(model, calibration=samples_for(model))
    (shared,) = (layer for layer in quantizers(q).values() if layer.num_sites == 3)
    assert len(quantizers(q)) == 2
    ranges = np.stack([shared.minimum, shared.maximum])
    assert len(np.unique(ranges)) == 6
    assert [float(end) for end in shared.range()] == [ranges[0].min(), ranges[1].max()]


def test_a_fixed_grid_is_not_shared():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Concatenate()([layers.Softmax()(inputs), layers.Dense(2)(inputs)]))
    fixed = [layer.fixed_range for layer in quantizers(tfopt.quantize(model, samples_for(model))).values()]
    assert fixed.count((0.0, 255 / 256)) == 1


def test_calibration_sees_the_whole_range_of_all_batches():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.ReLU()(inputs))
    x = np.zeros((100, 2), "float32")
    x[3, 0], x[97, 1] = -5.0, 7.0
    (shared,) = quantizers(tfopt.quantize(model, calibration=x)).values()
    np.testing.assert_array_equal([shared.minimum, shared.maximum], [[-5.0, 0.0], [7.0, 7.0]])


@pytest.mark.parametrize("method", ["percentile", "mse", "kl"])
def test_histograms_leave_outliers_out(method):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, layers.ReLU()(inputs))
    x = np.random.default_rng(0).normal(size=(4096, 64)).astype("float32")
    x[0, 0] = 30.0
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(method=method))
    narrow = quantizers(tfopt.quantize(model, (x[at : at + 512] for at in range(0, 4096, 512)), config))
    wide = quantizers(tfopt.quantize(model, x))
    for name, layer in narrow.items():
        assert 2.0 < float(layer.range()[1]) < 28.0
        assert float(wide[name].range()[1]) == 30.0
    # Fewer values are clipped than rounded better: the mean error over all values is less.
    errors = [np.abs(np.asarray(layer["input_quantize"](x)) - x).mean() for layer in (narrow, wide)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize(("form", "held"), [(lambda read: read, 3), (lambda read: read(), 8)])
def test_histograms_hold_only_what_cannot_be_read_again(form, held):
    """A function that makes a generator is read twice, batch by batch; a generator itself is kept."""
    most, batches = [], []

    def read():
        for index in range(8):
            batch = np.full((32, 4), index, "float32")
            batches.append(weakref.ref(batch))
            yield batch
            most.append(sum(one() is not None for one in batches))

    model = keras.Sequential([keras.Input((4,)), layers.ReLU(name="relu")])
    config = tfopt.QuantConfig(ranges=tfopt.Ranges(method="percentile"))
    tfopt.quantize(model, form(read), config)
    assert max(most) == held


def test_ranges_follow_a_moving_average_in_training_only():
    layer = FakeQuantize(momentum=0.9)
    layer.build((None, 2))
    layer.set_range([-1.0], [1.0])
    x = np.array([[-3.0, 5.0]], "float32")
    layer(x, training=False)
    np.testing.assert_array_equal([*layer.range()], [-1.0, 1.0])
    layer(x, training=True)
    np.testing.assert_allclose([*layer.range()], [-1.2, 1.4], rtol=1e-6)


def test_rounding_of_final_probabilities_does_not_kill_the_loss():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs))
    model.layers[-1].kernel.assign(5 * np.asarray(model.layers[-1].kernel))
    q = tfopt.quantize(model, calibration=samples_for(model))
    probabilities = np.asarray(q(samples_for(model), training=True))
    assert 0 < probabilities.min() < 1 / 512
    assert np.asarray(q(samples_for(model), training=False)).min() == 0.0


@pytest.mark.parametrize("form", ["array", "dataset", "pydataset", "generator"])
def test_calibration_takes_what_fit_takes(form):
    import tensorflow as tf

    model = MODELS["sequential"]()
    x = samples_for(model)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return x[16 * index : 16 * index + 16], np.zeros(16)

    data = {
        "array": x,
        "dataset": tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).batch(16),
        "pydataset": Batches(),
        "generator": (x[start : start + 16] for start in range(0, 64, 16)),
    }[form]
    reference = quantizers(tfopt.quantize(model, calibration=x))
    for name, layer in quantizers(tfopt.quantize(model, calibration=data)).items():
        np.testing.assert_allclose([*layer.range()], [*reference[name].range()], atol=1e-6)


@pytest.mark.parametrize(
    "calibration, error, words",
    [
        (np.zeros((0, *IMAGE)), ValueError, "'calibration' argument must hold at least one sample"),
        (np.full((2, *IMAGE), np.nan), ValueError, "'calibration' argument must hold finite numbers"),
        (np.zeros(IMAGE), ValueError, r"inputs of shape \(None, 8, 8, 3\).*Got \(8, 8, 3\)"),
        (np.zeros((2, 9, 9, 3)), ValueError, r"Got \(2, 9, 9, 3\) instead"),
        (iter([]), ValueError, "Got none"),
        (None, ValueError, "'calibration' argument must hold"),
        (3, ValueError, "'calibration' argument must hold at least one sample"),
    ],
)
def test_bad_calibration_teaches(calibration, error, words):
    with pytest.raises(error, match=words):
        tfopt.quantize(MODELS["sequential"](), calibration=calibration)


def test_bad_models_and_settings_teach():
    with pytest.raises(ValueError, match="must be built before it can be captured"):
        tfopt.quantize(keras.Sequential([layers.Dense(2)]), calibration=np.zeros((2, 3)))
    with pytest.raises(TypeError, match="must be a Keras 3 model"):
        tfopt.quantize("model.h5", calibration=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"'momentum' argument of Ranges must be in \[0, 1\].*Got 1.1"):
        tfopt.Ranges(momentum=1.1)
    with pytest.raises(ValueError, match=r"'method' argument of Ranges must be one of 'minmax', .*Got 'max'"):
        tfopt.Ranges(method="max")
    with pytest.raises(ValueError, match=r"'num_sites' argument must be 1 or more\. Got 0"):
        FakeQuantize(num_sites=0)
    with pytest.raises(ValueError, match="'fixed_range' argument must be"):
        FakeQuantize(fixed_range=(0.5, 1.0))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_recovers_accuracy(blobs, jit_compile):
    """Quantization-aware training is training: the loss falls, ranges follow, XLA or not."""
    x, y = blobs
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(8, 3, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Flatten()(hidden)))
    q = tfopt.quantize(model, calibration=x)
    q.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    history = q.fit(x, y, epochs=5, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert q.evaluate(x, y, verbose=0)[1] > 0.95


def test_two_replicas_train_as_one(blobs):
    x, y = blobs

    def train(scope):
        keras.utils.set_random_seed(1)
        with scope:
            inputs = keras.Input((8, 8, 1))
            hidden = layers.Conv2D(4, 3, activation="relu")(inputs)
            model = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(hidden)))
            q = tfopt.quantize(model, calibration=x)
            q.compile(
                keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            )
        q.fit(x, y, batch_size=64, shuffle=False, verbose=0)
        return q

    one = train(contextlib.nullcontext())
    two = train(two_devices().scope())
    for a, b in zip(one.weights, two.weights, strict=True):
        # Ranges are the mean of the replicas' own, so they differ a little from those of the whole batch.
        np.testing.assert_allclose(a, b, atol=0.1 if a.name == "observed" else 0.01)


@pytest.mark.parametrize(
    ("target", "named"), [("tflm", "a (6)"), ("ethos-u", "a (6), b (20)"), ("edgetpu", "")]
)
def test_check_names_the_widths_that_leave_lanes_empty(target, named):
    """Not that of the last layer, which the task sets; nor of kernels that are not documented."""
    sizes = {"a": 6, "b": 20, "c": 16, "d": 10}
    dense = [keras.layers.Dense(size, activation="relu", name=name) for name, size in sizes.items()]
    warnings = tfopt.check(keras.Sequential([keras.Input((4,)), *dense]), target).warnings
    assert [f"empty in {named}. " in warning for warning in warnings] == [True] * bool(named)


def test_a_quantized_model_is_not_quantized_again():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="net")
    q = tfopt.quantize(model, np.ones((4, 4), "float32"))
    for again in (lambda: tfopt.quantize(q, np.ones((4, 4))), lambda: tfopt.check(q)):
        with pytest.raises(ValueError, match="Got 'net', which is quantized already"):
            again()
