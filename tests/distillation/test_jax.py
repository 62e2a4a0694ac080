"""Distillation on the JAX backend, in a process of its own: schedules, pruning, features, a cache, self-teaching."""

import pytest

from tests.jax_process import NEEDS_JAX, run_on_jax

PROGRAM = """
import sys
import keras, numpy as np, tfopt
import tfopt.distillation as td

assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 8)).astype("float32"), rng.integers(0, 3, 64)


def classifier(units):
    hidden = keras.layers.Dense(units, "relu", name="hidden")
    return keras.Sequential([keras.Input((8,)), hidden, keras.layers.Dense(3, "softmax", name="head")])


def fitted(teacher, losses, optimizer, data=x, student=None, **fit):
    distiller = td.Distiller(student or classifier(6), teacher, losses)
    distiller.compile(optimizer, "sparse_categorical_crossentropy")
    logs = distiller.fit(data, y, batch_size=16, shuffle=False, verbose=0, **fit).history
    return distiller, logs["distillation_loss"]


# The loss of each of four steps, with nothing learned: weight and temperature are those of the optimizer's step.
weight = keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)
temperature = keras.optimizers.schedules.PiecewiseConstantDecay([0, 2], [4.0, 2.0, 1.0])
for accumulate, steps in ((None, range(4)), (2, (0, 0, 1, 1))):
    student, teacher = classifier(6), classifier(16)
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=accumulate)
    _, got = fitted(teacher, [td.SoftTargets(temperature, weight=weight)], optimizer, student=student)
    expected = []
    for batch, step in enumerate(steps):
        rows = x[16 * batch : 16 * (batch + 1)]
        loss = td.SoftTargets(float(temperature(step)))
        expected.append(float(weight(step)) * float(loss(teacher(rows), student(rows))))
    np.testing.assert_allclose(got, np.mean(expected), rtol=1e-4)
    assert got[0] > 0

# Together with pruning, saved and resumed at its step.
prune = tfopt.Pruning(tfopt.PolynomialDecay(final_sparsity=0.5, begin_step=0, end_step=8, frequency=2))
losses = [td.SoftTargets(temperature, weight=weight), td.FeatureMatching(["hidden"])]
distiller, got = fitted(classifier(16), losses, "adam", epochs=3, callbacks=[prune])
kernel = keras.ops.convert_to_numpy(distiller.student.get_layer("hidden").kernel)
assert np.mean(kernel == 0) >= 0.5 and np.isfinite(got).all()
distiller.save(sys.argv[1] + "/d.keras")
loaded = keras.saving.load_model(sys.argv[1] + "/d.keras")
one, other = (
    d.fit(x, y, batch_size=16, shuffle=False, verbose=0).history["distillation_loss"] for d in (distiller, loaded)
)
np.testing.assert_allclose(one, other, rtol=1e-5)

# A cache teaches as its teacher does, and a mean teacher's decay may be a schedule.
teacher = classifier(16)
cache = td.cache_teacher(teacher, x, sys.argv[1] + "/cache", verbose=0)
runs = [
    fitted(source, None, keras.optimizers.SGD(0.0), data, student=student)[1]
    for source, data in ((teacher, x), (cache, cache.attach(x)))
]
np.testing.assert_allclose(*runs, rtol=1e-5)
decay = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.0, 0.5])
mean, got = fitted(td.EMATeacher(decay), None, keras.optimizers.SGD(0.5), epochs=2)
assert got[1] > 0
print("done")
"""


@pytest.mark.slow
@NEEDS_JAX
def test_distillation_on_jax(tmp_path):
    run_on_jax(PROGRAM, tmp_path)
