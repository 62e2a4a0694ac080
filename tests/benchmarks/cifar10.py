"""What the accuracy benchmarks share: CIFAR-10, its augmentation, ResNet8 of MLPerf Tiny, and one way to train.

The folder `TFOPT_TEST_DATA` holds `cifar10.py` (with `load()`) beside its data, and `pretrainedResnet.h5` of MLPerf
Tiny somewhere below it or below its parent.
"""

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags

import tfopt
from tests.benchmarks.data_folder import cifar10, find
from tfopt.distillation import TeacherCache
from tfopt.runtimes import TFLiteFile

FLAGS = flags.FLAGS
flags.DEFINE_integer("subset", 0, "Train and test on as many images only; 0 for all.")
flags.DEFINE_integer("seed", 0, "Seed of everything random.")
flags.DEFINE_integer("float_epochs", 8, "Epochs that fine-tune the float model, if it is not there.")
flags.DEFINE_string("cache", None, "A folder for the teacher's answers; a temporary one if it is not given.")
flags.DEFINE_string(
    "float_model", None, "A .keras file of the fine-tuned float model; made if it is not there."
)
flags.DEFINE_string("teacher", None, "A .keras file of what teaches; the float model if it is not given.")
flags.DEFINE_float("student_loss_weight", 0.1, "What labels count beside a teacher.", lower_bound=0.0)

BATCH = 64

Data = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Data, Data]:
    """CIFAR-10, or as much of it as `--subset` says."""
    x, y, x_test, y_test = cifar10()
    size = FLAGS.subset or len(x)
    return (x[:size], y[:size]), (x_test[:size], y_test[:size])


class Augmented(keras.utils.PyDataset):
    """Batches in random order, flipped at random and shifted by up to 4 pixels.

    Epoch `e` is the same in every run of a seed, and epochs repeat after `period`: a teacher's answers to them can
    be cached.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, seed: int = 0, period: int = 1000) -> None:
        super().__init__()
        self.x = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
        self.y, self.seed, self.period, self.epoch = y, seed, period, -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self.y) / BATCH)

    def on_epoch_end(self) -> None:
        self.show(self.epoch + 1)

    def show(self, epoch: int) -> None:
        """Goes to an epoch, counted from 0: its order is this seed's, its shifts and flips are every seed's."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.seed, epoch)).permutation(len(self.y))
        rng = np.random.default_rng(epoch % self.period)
        self.top, self.left, self.flip = rng.integers(0, (9, 9, 2), (len(self.y), 3)).T

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The images of these rows as this epoch shows them."""
        images = np.empty((len(rows), 32, 32, 3), "float32")
        for image, row in zip(images, rows, strict=True):
            top, left = self.top[row], self.left[row]
            part = self.x[row, top : top + 32, left : left + 32]
            image[:] = part[:, ::-1] if self.flip[row] else part
        return images

    def __getitem__(self, index: int) -> Data:
        rows = self.order[index * BATCH : (index + 1) * BATCH]
        return self.images(rows), self.y[rows]


class AllEpochs(keras.utils.PyDataset):
    """The images of all the epochs of `Augmented`, once each: what a teacher is asked about beforehand."""

    def __init__(self, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
        super().__init__()
        self.source = Augmented(x, y, period=epochs)
        self.batches = math.ceil(len(y) / 250)

    def __len__(self) -> int:
        return self.batches * self.source.period

    def __getitem__(self, index: int) -> np.ndarray:
        epoch, batch = divmod(index, self.batches)
        if self.source.epoch != epoch:
            self.source.show(epoch)
        return self.source.images(np.arange(250 * batch, min(250 * (batch + 1), len(self.source.y))))


def compiled(model: keras.Model, rate: float, steps: int) -> keras.Model:
    """Compiled with Adam on a cosine, for logits; without XLA, which is slower for convolutions on CPU."""
    schedule = keras.optimizers.schedules.CosineDecay(rate, max(1, steps))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(schedule), loss, jit_compile=False)
    return model


def train(
    model: keras.Model,
    batches: keras.utils.PyDataset,
    epochs: int,
    rate: float,
    callbacks: Sequence[Any] = (),
) -> None:
    """Adam on a cosine from `rate` to 0."""
    if epochs:
        compiled(model, rate, epochs * batches.num_batches)
        model.fit(batches, epochs=epochs, verbose=2, shuffle=False, callbacks=list(callbacks))


def cached(whole: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int) -> TeacherCache:
    """What `--teacher`, or the float model, says about the images of so many epochs.

    A cache that is there may hold more of them.
    """
    teacher = keras.models.load_model(FLAGS.teacher, compile=False) if FLAGS.teacher else whole
    folder = FLAGS.cache or tempfile.mkdtemp()
    if (Path(folder) / "manifest.json").exists():
        cache = TeacherCache(folder)
        cache.check_teacher(teacher)
        return cache
    return tfopt.cache_teacher(teacher, AllEpochs(x, y, epochs), folder, verbose=0)


def train_with(
    teacher: TeacherCache | None,
    model: keras.Model,
    batches: Augmented,
    epochs: int,
    rate: float,
    callbacks: Sequence[Any] = (),
) -> None:
    """`train`, as the student of cached logits if there are any."""
    if teacher is None:
        train(model, batches, epochs, rate, callbacks)
        return
    losses = [tfopt.SoftTargets(temperature=4.0, from_logits=True)]
    student = tfopt.Distiller(model, teacher, losses, student_loss_weight=FLAGS.student_loss_weight)
    train(student, teacher.attach(batches), epochs, rate, callbacks)


def with_logits(model: keras.Model) -> keras.Model:
    """The model without the softmax at its end."""
    if getattr(model.layers[-1], "activation", None) is keras.activations.softmax:
        model.layers[-1].activation = keras.activations.linear
        model = keras.models.clone_model(model, clone_function=lambda layer: layer)
    return model


def copy_of(model: keras.Model) -> keras.Model:
    """A model of its own weights, equal to these."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def float_model(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """MLPerf Tiny's ResNet8 fine-tuned on these images, with logits: loaded, or trained and kept."""
    path = FLAGS.float_model
    if path and Path(path).exists():
        return keras.models.load_model(path, compile=False)
    model = with_logits(keras.models.load_model(find("pretrainedResnet.h5"), compile=False))
    train(model, Augmented(x, y, FLAGS.seed), FLAGS.float_epochs, 1e-3)
    if path:
        model.save(path)
    return model


def accuracy(model: keras.Model, test: Data) -> float:
    """Percent correct."""
    logits = model.predict(test[0], batch_size=250, verbose=0)
    return 100.0 * float(np.mean(np.argmax(logits, axis=-1) == test[1]))


def zeros_in(path: str | Path) -> str:
    """The share of zeros in the kernels of a .tflite file, in words."""
    kernels = TFLiteFile.read(path).kernels
    sizes = [math.prod(kernel.shape) for kernel in kernels]
    zeros = sum(kernel.sparsity * size for kernel, size in zip(kernels, sizes, strict=True))
    return f"{zeros / sum(sizes):.1%} of {sum(sizes):,}"


class Minutes:
    """CPU minutes of this process since it was made."""

    def __init__(self) -> None:
        self.begin = time.process_time()

    def __str__(self) -> str:
        return f"{(time.process_time() - self.begin) / 60:.1f}"
