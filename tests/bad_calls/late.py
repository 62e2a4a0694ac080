"""Mistakes that are found late: after a conversion, or at the first step of a training."""

import keras
import numpy as np
from keras import layers

import tfopt
from tests.bad_calls.things import NAN, Call

LATE: dict[str, tuple[Call, str]] = {
    "Pruning: NaN in a weight": (
        lambda c: c.fit(tfopt.Pruning(tfopt.ConstantSparsity(0.5)), c.spoilt(NAN)),
        "'hidden'",
    ),
    "Clustering: NaN in a weight": (lambda c: c.fit(tfopt.Clustering(4), c.spoilt(NAN)), "'hidden'"),
    "Distiller: a teacher of other classes": (
        lambda c: c.distil(keras.Sequential([keras.Input((4,)), layers.Dense(5, "softmax")])),
        "classes",
    ),
    "Distiller: a teacher of other inputs": (
        lambda c: c.distil(keras.Sequential([keras.Input((9,)), layers.Dense(3, "softmax")])),
        "teacher",
    ),
    "Distiller: a teacher that gives NaN": (lambda c: c.distil(c.spoilt(NAN)), "teacher"),
    "Distiller: a layer that is not there": (
        lambda c: c.distil(c.net, losses=[tfopt.FeatureMatching(layers=["nowhere"])]),
        "'nowhere'",
    ),
    "cache_teacher: a teacher that gives NaN": (
        lambda c: tfopt.cache_teacher(c.spoilt(NAN), c.x, c.folder / "nan", verbose=0),
        "teacher",
    ),
    "cache_teacher: a layer that is not there": (
        lambda c: tfopt.cache_teacher(c.net, c.x, c.folder / "t", features=["nowhere"], verbose=0),
        "'nowhere'",
    ),
    "update_batch_norm: other width": (lambda c: tfopt.update_batch_norm(c.net, c.x[:, :2]), "data"),
    "verify: another model": (
        lambda c: tfopt.verify(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), c.file, c.x),
        "output",
    ),
    "shrink: data of other width": (
        lambda c: tfopt.shrink(c.net, channels=0.5, criterion="taylor", data=(c.x[:, :2], c.y)),
        "data",
    ),
    "sensitivity: labels out of range": (lambda c: tfopt.sensitivity(c.net, (c.x, c.y + 5)), "classes"),
    "sensitivity: NaN in a weight": (lambda c: tfopt.sensitivity(c.spoilt(NAN), (c.x, c.y)), "'hidden'"),
    "compress: NaN in a weight": (lambda c: tfopt.compress(c.spoilt(NAN), (c.x, c.y)), "'hidden'"),
    "compress: a quantized model": (lambda c: tfopt.compress(c.quantized, (c.x, c.y)), "quantized"),
    "compress: data of other width": (lambda c: tfopt.compress(c.net, (c.x[:, :2], c.y)), "samples of 4"),
    "export: NaN in a quantized model": (
        lambda c: (_spoil(c.quantized), tfopt.export(c.quantized, c.folder / "a.tflite")),
        "NaN",
    ),
}


def _spoil(model: keras.Model) -> None:
    weight = max(model.weights, key=lambda one: int(np.prod(one.shape)))
    weight.assign(np.full(weight.shape, NAN))
