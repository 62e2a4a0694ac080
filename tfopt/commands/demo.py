"""tfopt demo: handwritten digits become a pruned, quantized, distilled int8 .tflite file, proved equal to the model.

Trains a float network on scikit-learn's 1,797 digits, then prunes, quantizes and distils it in ONE `fit`.
"""

import dataclasses
import json
import shlex
import sys
from pathlib import Path

import keras
import numpy as np
from absl import flags
from keras import layers

import tfopt
from tfopt._files import naming, write_whole
from tfopt.page import Content, html_page
from tfopt.pipeline._output_folder import check_output_folder, output_folder
from tfopt.runtimes import inspect

_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the split, the initial weights and the order of the samples."
)
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Epochs of each of the two trainings.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "./tfopt-demo", "Folder to write to; made if it does not exist."
)

FILES = ("digits.keras", "float.tflite", "int8.tflite", "report.html", "report.json", "report.md")
SPARSITY = 0.75
BATCH_SIZE = 32


def main(arguments: list[str]) -> int:
    """Runs the command; the exit code is 1 if the file does not compute what the model computes."""
    if arguments:
        raise ValueError(f"The demo takes only flags. Got {shlex.join(arguments)!r} instead.")
    folder = Path(_OUTPUT_DIR.value)
    check_output_folder(folder, overwrite=True, files=FILES)
    keras.utils.set_random_seed(_SEED.value)
    digits = load_digits(_SEED.value)
    with output_folder(folder) as work:
        teacher, student = _train(*digits)
        passed = _write(teacher, student, digits[1], work, folder)
    print(f"\nWritten to {folder}:\n{', '.join(FILES)}")
    return 0 if passed else 1


def _train(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> tuple[keras.Model, keras.Model]:
    """The float network, and the one that learned from it."""
    x, y = train
    _say(f"1/4  A float network, {_EPOCHS.value} epochs on {len(x):,} digits")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    teacher = make_network()
    teacher.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    teacher.fit(x, y, BATCH_SIZE, epochs=_EPOCHS.value, validation_data=test)

    _say(f"2/4  Pruned to {SPARSITY:.0%} zeros, quantized to int8 and distilled, in one fit")
    student = tfopt.quantize(teacher, calibration=x)
    steps = _EPOCHS.value * -(-len(x) // BATCH_SIZE)
    schedule = tfopt.PolynomialDecay(final_sparsity=SPARSITY, end_step=steps // 2, frequency=10)
    pruning = tfopt.Pruning(schedule, where=".*")  # including the first convolution and the logits
    soft_targets = tfopt.SoftTargets(temperature=4.0, from_logits=True)
    distiller = tfopt.Distiller(student=student, teacher=teacher, losses=[soft_targets])
    learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    distiller.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    distiller.fit(x, y, BATCH_SIZE, epochs=_EPOCHS.value, validation_data=test, callbacks=[pruning])
    return teacher, student


def _write(
    teacher: keras.Model,
    student: keras.Model,
    test: tuple[np.ndarray, np.ndarray],
    work: Path,
    folder: Path,
) -> bool:
    """Files and reports, into a folder that becomes the other one when all are there; whether the file is the model."""
    _say("3/4  Exported and verified")
    with naming(work / "digits.keras"):
        student.save(work / "digits.keras")
    tfopt.export(teacher, work / "float.tflite")
    int8 = str(folder / "int8.tflite")
    exported = dataclasses.replace(tfopt.export(student, work / "int8.tflite", strict=True), path=int8)
    verified = dataclasses.replace(tfopt.verify(student, work / "int8.tflite", test[0]), path=int8)
    print(verified)

    _say("4/4  Compared")
    compared = tfopt.compare({"float": work / "float.tflite", "int8": work / "int8.tflite"}, *test)
    print(compared)
    reports = {"quantize": student.report, "export": exported, "verify": verified, "compare": compared}
    text = json.dumps({name: report.to_dict() for name, report in reports.items()}, indent=2)
    inside = dataclasses.replace(inspect(work / "int8.tflite"), path=int8).to_dict()
    page = Content(
        {**json.loads(text), "inspect": json.loads(json.dumps(inside))},
        title="Handwritten digits, pruned, quantized and distilled",
    )
    for name, content in {
        "report.json": text,
        "report.html": html_page(page),
        "report.md": "\n".join(report.to_markdown() for report in reports.values()),
    }.items():
        write_whole(work / name, content.encode())
    return verified.passed


def load_digits(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """scikit-learn's digits, shuffled: 1,437 to train and 360 to test; x in [0, 1] of shape (n, 8, 8, 1)."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise RuntimeError(
            "The demo needs scikit-learn for its digits. Install it with: pip install 'tfopt[examples]'"
        ) from error
    x, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order].reshape(-1, 8, 8, 1).astype("float32") / 16.0, y[order].astype("int32")
    return (x[360:], y[360:]), (x[:360], y[:360])


def make_network() -> keras.Model:
    """A small residual convolutional network: 90,000 parameters; its outputs are logits."""
    inputs = keras.Input((8, 8, 1))
    x = _convolution(inputs, 32)
    x = _convolution(x, 64)
    x = layers.MaxPooling2D()(x)
    x = layers.Add()([x, _convolution(x, 64)])
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(10)(x), name="digits")


def _convolution(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"\n{text}\n{'-' * len(text)}", flush=True)
