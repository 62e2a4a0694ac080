"""What users of tfmot reported (numbers of its tracker), re-enacted on Keras 3, with the right value asserted."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfopt
from tests.field_models import IMAGES, exported, is_exact
from tests.models import trained_like

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def _block(name):
    inputs = keras.Input((8, 8, 4))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(inputs)))
    return keras.Model(inputs, x, name=name)


def _inside(x):
    return layers.GlobalAveragePooling2D()(x)


def _shared(x):
    """A siamese pair."""
    convolution = layers.Conv2D(4, 3)
    return layers.Subtract()([_inside(convolution(x)), _inside(convolution(-x))])


# Report -> what `quantize_model` of tfmot refused, behind an image.
REFUSED = {
    "#638 #957 #377 a model in a model": lambda x: _inside(_block("backbone")(x)),
    "#270 shared layers": _shared,
    "#620 a custom layer among others": lambda x: _inside(layers.Lambda(lambda t: t * 2.0)(layers.Conv2D(3, 3)(x))),
    "#363 #628 an activation before the batch norm": lambda x: _inside(
        layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))
    ),
    "#763 a batch norm before a padded convolution": lambda x: _inside(
        layers.Conv2D(4, 3, padding="same")(layers.BatchNormalization()(x))
    ),
    "#362 Conv1D": lambda x: layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(layers.Reshape((8, 32))(x))),
    "#718 #942 attention with layer norm": lambda x: layers.GlobalAveragePooling1D()(
        layers.LayerNormalization()(layers.MultiHeadAttention(2, 2)(*[layers.Reshape((16, 16))(x)] * 2))
    ),
    "#1114 #376 Bidirectional": lambda x: layers.Bidirectional(layers.LSTM(2))(layers.Reshape((4, 64))(x)),
    "#941 #1139 slices and arithmetic": lambda x: _inside(x[:, 1:-1, ::2] * 0.5 + 1.0),
    "#647 Rescaling": lambda x: _inside(layers.Conv2D(3, 3)(layers.Rescaling(1 / 3.0)(x))),
    "#372 #602 UpSampling and Subtract": lambda x: _inside(
        layers.Subtract()([layers.UpSampling2D()(layers.MaxPooling2D()(x)), x])
    ),
    "TF #43939 Conv2DTranspose and batch norm": lambda x: _inside(
        layers.BatchNormalization()(layers.Conv2DTranspose(4, 3, strides=2)(x))
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """All in one model, an output each, converted once; and what `verify` finds of each output."""
    inputs = keras.Input((8, 8, 4), name="image")
    outputs = [layers.Dense(2)(make(inputs)) for make in REFUSED.values()]
    model = trained_like(keras.Model(inputs, outputs))
    q = tfopt.quantize(model, IMAGES, strict=True)
    path, _ = exported(q, tmp_path_factory.mktemp("refused"), strict=True)
    exact, rounded = (each.predict(IMAGES, verbose=0) for each in (model, q))
    return dict(
        zip(REFUSED, zip(tfopt.verify(q, path, IMAGES).outputs, exact, rounded, strict=True), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("report", REFUSED)
def test_what_was_refused_computes_in_integers(report, refused):
    output, exact, rounded = refused[report]
    assert output.equal == 1.0
    assert np.abs(exact - rounded).max() < 0.1 * np.ptp(exact)


class Subclassed(keras.Model):
    """#155 #965 #590: weights in a model that is neither Sequential nor Functional."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.head = layers.Dense(8, activation="relu"), layers.Dense(1)

    def call(self, x):
        return self.head(self.hidden(x))


def _pruned(model, sparsity=0.5, **compiled):
    model.compile(keras.optimizers.Adam(0.01), "mse", **compiled)
    schedule = tfopt.ConstantSparsity(sparsity, begin_step=0)
    model.fit(X, Y, batch_size=16, epochs=2, callbacks=[tfopt.Pruning(schedule)], verbose=0)
    return model


def _zeros(model):
    return float(np.mean(np.concatenate([np.ravel(one) for one in model.get_weights() if one.ndim > 1]) == 0))


def _dense(policy="float32"):
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, activation="relu", dtype=policy), layers.Dense(1, dtype=policy)]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "sparsity"),
    [(Subclassed, 0.5), (lambda: _dense("mixed_float16"), 0.5), (_dense, 0.99)],
    ids=["#155 subclassed", "#409 mixed_float16", "#215 99 %"],
)
def test_what_could_not_be_pruned_is_sparse(make, sparsity):
    model = make()
    model(X[:1])
    assert _zeros(_pruned(model, sparsity)) == pytest.approx(sparsity, abs=0.03)


def test_a_checkpoint_is_sparse_and_smaller_when_zipped(tmp_path):
    """#206: masks that come on after the save; #722 #760 #162: a file that is no smaller."""
    dense, model = _dense(), _pruned(_dense(), 0.8)
    model.save_weights(tmp_path / "w.weights.h5")
    loaded = _dense()
    loaded.load_weights(tmp_path / "w.weights.h5")
    assert _zeros(loaded) == _zeros(model) == pytest.approx(0.8, abs=0.03)
    wide = keras.Sequential([keras.Input((6,)), layers.Dense(512), layers.Dense(64)])
    sizes = []
    for share in (0.0, 0.9):
        for layer in wide.layers:
            kernel = np.random.default_rng(0).normal(size=layer.kernel.shape)
            kernel[np.random.default_rng(1).random(kernel.shape) < share] = 0
            layer.kernel.assign(kernel)
        sizes.append(tfopt.export(wide, tmp_path / "m.tflite").size.gzip)
    assert sizes[1] < 0.3 * sizes[0]
    assert dense.count_params() == model.count_params()


@pytest.mark.slow
def test_a_model_trained_in_mixed_float16_is_exported_as_it_is(tmp_path):
    """#367, and TF #42432: what was trained so cannot be converted."""
    q = tfopt.quantize(_dense("mixed_float16"), X)
    q.compile("adam", "mse")
    q.fit(X, Y, verbose=0)
    path, _ = exported(q, tmp_path, strict=True)
    assert is_exact(q, path, X)


@pytest.mark.slow
def test_4_bits_are_4_bits_in_the_file(tmp_path):
    """#574 #829 #853: trained in 4 bits, stored in 8 without a word."""
    q = tfopt.quantize(_dense(), X, tfopt.QuantConfig(weight_bits=4))
    path, report = exported(q, tmp_path)
    assert set(report.weight_bits) == {4}
    assert is_exact(q, path, X)


@pytest.mark.slow
def test_a_quantized_model_loads_with_no_scope(tmp_path):
    """#426 #1122, TF #46755, keras #16873: unknown layers."""
    q = tfopt.quantize(_dense(), X)
    q.save(tmp_path / "q.keras")
    loaded = keras.saving.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), q.predict(X, verbose=0))
    assert ops.shape(loaded(X[:1])) == (1, 1)
