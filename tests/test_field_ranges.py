"""Ranges that cost values, as people met them: a warning names the part, what is left of it, and what to do."""

import ast
import re
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

import tfopt
from tests.conversion.rows import quick
from tfopt.quantization import measure_activations
from tfopt.quantization.calibration import codes_used, effective_bits, outliers, rounding_db
from tfopt.runtimes import TFLiteFile, run

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6, 6, 2)).astype("float32")
SIZES = (1.0, 10.0, 1000.0, 1e5)
NORMAL = RNG.normal(size=(64, 4)).astype("float32")


def detector(together=True, behind=False, reads=None):
    """Boxes from 0 to 60 beside scores from 0 to 1; `reads` is what comes behind them joined."""
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(inputs))
    boxes = layers.Rescaling(60.0)(layers.Dense(4, activation="sigmoid", name="boxes")(x))
    scores = layers.Dense(3, activation="softmax", name="scores")(x)
    joined = layers.Concatenate(name="detections")([boxes, scores])
    if reads is not None:
        return keras.Model(inputs, reads(joined))
    outputs = (layers.Dense(2)(joined) if behind else joined) if together else [boxes, scores]
    return keras.Model(inputs, outputs)


def sensors(scale=None):
    pressure, noise = keras.Input((3,), name="pressure"), keras.Input((4,), name="noise")
    like = pressure if scale is None else layers.Rescaling(scale)(pressure)
    return keras.Model([pressure, noise], layers.Dense(2)(layers.Concatenate(name="joined")([like, noise])))


def normalized_sensors():
    """Pressure and noise joined, and then brought to like ranges."""
    pressure, noise = keras.Input((3,), name="pressure"), keras.Input((4,), name="noise")
    norm = layers.Normalization(mean=[500.0] * 3 + [0.0] * 4, variance=[8.5e4] * 3 + [1.0] * 4, name="norm")
    joined = norm(layers.Concatenate(name="joined")([pressure, noise]))
    return keras.Model([pressure, noise], layers.Dense(2, name="head")(joined))


def table():
    inputs = keras.Input((4,), name="table")
    return keras.Model(inputs, layers.Dense(2)(inputs))


def table_in_columns():
    columns = [keras.Input((1,), name=f"column_{place}") for place in range(4)]
    scaled = [layers.Rescaling(1 / size)(one) for one, size in zip(columns, SIZES, strict=True)]
    return keras.Model(columns, layers.Dense(2)(layers.Concatenate()(scaled)))


def with_outlier(times):
    x = IMAGES.copy()
    x[17] *= times
    return x


# Report -> (model, samples, what the warning says).
REPORTS = {
    "boxes beside scores": (
        detector,
        IMAGES,
        r"'scores_softmax' shares the grid of 'detections' \(0 to .*\): its values .* have [2-7] of 256 codes, .* "
        r"Return the parts as outputs of their own: .* joined. Or return 16 bits, .*: QuantConfig\(overrides=",
    ),
    "boxes and scores read again": (
        lambda: detector(behind=True),
        IMAGES,
        r"Bring the parts to like ranges before they are joined, .*, or compute in 16 bits there: QuantConfig\(",
    ),
    "pressure beside noise": (
        sensors,
        [RNG.uniform(0, 1013, (64, 3)), NORMAL],
        r"'noise' shares the grid of 'joined' .* have [2-4] of 256 codes, .* of 8 bits. Bring the parts",
    ),
    "columns from 1 to 1e5": (
        table,
        NORMAL * SIZES,
        r"'table' has one step of .* for all of its columns, too wide for columns 0, 1, 2: column 0 .* has 1 of 256",
    ),
    "one sample 500 times the rest": (
        lambda: detector(together=False),
        with_outlier(500),
        r"Sample 17 of the calibration data reaches \d{3} times as far as the usual one in the input 'image'",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_range_that_costs_values_is_named(name):
    make, samples, words = REPORTS[name]
    with pytest.warns(UserWarning, match=words):
        q = tfopt.quantize(make(), samples)
    assert len(q.report.warnings) == 1
    assert q.report.warnings[0] in " ".join(str(q.report).split())
    restored = type(q).from_config(q.get_config())
    assert restored.report.warnings == q.report.warnings


@pytest.mark.parametrize(
    ("model", "samples", "settings"),
    [
        (detector(together=False), IMAGES, {}),
        (detector(), IMAGES, {"activation_bits": 16}),
        (table(), NORMAL * [1, 2, 4, 8], {}),
        (table(), NORMAL * [0, 1, 1, 1], {}),
        (detector(together=False), with_outlier(5), {}),
    ],
    ids=["apart", "16 bits", "like columns", "a constant column", "a large sample"],
)
def test_ranges_that_cost_nothing_are_passed_over(model, samples, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        q = tfopt.quantize(model, samples, tfopt.QuantConfig(**settings))
    assert q.report.warnings == ()


def test_what_the_advice_gives():
    """Scores of their own have their codes back."""
    exact = detector().predict(IMAGES, verbose=0)[:, 4:]
    with pytest.warns(UserWarning):
        joined = tfopt.quantize(detector(), IMAGES)
    apart = tfopt.quantize(detector(together=False), IMAGES)
    assert len(np.unique(joined.predict(IMAGES, verbose=0)[:, 4:])) < 8
    assert len(np.unique(apart.predict(IMAGES, verbose=0)[1])) > 40
    assert exact.std() > 0


# What the warnings advise -> model, samples and settings after it, and the part of the output that was lost.
PRESSURE = [RNG.uniform(0, 1013, (64, 3)).astype("float32"), NORMAL]
REMEDIES = {
    "parts brought to like ranges": (lambda: sensors(1 / 300), PRESSURE, {}),
    "16-bit activations": (lambda: detector(behind=True), IMAGES, {"activation_bits": 16}),
    "columns normalized before the model": (table, NORMAL, {}),
    "16-bit activations of an output": (detector, IMAGES, {"activation_bits": 16}),
    "columns as inputs of their own": (table_in_columns, list(np.split(NORMAL * SIZES, 4, axis=1)), {}),
    "a sample left out": (lambda: detector(together=False), IMAGES, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REMEDIES)
def test_what_is_advised_brings_the_values_back(name):
    make, samples, settings = REMEDIES[name]
    keras.utils.set_random_seed(0)
    model = make()
    q = tfopt.quantize(model, samples, tfopt.QuantConfig(**settings))
    pairs = zip(*(keras.tree.flatten(each.predict(samples, verbose=0)) for each in (model, q)), strict=True)
    assert q.report.warnings == ()
    assert all(10 * np.log10(np.var(one) / np.mean((one - two) ** 2)) > 25 for one, two in pairs)


def quoted(message):
    """The configuration that a warning quotes."""
    (words,) = re.findall(r"QuantConfig\(overrides=(.*)\)\.", message)
    return ast.literal_eval(words)


@pytest.mark.parametrize("target", ["litert", pytest.param("tflm", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", quick([name for name, row in REPORTS.items() if "QuantConfig" in row[2]], ["boxes beside scores"])
)
def test_the_configuration_that_is_advised_brings_the_values_back(name, target, tmp_path):
    """As it stands in the warning: 16 bits between two grids of 8, or in what the model returns."""
    make, samples, _ = REPORTS[name]
    keras.utils.set_random_seed(0)
    model, path = make(), tmp_path / "model.tflite"
    with pytest.warns(UserWarning) as caught:
        tfopt.quantize(model, samples)
    overrides = quoted(str(caught[0].message))
    q = tfopt.quantize(model, samples, tfopt.QuantConfig.for_target(target, overrides=overrides, strict=True))
    assert q.report.warnings == ()
    exact = model.predict(samples, verbose=0)
    for dtype in (None, "float32"):
        exported = tfopt.export(q, path, output_dtype=dtype, strict=True)
        assert exported.outputs == (dtype or ("int16" if make is detector else "int8"),)
        assert tfopt.verify(q, path, samples).outputs[0].equal == 1.0
        (found,) = run(TFLiteFile.read(path), samples).values.values()
        assert 10 * np.log10(np.var(exact) / np.mean((exact - found) ** 2)) > 30
        if make is detector:
            assert np.abs(found - exact)[:, 4:].max() < 1 / 64
    if make is detector:
        with pytest.raises(
            ValueError, match=r"'output_dtype' argument must be 'float32', or left out.*'uint8'"
        ):
            tfopt.export(q, path, output_dtype="uint8")


def test_16_bits_that_end_too_early_are_named():
    """Joined in 16 bits and narrowed for a layer of 8: the parts share the grid behind."""
    config = tfopt.QuantConfig(overrides={"detections": {"activation_bits": 16}})
    with pytest.warns(UserWarning, match=r"overrides=.*detections\$\|dense_?\d*\$"):
        tfopt.quantize(detector(behind=True), IMAGES, config)


def test_no_more_bits_are_advised_than_a_target_has():
    with pytest.warns(UserWarning) as caught:
        tfopt.quantize(detector(behind=True), IMAGES, tfopt.QuantConfig.for_target("edgetpu"))
    assert (
        "Bring the parts" in str(caught[0].message) and "16" not in str(caught[0].message).split("Bring")[1]
    )


# What takes the parts out again, or scales them -> (model, samples, rows of the report that say so).
PARTED = {
    "slices that are outputs": (
        lambda: detector(reads=lambda x: [x[..., :4], x[..., 4:]]),
        IMAGES,
        ("GetItem", 2, "alone"),
    ),
    "slices that are read again": (
        lambda: detector(reads=lambda x: [layers.Dense(2)(x[:, :4]), layers.Dense(2)(x[:, 4:])]),
        IMAGES,
        ("GetItem", 2, "alone"),
    ),
    "a column of each": (
        lambda: detector(
            reads=lambda x: [layers.Rescaling(0.1)(x[:, 1:3]), layers.Rescaling(2.0)(x[:, 5:6])]
        ),
        IMAGES,
        ("GetItem", 2, "alone"),
    ),
    "a split": (
        lambda: detector(reads=lambda x: [layers.Dense(2)(one) for one in ops.split(x, [4], axis=-1)]),
        IMAGES,
        ("Split", 1, "alone"),
    ),
    "a normalization": (normalized_sensors, PRESSURE, ("Concatenate", 1, "scales each part")),
}


@pytest.mark.parametrize("name", quick(PARTED, ["slices that are outputs", "a split"]))
def test_parts_keep_grids_of_their_own_where_no_number_changes(name, tmp_path):
    make, samples, (kind, count, words) = PARTED[name]
    keras.utils.set_random_seed(0)
    model = make()
    q = tfopt.quantize(model, samples, strict=True)
    assert q.report.warnings == ()
    assert sum(row.kind == kind and words in row.note for row in q.report.layers) == count
    left_out = {row.path for row in q.report.layers if row.done == "left out"}
    assert left_out & {"detections", "joined"}
    path = tmp_path / "model.tflite"
    assert "CONCATENATION" not in tfopt.export(q, path, strict=True).operators or name == "a normalization"
    assert tfopt.verify(q, path, samples).passed
    file = run(TFLiteFile.read(path), samples)
    for exact, found in zip(
        keras.tree.flatten(model.predict(samples, verbose=0)), file.values.values(), strict=True
    ):
        assert 10 * np.log10(np.var(exact) / np.mean((exact - found) ** 2)) > 30


@pytest.mark.parametrize(
    "reads",
    [
        lambda x: x[:, 3:5],
        lambda x: x[:, ::2],
        lambda x: ops.split(x, [3], axis=-1)[0],
        lambda x: layers.Rescaling(2.0)(x),
        lambda x: [layers.Rescaling([1.0] * 4 + [60.0] * 3)(x), layers.Dense(2)(x)],
    ],
    ids=["across parts", "in steps", "a piece across parts", "one factor", "read joined too"],
)
def test_what_needs_the_parts_joined_has_them(reads):
    with pytest.warns(UserWarning, match="shares the grid of 'detections'"):
        q = tfopt.quantize(detector(reads=reads), IMAGES)
    assert "left out" not in {row.done for row in q.report.layers}


def test_layers_come_in_the_order_of_damage():
    with pytest.warns(UserWarning):
        q = tfopt.quantize(detector(together=False), with_outlier(500))
    rows = q.report.by_damage()
    decibels = [row.activation_db for row in rows]
    assert decibels == sorted(decibels)
    usual = tfopt.quantize(detector(together=False), IMAGES).report.by_damage()
    assert decibels[0] < usual[0].activation_db - 10
    assert sum(decibels) < sum(row.activation_db for row in usual)


def test_the_error_against_the_float_network_grows_with_depth():
    inputs = x = keras.Input((6, 6, 2))
    for _ in range(3):
        x = layers.Conv2D(4, 3, padding="same", activation="tanh")(x)
    q = tfopt.quantize(keras.Model(inputs, layers.Dense(2, name="head")(x)), IMAGES)
    rows = {row.path: row for row in measure_activations(q, IMAGES).layers if row.network_db is not None}
    assert len(rows) == 7
    assert all(20 < row.network_db < 60 for row in rows.values())
    assert rows["head"].network_db < rows["head"].activation_db
    with pytest.raises(ValueError, match=r"must be what tfopt.quantize returned"):
        measure_activations(keras.Model(inputs, x), IMAGES)


@given(low=st.floats(-1e3, 1e3), width=st.floats(1e-3, 1e3), bits=st.integers(2, 16))
def test_a_range_on_its_own_grid_has_all_of_its_bits(low, width, bits):
    step = width / (2**bits - 1)
    assert effective_bits((low, low + width), step) == pytest.approx(bits, abs=1e-6)
    assert codes_used((low, low + width), 2 * step) < codes_used((low, low + width), step)


def test_decibels_are_those_of_rounding():
    x = np.random.default_rng(0).uniform(-1, 1, 100_000)
    error = x - np.round(x / 0.01) * 0.01
    assert rounding_db(np.mean(x**2), 0.01) == pytest.approx(
        10 * np.log10(np.mean(x**2) / np.mean(error**2)), abs=0.1
    )


@pytest.mark.parametrize(
    ("reach", "far"),
    [
        ([1.0] * 49 + [500.0], [49]),
        ([1.0] * 50 + [500.0] * 50, []),
        ([0.0] * 9 + [1.0], []),
        ([1.0, 500.0], []),
    ],
    ids=["one", "half", "most are zero", "two samples"],
)
def test_outliers_are_few_and_far(reach, far):
    assert outliers(np.array(reach))[0].tolist() == far
