"""One network on several machines: prune and quantize while they train it together, an int8 file from the chief.

Keras 3 cannot `fit` under MultiWorkerMirroredStrategy (https://github.com/keras-team/keras/issues/20585), but its
`train_step` runs there, in a loop. Start this on each machine with its own index, and a folder that all of them see;
start it again on all of them after one has died, and it goes on after the last epoch:

pip install 'tfopt[examples]'
TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}' \
    python examples/multi_worker.py /shared/folder
"""

import os
import sys
from pathlib import Path

from tfopt import distribute

strategy = distribute.strategy()  # before anything else: TensorFlow cannot join a cluster later

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

import tfopt  # noqa: E402

EPOCHS = 4
BATCH_SIZE = 64  # of all workers together
keras.utils.set_random_seed(0)

folder = Path(sys.argv[1])
backup = folder / "backup.keras"

# Data: every worker holds all of it here, and `experimental_distribute_dataset` gives each its part of a batch.
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16.0
x_train, y_train, x_test, y_test = x[360:], y[360:], x[:360], y[:360]
STEPS = len(x_train) // BATCH_SIZE


def make_model() -> keras.Model:
    """A small network on the int8 grid."""
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(10),
        ]
    )
    model = tfopt.quantize(network, calibration=x_train)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    return model


def batches(epoch: int) -> tf.data.Dataset:
    """The batches of an epoch, in an order that only its number decides: a resumed run reads the same ones."""
    order = np.random.default_rng(epoch).permutation(len(x_train))
    data = tf.data.Dataset.from_tensor_slices((x_train[order], y_train[order]))
    return strategy.experimental_distribute_dataset(data.batch(BATCH_SIZE, drop_remainder=True))


with strategy.scope():
    model = keras.models.load_model(backup) if backup.exists() else make_model()
first_epoch = int(model.optimizer.iterations.numpy()) // STEPS

keras.utils.set_random_seed(0)  # here again: a resumed run draws what the first one drew
# Random scores: whatever a worker draws, the chief's masks count.
pruning = tfopt.Pruning(tfopt.PolynomialDecay(0.75, end_step=3 * STEPS, frequency=10), criterion="random")
callbacks = keras.callbacks.CallbackList([pruning], model=model, epochs=EPOCHS, steps=STEPS)
callbacks.on_train_begin()  # before the step is traced, which reads the masks


@tf.function
def step(batch: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """One update with the gradients of all workers; the mean of their losses."""
    losses = strategy.run(lambda part: model.train_step(part)["loss"], args=(batch,))
    return strategy.reduce("mean", losses, axis=None)


for epoch in range(first_epoch, EPOCHS):
    callbacks.on_epoch_begin(epoch)
    for index, batch in enumerate(batches(epoch)):
        callbacks.on_train_batch_begin(index)
        logs = {"loss": float(step(batch))}
        callbacks.on_train_batch_end(index, logs)
    callbacks.on_epoch_end(epoch, logs)
    print(f"epoch {epoch + 1}: loss {logs['loss']:.4f}", flush=True)
    for metric in model.metrics:
        metric.reset_state()
    if distribute.is_chief():
        model.save(folder / "new.keras")
        os.replace(folder / "new.keras", backup)  # whole or not at all
callbacks.on_train_end()

# One worker writes and checks the file, outside of the strategy's scope; the others need not wait.
if distribute.is_chief():
    print(pruning.report)
    print(tfopt.export(model, folder / "digits.tflite"))
    print(tfopt.verify(model, folder / "digits.tflite", x_test))
    accuracy = np.mean(np.argmax(model(x_test, training=False), axis=-1) == y_test)
    print(f"accuracy {accuracy:.3f}")
