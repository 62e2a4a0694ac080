"""Calls of `shrink` that cannot be right: each error names the way out."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.shrinking.nets import wide
from tfopt.shrinking import shrink

ERRORS = {
    "no budget": (dict(), "exactly one budget"),
    "two budgets": (dict(channels=0.5, macs=0.5), "Got channels=0.5 and macs=0.5"),
    "ratio above 1": (dict(channels=1.5), r"'channels' argument must be a part in \(0, 1\)"),
    "ratio of 1": (dict(channels=1), r"'channels' argument must be a part in \(0, 1\)"),
    "ratio of 0": (dict(macs=0), "'macs' argument must be"),
    "negative": (dict(params=-3), "'params' argument must be"),
    "a bool": (dict(bytes=True), "'bytes' argument must be"),
    "a word": (dict(channels="half"), "'channels' argument must be"),
    "no such layer": (dict(channels={"none": 0.5}), "must name layers whose .*: first, second. Got 'none'"),
    "a part above 1": (dict(channels={"first": 2}), r"must give 'first' a part in \(0, 1\] to keep. Got 2"),
    "not a number": (dict(latency=float("nan")), "'latency' argument must be a number of milliseconds"),
    "impossible": (dict(params=10), "The budget must be at least"),
    "divisor": (dict(channels=0.5, divisor=0), "'divisor' argument must be an integer of at least 1"),
    "divisor of a target": (dict(channels=0.5, divisor="edgetpu"), "documented: 'litert', .*Got 'edgetpu'"),
    "criterion": (dict(channels=0.5, criterion="size"), "'criterion' argument must be"),
    "criterion's shape": (dict(channels=0.5, criterion=lambda w: 1.0), "scores of its argument's shape"),
    "no data": (dict(channels=0.5, criterion="taylor"), "'data' argument must hold inputs and targets"),
    "no loss": (dict(channels=0.5, criterion="taylor", data=([0], [0])), "is not compiled"),
    "where matches nothing": (dict(channels=0.5, where="nowhere"), "'where' argument must match a layer"),
    "nothing to remove": (
        dict(channels=0.5, where="head"),
        "must have a layer whose channels can be removed",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_way_out(name):
    arguments, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        shrink(wide(8), **arguments)


def test_errors_of_models():
    with pytest.raises(ValueError, match="must be built"):
        shrink(keras.Sequential([layers.Dense(2)]), channels=0.5)
    with pytest.raises(TypeError, match="must be a Keras 3 model"):
        shrink(None, channels=0.5)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(2)])
    with pytest.raises(ValueError, match="must find a batch norm"):
        shrink(model, channels=0.5, criterion="batch_norm")
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="must hold targets"):
        shrink(model, channels=0.5, criterion="taylor", data=np.zeros((4, 3), "float32"))
