"""What a teacher adds to the accuracy of small networks on CIFAR-10: mean and spread over seeds.

    TFOPT_TEST_DATA=folder python -m tests.benchmarks.distillation_accuracy --seeds=3 --epochs=30

The folder holds `cifar10.py` (with `load()`) beside its data, and `pretrainedResnet.h5` of MLPerf Tiny somewhere
below it or below its parent. Each experiment trains the same student twice with the same seed, epochs and learning
rate: without the teacher and with it.

    one fit   prunes 80 %, quantizes to int8 and distils from the float ResNet8 into ResNet8
    small     a ResNet8 of half the width, so of a quarter of the parameters

The teacher is first fine-tuned on the images given, which are not the ones that it was trained on. Its outputs for the
original and the mirrored images are cached once; all students train on these two epochs in turns.
"""

import importlib.util
import os
import pathlib
import statistics
import tempfile
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from absl import app, flags
from keras import layers

import tfopt
from tfopt._report import Table
from tfopt.distillation import Distiller, SoftTargets, TeacherCache, cache_teacher

FLAGS = flags.FLAGS
flags.DEFINE_integer("seeds", 3, "Runs of each contender.", lower_bound=1)
flags.DEFINE_integer("epochs", 30, "Epochs of each run; also of the teacher's fine-tuning.", lower_bound=1)
flags.DEFINE_integer("subset", 50_000, "Training images to use.", lower_bound=100)
flags.DEFINE_float(
    "learning_rate", 1e-3, "The first learning rate; it falls to 0 along a cosine.", lower_bound=0.0
)
flags.DEFINE_float("temperature", 4.0, "Temperature of the soft targets.", lower_bound=0.1)

BATCH = 64


def load(subset: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], keras.Model]:
    """Training and test images as float32 in 0..255 with their labels, and the pretrained teacher."""
    folder = os.environ.get("TFOPT_TEST_DATA")
    if not folder:
        raise SystemExit("Skipped: set TFOPT_TEST_DATA to the folder that holds cifar10.py and its data.")
    script = next(pathlib.Path(folder).rglob("cifar10.py"))
    spec = importlib.util.spec_from_file_location("cifar10", script)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    (x, y), (x_test, y_test) = module.load()
    found = [
        *pathlib.Path(folder).rglob("pretrainedResnet.h5"),
        *pathlib.Path(folder, "..").rglob("pretrainedResnet.h5"),
    ]
    teacher = keras.models.load_model(found[0], compile=False)
    kept = max(100, 10_000 * subset // 50_000)
    return (
        (x[:subset].astype("float32"), y[:subset]),
        (x_test[:kept].astype("float32"), y_test[:kept]),
        teacher,
    )


def resnet8(width: int) -> keras.Model:
    """ResNet8 as in MLPerf Tiny (16, 32 and 64 channels for width 16), with inputs 0..255."""

    def convolution(x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1) -> keras.KerasTensor:
        options = {"padding": "same", "kernel_regularizer": keras.regularizers.L2(1e-4), "use_bias": False}
        return layers.Conv2D(filters, size, strides=stride, **options)(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(
        layers.BatchNormalization()(convolution(layers.Rescaling(1 / 127.5, -1.0)(inputs), width))
    )
    for depth in range(3):
        filters, stride = width * 2**depth, 2 if depth else 1
        y = layers.ReLU()(layers.BatchNormalization()(convolution(x, filters, stride=stride)))
        y = layers.BatchNormalization()(convolution(y, filters))
        shortcut = convolution(x, filters, 1, stride) if depth else x
        x = layers.ReLU()(layers.Add()([shortcut, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10, "softmax")(x))


class Images(keras.utils.PyDataset):
    """Batches of one epoch: in even epochs the images, in odd ones their mirror images; shuffled by epoch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.seed, self.epoch = x, y, seed, 0
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.x) // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[BATCH * index : BATCH * (index + 1)]
        x = self.x[rows]
        return (x[:, :, ::-1] if self.epoch % 2 == 0 else x), self.y[rows]

    def on_epoch_end(self) -> None:
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.x))
        self.epoch += 1


def compiled(model: keras.Model, steps: int) -> keras.Model:
    """Compiled with Adam on a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, FLAGS.epochs * steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def one_fit(teacher: keras.Model, x: np.ndarray) -> tuple[keras.Model, list[keras.callbacks.Callback]]:
    """The teacher's int8 copy, and what prunes it."""
    steps = FLAGS.epochs * (len(x) // BATCH)
    schedule = tfopt.PolynomialDecay(
        final_sparsity=0.8, end_step=max(2, steps // 2), frequency=max(1, steps // 50)
    )
    return tfopt.quantize(teacher, calibration=x[:512]), [tfopt.Pruning(schedule)]


def small(teacher: keras.Model, x: np.ndarray) -> tuple[keras.Model, list[keras.callbacks.Callback]]:
    """A ResNet8 of half the width."""
    return resnet8(8), []


def accuracies(
    make: Callable, taught_by: TeacherCache | None, teacher: keras.Model, train: tuple, test: tuple
) -> list:
    """Test accuracy of a run for each seed."""
    results = []
    for seed in range(FLAGS.seeds):
        keras.utils.set_random_seed(seed)
        student, callbacks = make(teacher, train[0])
        data: keras.utils.PyDataset = Images(*train, seed)
        model = student
        if taught_by is not None:
            losses = [SoftTargets(FLAGS.temperature, weight=0.5)]
            model, data = (
                Distiller(student, taught_by, losses, student_loss_weight=0.5),
                taught_by.attach(data),
            )
        steps = len(train[0]) // BATCH
        compiled(model, steps).fit(data, epochs=FLAGS.epochs, callbacks=callbacks, shuffle=False, verbose=2)
        results.append(compiled(student, steps).evaluate(*test, verbose=0, return_dict=True)["accuracy"])
    return results


def main(_: list[str]) -> None:
    train, test, teacher = load(FLAGS.subset)
    steps = len(train[0]) // BATCH
    keras.utils.set_random_seed(0)
    compiled(teacher, steps).fit(Images(*train, 0), epochs=FLAGS.epochs, shuffle=False, verbose=2)
    own = teacher.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
    rows = [("teacher (ResNet8)", f"{100 * own:.2f}", "", "")]
    with tempfile.TemporaryDirectory() as folder:
        both = np.concatenate([train[0], train[0][:, :, ::-1]])
        cache = cache_teacher(teacher, both, folder, batch_size=256)
        for name, make in (("one fit: 80 % pruned, int8", one_fit), ("a quarter of the parameters", small)):
            alone, taught = (accuracies(make, by, teacher, train, test) for by in (None, cache))
            gains = [100 * (t - a) for a, t in zip(alone, taught, strict=True)]
            rows.append((f"{name}, alone", *summary([100 * a for a in alone]), ""))
            rows.append(
                (f"{name}, distilled", *summary([100 * t for t in taught]), f"{statistics.mean(gains):+.2f}")
            )
    columns = ("", "accuracy %", "spread", "gain")
    note = (
        f"{FLAGS.seeds} seeds, {FLAGS.epochs} epochs, {len(train[0])} images; spread: largest minus smallest."
    )
    print(Table("What the teacher adds on CIFAR-10", columns, tuple(rows), (note,)))


def summary(values: list[float]) -> tuple[str, str]:
    """Mean, and largest minus smallest."""
    return f"{statistics.mean(values):.2f}", f"{max(values) - min(values):.2f}"


if __name__ == "__main__":
    app.run(main)
