"""From a model and data to a verified file: what each recipe makes of a tiny model, and what is said."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import tfopt
from tests.pipeline.net import net
from tfopt.page import SECTIONS, Content, html_page
from tfopt.page._matched import operators_of_layers
from tfopt.pipeline import _baselines, _compress, _training
from tfopt.pipeline._output_folder import FILES
from tfopt.recipes import Cluster, Export, Factorize, Prune, Quantize, Recipe, Shrink, Train, read_recipe
from tfopt.runtimes import TFLiteFile
from tfopt.shrinking import count_macs

SLOW = pytest.mark.slow
ONE = Train(epochs=1, batch_size=16)


def test_without_a_recipe_it_is_int8_and_verified(classifier, samples, tmp_path):
    before = [array.copy() for array in classifier.get_weights()]
    result = tfopt.compress(classifier, samples, output_dir=tmp_path / "new" / "out")
    assert result.passed and result.epochs == 0 and list(result.done) == ["quantize", "distill"]
    assert result.done["distill"] == "left out: nothing was trained"
    assert result.metric == "accuracy" and result.drop == pytest.approx(100 * (result.before - result.after))
    assert result.table().title == "net for LiteRT" and "result     verified, accuracy" in str(result)
    assert all(len(line) <= 80 for line in str(result).splitlines())
    assert all(np.array_equal(old, new) for old, new in zip(before, classifier.get_weights(), strict=True))

    folder = tmp_path / "new" / "out"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    report = json.loads((folder / "report.json").read_text())
    assert report["reports"]["verify"]["passed"] and report["recipe"]["seed"] == 0
    assert report["path"] == report["reports"]["export"]["path"] == str(folder / "model.tflite")
    assert "unfinished" not in (folder / "report.md").read_text() + json.dumps(report)
    recipe = read_recipe(folder / "recipe.yaml")
    assert recipe.versions["keras"] == keras.__version__
    assert dataclasses.replace(recipe, versions={}) == Recipe()
    loaded = keras.saving.load_model(folder / "model.keras")
    assert tfopt.verify(loaded, folder / "model.tflite", samples[0]).outputs[0].equal == 1.0

    with pytest.raises(ValueError, match=r"must be empty, or new. Got .* with model.keras, model.tflite"):
        tfopt.compress(classifier, samples, output_dir=folder)


ALL = Recipe(
    target="tflm",
    shrink=Shrink(params=0.8, divisor=4),
    prune=Prune(sparsity=0.5, where=".*"),
    train=Train(epochs=2, batch_size=16),
)


@pytest.fixture(scope="module")
def whole(classifier, samples, tmp_path_factory):
    """All techniques in one fit, and the folder with the results."""
    folder = tmp_path_factory.mktemp("all") / "out"
    return tfopt.compress(classifier, samples, ALL, output_dir=folder), folder


def test_all_techniques_in_one_fit(whole):
    result, folder = whole
    assert list(result.done) == ["shrink", "quantize", "distill", "prune"] and result.epochs == 2
    assert result.reports["verify"].passed and result.reports["verify"].outputs[0].equal == 1.0
    assert result.reports["verify"].runtimes == ("tflm",)
    assert result.reports["prune"].sparsity == pytest.approx(0.5, abs=0.01)
    assert result.reports["shrink"].params[1] < result.reports["shrink"].params[0]
    assert "distillation_loss" in result.history
    kernels = TFLiteFile.read(folder / "model.tflite").kernels
    assert all(kernel.sparsity >= 0.45 for kernel in kernels)


def test_the_page_shows_all_that_was_found(whole, samples):
    result, folder = whole
    rows = result.reports["compare"].rows
    assert [row.name for row in rows] == ["original", "float", "int8", "compressed"]
    assert rows[0].metric == rows[1].metric and rows[1].raw_bytes > rows[2].raw_bytes
    classes = result.reports["compare"].classes
    counted = {label: 0 for label in range(4)}
    for label, _, number in classes.models[-1].confusion:
        counted[label] += number
    assert classes.classes == 4 and sum(counted.values()) == classes.samples == 24
    assert classes.models[-1].right == pytest.approx(24 * result.after, abs=1e-3)
    # By its number in the data, not among those that were held out.
    assert all(samples[1][one.index] == one.label for one in classes.changed)
    assert result.reports["verify"].tensors and result.reports["verify"].first_drift is None
    page = (folder / "report.html").read_text()
    content = Content.of_result(
        json.loads((folder / "report.json").read_text()), (folder / "recipe.yaml").read_text()
    )
    assert page == html_page(content)
    searched = {"sensitivity", "search"}  # by analysis and budgets, which this run did not ask for
    asked = {section.name for section in SECTIONS} - searched
    assert all((f'<section id="{section.name}"' in page) == (section.name in asked) for section in SECTIONS)
    layers_of_file = [row["op"] for row in content.report("inspect")["operators"] if row["kernels"]]
    assert sum(map(len, operators_of_layers(content).values())) >= len(layers_of_file)


def test_a_file_that_cannot_be_written_is_said_and_left_out(classifier, samples, tmp_path, monkeypatch):
    def refuse(run, path):
        raise ValueError("no such operator")

    rows = (_baselines.Baseline("float", lambda run: True, refuse),)
    monkeypatch.setattr(_baselines, "BASELINES", rows)
    result = tfopt.compress(classifier, samples, output_dir=tmp_path / "out")
    assert [row.name for row in result.reports["compare"].rows] == ["original", "compressed"]
    assert "There is no float file to compare with: no such operator" in result.notes


SMALLER = Recipe(
    target="tflm",
    factorize=Factorize(params=0.9),
    prune=Prune(sparsity=0.5, where=".*"),
    cluster=Cluster(n_clusters=8),
    train=Train(epochs=1, batch_size=16),
    export=Export(compress=True),
)


class _Killed(BaseException):
    pass


@SLOW
def test_a_run_that_was_killed_ends_with_the_same_bytes(whole, classifier, samples, tmp_path, monkeypatch):
    result, folder = whole
    out = tmp_path / "out"

    def die(self, epoch, logs=None):
        if epoch == 1:
            raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(_training._Epochs, "on_epoch_begin", die)
        with pytest.raises(_Killed):
            tfopt.compress(classifier, samples, ALL, output_dir=out)
    assert not out.exists()
    with pytest.raises(ValueError, match="It was of another recipe, model or data"):
        tfopt.compress(classifier, samples, dataclasses.replace(ALL, seed=1), output_dir=out, resume=True)
    said: list[str] = []
    recipe = folder / "recipe.yaml"
    again = tfopt.compress(classifier, samples, recipe, output_dir=out, resume=True, say=said.append)
    assert "1 done before" in " ".join(said)
    assert (out / "model.tflite").read_bytes() == (folder / "model.tflite").read_bytes()
    assert again.after == result.after and sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    # The masks of a resumed run begin with its first epoch, so that this counts them all.
    histories = [{n: v for n, v in one.history.items() if n != "mask_change"} for one in (again, result)]
    assert histories[0] == histories[1]


def test_more_than_max_drop_is_trained_and_then_said(classifier, samples):
    """One bit is too little for this net: it trains, and says honestly that it does not hold."""
    recipe = Recipe(quantize=Quantize(weight_bits=1), max_drop=0.0, train=ONE)
    result = tfopt.compress(classifier, samples, recipe)
    assert result.epochs == 1 and result.path is None
    assert any(note.startswith("Without training ") for note in result.notes)
    assert result.drop > 0 and not result.passed and result.reports["verify"].passed
    assert "does NOT HOLD, accuracy -" in str(result) and "points, 0 allowed" in str(result)


@SLOW
@pytest.mark.parametrize("target, compress, most", [("litert", False, 4_000), ("tflm", True, 3_000)])
def test_bits_are_found_for_so_many_bytes(classifier, samples, tmp_path, target, compress, most):
    recipe = Recipe(
        quantize=Quantize(max_bytes=most),
        target=target,
        export=Export(compress=compress),
        train=Train(epochs=0),
    )
    whole = tfopt.compress(classifier, samples, dataclasses.replace(recipe, quantize=Quantize()))
    result = tfopt.compress(classifier, samples, recipe, output_dir=tmp_path / "out")
    size = (tmp_path / "out" / "model.tflite").stat().st_size
    assert (
        result.passed and size == result.reports["export"].size.raw <= most < whole.reports["export"].size.raw
    )
    assert result.done["quantize"].startswith("weights of ") and " to " in result.done["quantize"]
    assert len({row.weight_bits for row in result.model.report.layers if row.weight_bits}) > 1
    with pytest.raises(ValueError, match=r"'quantize.max_bytes' key must be at least .* Got 500\. Raise it"):
        tfopt.compress(classifier, samples, dataclasses.replace(recipe, quantize=Quantize(max_bytes=500)))


@SLOW
def test_channels_and_bits_are_found_for_several_budgets(classifier, samples, tmp_path):
    full = count_macs(classifier)
    own = Quantize(layers={"head": 8}, weight_bits=6)  # which the search keeps
    recipe = Recipe(budget={"bytes": 4_000, "macs": 0.6 * full}, quantize=own, train=ONE)
    result = tfopt.compress(classifier, samples, recipe, output_dir=tmp_path / "out")
    size = (tmp_path / "out" / "model.tflite").stat().st_size
    assert size <= 4_000 and result.passed and result.epochs == 1
    assert any(note.startswith(f"The file takes {size:,} bytes, ") for note in result.notes)
    assert result.recipe.quantize.layers["head"] == 8 == result.model.get_layer("head").weight_bits
    assert max(result.recipe.quantize.layers.values()) == 8 and result.recipe.quantize.weight_bits == 6
    assert result.recipe.shrink.layers and "multiply-accumulates" in result.done["shrink"]
    with pytest.raises(ValueError, match="'budget' key must be something that the model can be brought to"):
        tfopt.compress(classifier, samples, dataclasses.replace(recipe, budget={"bytes": 300}))


def test_a_file_larger_than_allowed_does_not_hold(classifier, samples):
    recipe = Recipe(quantize=Quantize(max_bytes=500, layers={"head": 8}))
    result = tfopt.compress(classifier, samples, recipe)
    assert (
        not result.passed and "does NOT HOLD, " in result.verdict and "bytes, 500 allowed" in result.verdict
    )


HALF = Prune(sparsity=0.5)
# What a model is -> its outputs, its labels, the recipe, the metric, and what must be said.
ROWS = {
    "no labels": (4, "softmax", None, Recipe(prune=HALF, train=ONE), "agreement", "agreement counts"),
    "float": (
        4,
        None,
        "class",
        Recipe(prune=HALF, quantize=None, train=ONE),
        "accuracy",
        "of logits, chosen",
    ),
    "binary": (1, "sigmoid", "binary", Recipe(train=ONE), "accuracy", "Loss: binary_crossentropy, chosen"),
    "regression": (2, None, "float", Recipe(train=ONE), "mse", "Loss: mean_squared_error, chosen"),
    "regression without labels": (2, None, None, Recipe(), "", "no metric was measured"),
}


@SLOW
@pytest.mark.parametrize("name", ROWS)
def test_every_kind_of_outputs_and_labels(name, samples):
    units, activation, labels, recipe, metric, note = ROWS[name]
    x, y = samples
    made = {"class": y, "binary": y // 2, "float": x[:, 0, :2, 0], None: None}[labels]
    result = tfopt.compress(net(units, activation), x if made is None else (x, made), recipe)
    assert result.passed and result.metric == metric
    assert any(note in one for one in result.notes), result.notes
    json.dumps(result.to_dict())
    assert "## Recipe" in result.to_markdown()


def test_other_versions_are_said():
    recipe = Recipe(versions={"keras": "3.0.1", "numpy": np.__version__})
    (note,) = _compress._other_versions(recipe)
    assert note == f"The recipe was used before with keras 3.0.1, now {keras.__version__}."


def test_the_number_of_attempts():
    rows = [
        (Recipe(), [0]),
        (Recipe(max_drop=1), [0, _compress.EPOCHS]),
        (Recipe(max_drop=1, train=Train(epochs=3)), [0, 3]),
        (Recipe(max_drop=1, train=Train(epochs=0)), [0]),
        (Recipe(max_drop=1, quantize=None), [0]),
        (Recipe(shrink=Shrink(macs=0.5), max_drop=1), [_compress.EPOCHS]),
        (Recipe(train=Train(epochs=3)), [3]),
    ]
    assert [_compress._epochs(recipe) for recipe, _ in rows] == [epochs for _, epochs in rows]


@SLOW
def test_all_that_makes_files_smaller(classifier, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(_baselines, "BASELINES", ())
    result = tfopt.compress(classifier, samples, SMALLER, output_dir=tmp_path / "out")
    assert list(result.done) == ["factorize", "quantize", "distill", "prune", "cluster"]
    assert result.reports["verify"].passed and result.reports["verify"].outputs[0].equal == 1.0
    assert result.done["cluster"].endswith("kernels of 8 values")
    clustered = [row.values for row in result.reports["cluster"].layers if row.values]
    assert clustered and max(clustered) <= 8
    assert result.reports["export"].compression is not None
    assert read_recipe(tmp_path / "out" / "recipe.yaml").cluster == SMALLER.cluster


@SLOW
def test_a_model_without_weights_or_integers(samples, tmp_path):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.ops.floor(inputs))
    x = samples[0].reshape(-1, 8)
    result = tfopt.compress(model, (x, np.floor(x)), output_dir=tmp_path / "out")
    assert [row.done for row in result.reports["quantize"].layers] == ["float"]
    assert result.passed and len(result.reports["verify"].tensors) == 1  # its end, which is int8
    assert "computes in float" in (tmp_path / "out" / "report.html").read_text()
