"""Multiply-accumulates against numbers computed by hand."""

import os
import pathlib

import keras
import pytest
from keras import layers, ops

from tfopt.shrinking import count_macs

IMAGE = (8, 8, 4)

# Layer, input shape, multiply-accumulates.
LAYERS = {
    "dense": (lambda: layers.Dense(5), (7,), 7 * 5),
    "dense on a sequence": (lambda: layers.Dense(5), (3, 7), 3 * 7 * 5),
    "convolution": (lambda: layers.Conv2D(6, 3), IMAGE, 6 * 6 * 9 * 4 * 6),
    "strided": (lambda: layers.Conv2D(6, 3, strides=2, padding="same"), IMAGE, 4 * 4 * 9 * 4 * 6),
    "grouped": (lambda: layers.Conv2D(6, 3, groups=2), IMAGE, 6 * 6 * 9 * 2 * 6),
    "1-D": (lambda: layers.Conv1D(6, 3), (8, 4), 6 * 3 * 4 * 6),
    "3-D": (lambda: layers.Conv3D(6, 3), (4, 4, 4, 2), 2**3 * 27 * 2 * 6),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE, 6 * 6 * 9 * 4 * 2),
    "separable": (lambda: layers.SeparableConv2D(6, 3), IMAGE, 6 * 6 * (9 * 4 + 4 * 6)),
    "transposed": (lambda: layers.Conv2DTranspose(6, 2, strides=2), IMAGE, 8 * 8 * 4 * 4 * 6),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (3, 2, 5)), (3, 7), 3 * 7 * 2 * 5),
    "batch norm": (lambda: layers.BatchNormalization(), IMAGE, 0),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    build, shape, expected = LAYERS[name]
    assert count_macs(keras.Sequential([keras.Input(shape), build()])) == expected


def test_attention():
    inputs = keras.Input((6, 8))
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 4, value_dim=3)(inputs, inputs))
    projections = 6 * 8 * 2 * 4 * 2 + 6 * 8 * 2 * 3 + 6 * 2 * 3 * 8
    assert count_macs(model) == projections + 6 * 6 * 2 * (4 + 3)


def test_products():
    inputs = keras.Input((6, 8))
    scores = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))
    assert count_macs(keras.Model(inputs, scores)) == 6 * 6 * 8
    assert count_macs(keras.Model(inputs, ops.einsum("bij,bkj->bik", inputs, inputs))) == 6 * 6 * 8


def test_a_shared_layer_counts_once_a_call():
    inputs, shared = keras.Input((8,)), layers.Dense(8)
    assert count_macs(keras.Model(inputs, shared(shared(inputs)))) == 2 * 64


def test_open_sizes_are_an_error():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(ValueError, match=r"of 'conv' \(Conv2D\) depend on a size that is open"):
        count_macs(model)


def test_resnet8_of_mlperf_tiny():
    folder = os.environ.get("TFOPT_TEST_DATA")
    files = sorted(pathlib.Path(folder).rglob("*[Rr]esnet*.h5")) if folder else []
    if not files:
        pytest.skip("TFOPT_TEST_DATA names no folder with MLPerf Tiny's ResNet8")
    macs = count_macs(keras.saving.load_model(files[0], compile=False))
    assert macs == pytest.approx(12.5e6, rel=0.005)
