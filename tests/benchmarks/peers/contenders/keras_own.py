"""Keras' own tools: `quantize("int8")` of dense layers, and `keras.distillation`, with the converter behind them."""

from collections.abc import Callable
from typing import Any

import keras

from tests.benchmarks.peers.contenders.converter import dynamic_range, int8
from tests.benchmarks.peers.work import Work


def quantize(work: Work) -> Any:
    work.model.quantize("int8")
    dynamic_range(work)
    return work.model


def distilled(work: Work) -> Any:
    """The float network taught by itself, then quantized: what stands beside training on the grid with a teacher."""
    student = keras.models.clone_model(work.model)
    student.set_weights(work.model.get_weights())
    loss = keras.distillation.LogitsDistillation(temperature=4.0)
    if work.loss() == "mse":
        loss = keras.distillation.FeatureDistillation(loss="mse")
    distiller = keras.distillation.Distiller(work.model, student, loss, student_loss_weight=0.5)
    work.train(distiller)
    work.model = student
    int8(work)
    return student


METHODS: dict[str, Callable[[Work], Any]] = {"quantize int8": quantize, "distilled, PTQ int8": distilled}
