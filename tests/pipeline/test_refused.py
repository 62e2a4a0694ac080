"""What `compress` cannot do, said at once: nothing is trained or written before."""

import dataclasses

import keras
import pytest

import tfopt
from tests.pipeline.net import net
from tfopt.recipes import Cluster, Export, Prune, Recipe, Shrink, Train

CLUSTERED = Recipe(cluster=Cluster(n_clusters=8), train=Train(epochs=1))

# What cannot be done -> model, data, recipe and the message; nothing is trained before it comes.
REFUSED = {
    "prune without training": (
        Recipe(prune=Prune(sparsity=0.5), train=Train(epochs=0)),
        "To prune takes training. Got 0 epochs",
    ),
    "format and int8": (
        dataclasses.replace(Recipe(), export=dataclasses.replace(Recipe().export, format="float16")),
        "for files that are not quantized. Got 'float16'",
    ),
    "channels that a budget cannot keep": (
        Recipe(budget={"macs": 100}, shrink=Shrink(layers={"first": 0.5})),
        "'shrink' section beside a 'budget' must have 'layers' and divisor: 4 alone",
    ),
    "unknown loss": (Recipe(train=Train(loss="mes")), "must be a loss of Keras. Got 'mes'"),
    "compressed for LiteRT": (Recipe(export=Export(compress=True)), "a target whose runtime decodes kernels"),
    "no such recipe": ("tflm", "must be a YAML file or one of accurate-int8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said_at_once(name, classifier, samples, tmp_path):
    recipe, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        tfopt.compress(classifier, samples, recipe, output_dir=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_what_a_checkpoint_does_not_hold_is_not_resumed(classifier, samples, tmp_path):
    with pytest.raises(ValueError, match="A run with the section 'cluster' cannot be resumed"):
        tfopt.compress(classifier, samples, CLUSTERED, output_dir=tmp_path / "out", resume=True)


def test_labels_that_do_not_fit_are_refused(classifier, samples):
    with pytest.raises(
        ValueError, match=r"numbers of classes from 0 to 3, as the model has 4 outputs. Got 1 to 4"
    ):
        tfopt.compress(classifier, (samples[0], samples[1] + 1))
    with pytest.raises(ValueError, match="'max_drop' key takes a metric"):
        tfopt.compress(net(2), samples[0], Recipe(max_drop=1))
    with pytest.raises(TypeError, match=r"must be a Keras 3 model. Got str instead"):
        tfopt.compress("model.keras", samples)


def test_loggers_of_the_user_see_the_training(classifier, samples):
    """TensorBoard's and MLflow's are callbacks, too."""
    seen = []
    logger = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(set(logs)))
    recipe = Recipe(quantize=None, distill=None, train=Train(epochs=2))
    tfopt.compress(classifier, samples, recipe, callbacks=[logger])
    assert len(seen) == 2 and "loss" in seen[0]
