import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.runtimes import TFLiteFile, compare, measure_size, run


@pytest.fixture
def labels(residual: keras.Model, images: np.ndarray) -> np.ndarray:
    """What the model itself says, wrong for the last four of 16."""
    y = residual.predict(images, verbose=0).argmax(1)
    y[-4:] = (y[-4:] + 1) % 5
    return y


def test_rows_hold_what_the_parts_measure(
    files: dict[str, bytes], residual: keras.Model, images: np.ndarray, labels: np.ndarray, path_of: Callable
) -> None:
    models = {"keras": residual, "float": str(path_of("residual")), "int8": path_of("residual int8")}
    report = compare(models, images, labels, latency_runs=3)
    model, float_file, int8 = report.rows
    assert [row.name for row in report.rows] == ["keras", "float", "int8"]
    assert model.metric == float_file.metric == 0.75
    predicted = run(files["residual int8"], images).values["output_0"].argmax(1)
    assert int8.metric == np.mean(predicted == labels)
    for row, name in ((float_file, "residual"), (int8, "residual int8")):
        file, size = TFLiteFile.read(files[name]), measure_size(files[name])
        assert (row.raw_bytes, row.gzip_bytes) == (size.raw, size.gzip)
        assert (row.sparsity, row.weight_bits) == (file.sparsity, file.weight_bits)
        assert row.peak_activation_bytes == file.peak_activation_bytes
    assert all(row.latency_ms > 0 for row in report.rows)


def test_the_figures_of_a_keras_model(residual: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    (row,) = compare({"model": residual}, images, labels, latency_runs=1).rows
    weights = residual.get_weights()
    kernels = [w for w in weights if w.ndim > 1]
    assert row.raw_bytes == 4 * sum(w.size for w in weights)
    assert row.gzip_bytes == measure_size(b"".join(w.tobytes() for w in weights)).gzip
    assert row.sparsity == sum((w == 0).sum() for w in kernels) / sum(w.size for w in kernels)
    assert row.weight_bits == {32: sum(w.size for w in kernels)} == {32: 164}
    assert (row.peak_activation_bytes, row.runtime) == (None, "Keras")


def test_half_precision_weights_count_as_float32() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16")])
    (row,) = compare({"model": model}, np.ones((2, 4)), latency_runs=1).rows
    assert (row.raw_bytes, row.weight_bits, row.metric) == (60, {16: 12}, None)


def test_labels_may_come_with_the_samples(
    files: dict[str, bytes], images: np.ndarray, labels: np.ndarray
) -> None:
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)
    report = compare({"float": files["residual"]}, batches, latency_runs=1)
    assert (report.rows[0].metric, report.samples) == (0.75, 16)


def test_two_inputs_and_outputs(files: dict[str, bytes], two_by_two: keras.Model, rows: np.ndarray) -> None:
    def largest(y: Any, predictions: list) -> float:
        return float(max(np.abs(p).max() for p in predictions))

    pair = [rows[:, :4], rows[:, 4:8]]
    models = {"keras": two_by_two, "file": files["two"]}
    one, two = compare(models, pair, np.zeros(40), metric=largest, latency_runs=1).rows
    assert one.metric == pytest.approx(two.metric, rel=1e-5)
    zebra, ant = pair
    by_hand = max(np.abs((zebra + ant).sum(1)).max(), np.abs(2 * zebra.sum(1)).max())
    assert one.metric == pytest.approx(by_hand, rel=1e-5)


def test_a_saved_keras_model_is_loaded(dense: keras.Model, rows: np.ndarray, tmp_path: Path) -> None:
    dense.save(tmp_path / "dense.keras")
    (row,) = compare({"saved": tmp_path / "dense.keras"}, rows, latency_runs=1).rows
    assert (row.runtime, row.raw_bytes) == ("Keras", 192)


def test_the_report_fits_a_terminal_and_json(
    residual: keras.Model, images: np.ndarray, labels: np.ndarray, path_of: Callable
) -> None:
    models = {
        "the float baseline": residual,
        "float file": path_of("residual"),
        "pruned, int8 and distilled": path_of("residual int8"),
    }
    report = compare(models, images, labels, latency_runs=1)
    text = str(report)
    assert max(map(len, text.splitlines())) <= 80
    assert "75.00%" in text and "ms" in text and "768 B" in text
    flat = " ".join(text.split())
    assert "float file against the float baseline: " in flat and "accuracy +0.00 points" in flat
    assert (
        "times faster" not in flat and "times slower" not in flat
    )  # Keras and LiteRT are not compared in speed
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["rows"][0]["metric"] == 0.75


def test_files_are_compared_in_speed_too(files: dict[str, bytes], rows: np.ndarray) -> None:
    report = compare({"a": files["dense"], "b": files["dense int8"]}, rows, latency_runs=3)
    assert "faster" in str(report) or "slower" in str(report)


def test_progress_is_silent_where_nobody_watches(
    files: dict[str, bytes], rows: np.ndarray, capfd: pytest.CaptureFixture
) -> None:
    compare({"a": files["dense"]}, rows, latency_runs=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"models": {}}, ValueError, "'models' argument must be a dict with at least one model"),
        (
            {"models": {"a": 3}},
            TypeError,
            "'models' argument must hold Keras models and paths. Got int for 'a'",
        ),
        ({"models": {"a": "nowhere.keras"}}, ValueError, "'nowhere.keras', which is no such file"),
        ({"models": {"a": "nowhere.tflite"}}, ValueError, "'nowhere.tflite', which is no such file"),
        ({"x": np.empty((0, 16))}, ValueError, "'x' argument must hold at least one sample"),
        (
            {"y": np.zeros(3)},
            ValueError,
            "'y' argument must hold one label for each sample. Got 3 labels for 40",
        ),
        ({"latency_runs": 0}, ValueError, "'latency_runs' argument must be an integer of at least 1"),
        ({"metric": "no such"}, ValueError, "'metric' argument must be a name that Keras knows"),
    ],
)
def test_bad_arguments_are_refused(
    files: dict[str, bytes], rows: np.ndarray, arguments: dict, error: type, message: str
) -> None:
    defaults = {"models": {"a": files["dense"]}, "x": rows, "y": np.zeros(40)}
    with pytest.raises(error, match=message):
        compare(**{**defaults, **arguments})
