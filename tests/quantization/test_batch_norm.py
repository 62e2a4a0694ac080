"""The fused batch norm computes what the stock one computes: outputs, gradients, moving statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfopt
from tests.models import trained_like
from tfopt.graph import kind
from tfopt.quantization import FusedBatchNormalization

X = np.random.default_rng(0).normal(3.0, 2.0, (6, 5, 5, 4)).astype("float32")


def pair(**arguments):
    norms = [layers.BatchNormalization(**arguments), FusedBatchNormalization(**arguments)]
    for norm in norms:
        norm.build(X.shape)
        trained_like(norm)
    return norms


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "arguments", [{}, {"scale": False}, {"center": False, "momentum": 0.5}, {"epsilon": 0.1}, {"axis": 3}]
)
def test_equals_the_stock_layer(arguments, jit_compile):
    stock, fused = pair(**arguments)
    results = []
    for norm in (stock, fused):
        variable = tf.Variable(X)

        @tf.function(jit_compile=jit_compile)
        def step(norm=norm, variable=variable):
            with tf.GradientTape() as tape:
                outputs = norm(variable, training=True)
                loss = tf.reduce_sum(outputs**3)
            return outputs, tape.gradient(loss, [variable, *[w.value for w in norm.trainable_variables]])

        results.append(keras.tree.map_structure(np.asarray, step()))
    keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-3, atol=2e-3), *results)
    for ours, theirs in zip(fused.weights, stock.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    np.testing.assert_allclose(fused(X, training=False), stock(X, training=False), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    stock, fused = pair(dtype=policy)
    ours, theirs = fused(X, training=True), stock(X, training=True)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(np.asarray(ours, "float32"), np.asarray(theirs, "float32"), atol=0.05)
    for one, other in zip(fused.weights, stock.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.01)


def test_what_the_kernel_does_not_do_is_left_to_keras():
    stock, fused = pair()
    fused.trainable = stock.trainable = False
    np.testing.assert_allclose(fused(X, training=True), stock(X, training=True), rtol=1e-5)
    flat = [layers.BatchNormalization(), FusedBatchNormalization()]
    np.testing.assert_allclose(*[norm(X[:, 0, 0], training=True) for norm in flat])


def test_it_is_known_as_a_batch_norm():
    assert kind(FusedBatchNormalization()) == "BatchNormalization"


def behind(norm):
    inputs = keras.Input((6, 6, 3))
    x = norm(layers.Conv2D(4, 3, name="conv")(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def shared():
    inputs = keras.Input((6, 6, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    x = layers.ReLU()(conv(layers.ReLU()(layers.BatchNormalization()(conv(inputs)))))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


# Model, settings, whether a batch norm takes the bias of `conv` out again in every training step.
BIASES = {
    "a norm": (lambda: behind(layers.BatchNormalization()), {}, True),
    "a norm without scale": (lambda: behind(layers.BatchNormalization(scale=False)), {}, True),
    "a norm that is not trained": (lambda: behind(layers.BatchNormalization(trainable=False)), {}, False),
    "a norm that freezes": (
        lambda: behind(layers.BatchNormalization()),
        {"freeze_batch_norm_step": 1},
        False,
    ),
    "no norm": (lambda: behind(layers.Identity()), {}, False),
    "a norm behind one of two calls": (shared, {}, False),
}


@pytest.mark.parametrize("case", BIASES)
def test_a_bias_that_is_taken_out_again_gets_a_gradient_of_zero(case):
    make, given, is_lost = BIASES[case]
    model = trained_like(make())
    x = np.random.default_rng(0).normal(size=(16, 6, 6, 3)).astype("float32")
    q = tfopt.quantize(model, x, tfopt.QuantConfig(**given))
    conv = q.get_layer("conv")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(q(x, training=True) ** 2)
    kernel, bias = map(np.asarray, tape.gradient(loss, [conv.kernel.value, conv.bias.value]))
    assert np.all(bias == 0) == is_lost
    assert np.all(kernel != 0)
