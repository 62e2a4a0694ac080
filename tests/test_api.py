"""The public API as a whole: every name is documented, annotated and serializable."""

import doctest
import inspect
import json
import re

import keras
import pytest

import tfopt
from tfopt import (
    analysis,
    budgets,
    channels,
    clustering,
    coding,
    compression,
    conversion,
    data,
    distillation,
    factorization,
    graph,
    kernels,
    page,
    pipeline,
    pruning,
    quantization,
    recipes,
    runtimes,
    shrinking,
)

PACKAGES = (
    tfopt,
    analysis,
    budgets,
    channels,
    clustering,
    coding,
    compression,
    conversion,
    data,
    distillation,
    factorization,
    graph,
    kernels,
    page,
    pipeline,
    pruning,
    quantization,
    recipes,
    runtimes,
    shrinking,
)
PUBLIC = {
    name: thing
    for package in PACKAGES
    for name in package.__all__
    if not inspect.ismodule(thing := getattr(package, name))
}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_sorted_and_true(package):
    assert sorted(package.__all__) == sorted(set(package.__all__))
    assert all(hasattr(package, name) for name in package.__all__)
    assert package.__doc__


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_documented_and_annotated(name):
    thing = PUBLIC[name]
    if not callable(thing):
        return
    text = inspect.getdoc(thing) or ""
    assert text, f"{name} has no docstring"
    parameters = _parameters(thing)
    for parameter in parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, (
            f"{name}: {parameter.name} has no annotation"
        )
    if name in tfopt.__all__:
        assert _has_example(text), f"{name} has no example"
        for parameter in parameters:
            assert parameter in text, f"{name}: {parameter} is not in the docstring"


def _has_example(text):
    """An example of its own, or a word where one stands: "Example: see `verify`."."""
    elsewhere = re.search(r"Example: see `(\w+)`", text)
    text = inspect.getdoc(PUBLIC[elsewhere[1]]) if elsewhere else text
    return bool(doctest.DocTestParser().get_examples(text))


def _parameters(thing):
    """The parameters of a function or constructor, but for those that are merely passed on."""
    passed_on = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    try:
        parameters = inspect.signature(thing).parameters
    except ValueError:
        return {}
    return {name: p for name, p in parameters.items() if p.kind not in passed_on and name != "self"}


def serializable():
    """One object of each public class that Keras saves."""
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    teacher = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    return {
        "AttentionMaps": tfopt.AttentionMaps([("a", "b")]),
        "AttentionTransfer": tfopt.AttentionTransfer(["a"], weight=0.5),
        "BinarySoftTargets": tfopt.BinarySoftTargets(temperature=2.0, teacher_classes=[1, 0]),
        "BoundedRegression": tfopt.BoundedRegression(margin=0.1),
        "ConstantSparsity": tfopt.ConstantSparsity(0.5, begin_step=3),
        "CosineDecay": tfopt.CosineDecay(0.8, end_step=9),
        "ExponentialDecay": tfopt.ExponentialDecay(0.8, end_step=9, frequency=2),
        "Iterative": tfopt.Iterative(0.8, begin_step=1, end_step=9, rounds=3),
        "OneShot": tfopt.OneShot(0.5, step=3),
        "RigL": tfopt.RigL(end_step=9),
        "SRSTE": tfopt.SRSTE(end_step=9, decay=0.1),
        "SET": tfopt.SET(end_step=9, drop_fraction=0.2),
        "DIST": tfopt.DIST(beta=2.0, gamma=0.5, teacher_from_logits=True),
        "DecoupledTargets": tfopt.DecoupledTargets(alpha=0.5, temperature=2.0),
        "EMATeacher": tfopt.EMATeacher(0.9),
        "FeatureMatching": tfopt.FeatureMatching(["a"]),
        "HalvingClusters": tfopt.HalvingClusters(16, end_step=9, initial_clusters=64),
        "HiddenStates": tfopt.HiddenStates(["a"], weight=2.0),
        "KerasDistillationLoss": distillation.KerasDistillationLoss(
            keras.distillation.LogitsDistillation(temperature=2.0)
        ),
        "LogitMSE": tfopt.LogitMSE(from_logits=True),
        "OutputMatching": tfopt.OutputMatching("huber", weight=0.5),
        "RelationalKD": tfopt.RelationalKD(["a"], angle=1.0),
        "SelfDistillation": tfopt.SelfDistillation({"early": "late"}),
        "SimilarityPreserving": tfopt.SimilarityPreserving(["a"]),
        "AddMask": kernels.AddMask(plain=True),
        "ConstantFakeQuantize": kernels.ConstantFakeQuantize(-1.0, 2.0),
        "Distiller": tfopt.Distiller(dense, teacher, student_loss_weight=0.5, name="distiller"),
        "FakeQuantize": quantization.FakeQuantize(num_sites=2, momentum=0.9),
        "FixedRange": kernels.FixedRange(-1.0, 2.0),
        "StepState": kernels.StepState(backwards=True),
        "FloatBoundary": kernels.FloatBoundary(visible=True),
        "FloatFence": kernels.FloatFence(casts=True),
        "FusedBatchNormalization": quantization.FusedBatchNormalization(momentum=0.9),
        "PartialLayerNormalization": channels.PartialLayerNormalization(channels=4),
        "PolynomialDecay": tfopt.PolynomialDecay(0.8, end_step=9, power=2),
        "Requantize": kernels.Requantize(16),
        "QuantizedConv1D": quantization.QuantizedConv1D(2, 3),
        "QuantizedConv1DTranspose": quantization.QuantizedConv1DTranspose(2, 3),
        "QuantizedEinsumDense": quantization.QuantizedEinsumDense("ab,bc->ac", 4),
        "QuantizedPReLU": quantization.QuantizedPReLU(shared_axes=[1]),
        "QuantizedConv2D": quantization.QuantizedConv2D(2, 3, strides=2),
        "QuantizedConv2DTranspose": quantization.QuantizedConv2DTranspose(2, 3),
        "QuantizedDepthwiseConv1D": quantization.QuantizedDepthwiseConv1D(3),
        "QuantizedDense": quantization.QuantizedDense(2, use_bias=False),
        "QuantizedDepthwiseConv2D": quantization.QuantizedDepthwiseConv2D(3),
        "Rsqrt": kernels.Rsqrt(smallest=1e-9),
        "ScaleShift": kernels.ScaleShift(center=False),
        "LstmStandIn": kernels.LstmStandIn(3),
        "QuantizedLSTM": quantization.QuantizedLSTM(3, momentum=0.5, weight_bits=4, power_of_two=True),
        "StepCounter": quantization.StepCounter(delay=2, freeze_step=9),
        "SoftTargets": tfopt.SoftTargets(temperature=2.0, weight=0.3),
    }


def test_every_class_with_a_config_is_in_the_table():
    classes = {
        name for name, thing in PUBLIC.items() if inspect.isclass(thing) and hasattr(thing, "get_config")
    }
    bases = {"ClassLoss", "DistillationLoss", "FeatureLoss", "Regrowth", "SparsitySchedule"}
    # Saved and loaded where they are made: tests/distillation/test_cache.py, tests/quantization/test_quantize.py.
    elsewhere = {"TeacherCache", "QuantizedModel"}
    never_saved = {"Evaluation", "Supernet"}  # the latter says so: tests/budgets/test_supernet.py
    assert classes - bases - elsewhere - never_saved == set(serializable())


@pytest.mark.parametrize("name", sorted(serializable()))
def test_config_round_trip(name):
    one = serializable()[name]
    config = keras.saving.serialize_keras_object(one)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is type(one)
    assert json.dumps(keras.saving.serialize_keras_object(again)) == json.dumps(config)
    arguments = set(_parameters(type(one)))
    assert arguments <= set(one.get_config()), "get_config must return every argument of the constructor"
