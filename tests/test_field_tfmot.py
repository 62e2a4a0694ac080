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
    "#638 #957 #377, keras #16888, TF #40699 a model in a model": lambda x: _inside(_block("backbone")(x)),
    "#270 shared layers": _shared,
    "#620, MCT #797 #741 a custom layer among others": lambda x: _inside(
        layers.Lambda(lambda t: t * 2.0)(layers.Conv2D(3, 3)(x))
    ),
    "#363 #628 an activation before the batch norm": lambda x: _inside(
        layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))
    ),
    "#763 #1089 #1099 a batch norm before a padded convolution": lambda x: _inside(
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
    "TF #43939 Conv2DTranspose without a bias, and ReLU": lambda x: _inside(
        layers.Conv2DTranspose(4, 3, strides=2, use_bias=False, activation="relu")(x)
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
    """#155 #965 #590 #662 #812: weights in a model that is neither Sequential nor Functional."""

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
    """#206: masks that come on after the save.

    #722 #760 #162 #570 #1135, TF #47838 #60529 #58823: a file that is no smaller.
    """
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
    """#574 #829 #853, TF #40917: trained in 4 bits, stored in 8 without a word."""
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


# #1119 #1141 #1167 #928 #393, turned around: models of Keras 2, whose classes have the names of Keras 3's.
TAKES_A_MODEL = {
    "check": tfopt.check,
    "quantize": lambda old: tfopt.quantize(old, X),
    "shrink": lambda old: tfopt.shrink(old, macs=0.5),
    "make_student": tfopt.make_student,
    "factorize": lambda old: tfopt.factorize(old, params=0.5),
    "sensitivity": lambda old: tfopt.sensitivity(old, (X, Y)),
    "search": lambda old: tfopt.search(old, (X, Y), {"bytes": 1000}),
    "compress": lambda old: tfopt.compress(old, (X, Y)),
    "export": lambda old: tfopt.export(old, "none.tflite"),
    "verify": lambda old: tfopt.verify(old, "none.tflite", X),
    "compare": lambda old: tfopt.compare({"old": old}, X),
    "report": tfopt.report,
    "count_macs": tfopt.count_macs,
    "update_batch_norm": lambda old: tfopt.update_batch_norm(old, X),
    "Distiller": lambda old: tfopt.Distiller(old, _dense(), [tfopt.LogitMSE()]),
    "Pruning": lambda old: old.fit(X, Y, verbose=0, callbacks=[tfopt.Pruning(tfopt.ConstantSparsity(0.5))]),
    "Clustering": lambda old: old.fit(X, Y, verbose=0, callbacks=[tfopt.Clustering(4)]),
}


@pytest.fixture(scope="module")
def of_keras_2():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential([tf_keras.Input((6,)), tf_keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("name", TAKES_A_MODEL)
def test_a_model_of_keras_2_is_told_from_one_of_keras_3(name, of_keras_2):
    with pytest.raises(
        TypeError, match=r"must be a Keras 3 model. Got tf_keras.* tfopt.legacy.from_keras2\(model\)"
    ):
        TAKES_A_MODEL[name](of_keras_2)


def _mobile_net_v3(x):
    """A block of MobileNetV3: hard swish and squeeze-and-excitation, as Keras writes them."""

    def hard_sigmoid(y):
        return layers.ReLU(6.0)(y + 3.0) * (1 / 6.0)

    y = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x))
    y = layers.Multiply()([y, hard_sigmoid(y)])
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y))
    squeezed = layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = layers.Multiply()([y, hard_sigmoid(layers.Conv2D(8, 1)(squeezed))])
    return layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(4, 1, use_bias=False)(y))])


class _Exports(keras.callbacks.Callback):
    """What the model is when an epoch ends, with all that training has attached to it."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        tfopt.export(self.model, self.path, strict=True)


@pytest.mark.slow
def test_a_mobile_net_v3_that_is_pruned_and_quantized_survives_conversion(tmp_path):
    """#368 #1107 #974, TF #47068 #83754: fine in Keras, and 0.2 % in the file.

    #668 #316 #412 #526: no conversion of what is pruned or quantized in training.
    edgetpu #238 #366 #391: "Model not quantized"; edgetpu #879: QUANTIZE with a step per channel.
    """
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, layers.Dense(1, name="head")(_inside(_mobile_net_v3(inputs))))
    q = tfopt.quantize(model, IMAGES, tfopt.QuantConfig.for_target("edgetpu"))
    q.compile(keras.optimizers.Adam(0.01), "mse")
    pruning = tfopt.Pruning(tfopt.ConstantSparsity(0.5, begin_step=0))
    callbacks = [pruning, _Exports(tmp_path / "epoch.tflite")]
    q.fit(IMAGES, IMAGES.mean((1, 2, 3)), batch_size=8, verbose=0, callbacks=callbacks)
    path, report = exported(q, tmp_path, strict=True)
    assert (tmp_path / "epoch.tflite").read_bytes() == path.read_bytes()
    assert is_exact(q, path, IMAGES)
    assert (report.inputs, report.outputs, report.float_operators) == (("int8",), ("int8",), {})
    assert report.sparsity > 0.25
    assert "QUANTIZE" not in report.operators
