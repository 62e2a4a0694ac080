"""What export writes is computed once on the host: every compiler must round it to the same bits in the simulation."""

import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Sequential, layers

import tfopt
from tests.models import samples_for, trained_like

# Name -> layers after the first convolution.
FOLDED = {
    "bias": [],
    "batch norm": [layers.BatchNormalization()],
    "batch norm without scale": [layers.BatchNormalization(scale=False)],
    "batch norm without center": [layers.BatchNormalization(center=False)],
    "lone batch norm": [layers.ReLU(), layers.BatchNormalization(scale=False)],
    "rescaling": [layers.ReLU(), layers.Rescaling(1 / 3.0, 0.1)],
    "depthwise": [layers.DepthwiseConv2D(3), layers.BatchNormalization(scale=False)],
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", FOLDED)
def test_steps_and_biases_are_those_of_the_file(name, jit_compile):
    model = trained_like(Sequential([Input((6, 6, 3)), layers.Conv2D(64, 3), *FOLDED[name]]))
    q = tfopt.quantize(model, calibration=samples_for(model, 8))
    compiled = tf.function(q.stored, jit_compile=jit_compile)()
    for layer, values in q.stored().items():
        for expected, actual in zip(values, compiled[layer], strict=True):
            np.testing.assert_array_equal(actual, expected, layer)
