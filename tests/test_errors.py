"""What commands say of errors that libraries raise."""

import errno
import os

import pytest
import tensorflow as tf

from tfopt.commands._errors import is_known, sentence

_NODE = "{{function_node __wrapped__FlushSummaryWriter_device_/job:localhost/device:CPU:0}} "
_FULL = "No space left on device"
ROWS = {
    "full": (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.tflite"), f"{_FULL}: a.tflite"),
    "memory": (MemoryError(), "There is not enough memory for this."),
    "names": (ValueError("Got 'conv\x1b[2J'."), "Got 'conv\\x1b[2J'."),
    "a layer's call": (
        TypeError(
            "Exception encountered when calling Net.call().\n\n\x1b[1mno\n such\x1b[0m\n\nArguments: x=1"
        ),
        "In the call of a Net: no such",
    ),
    "TensorFlow, a full disk": (
        tf.errors.ResourceExhaustedError(
            None,
            None,
            f"{_NODE}/logs/train/ev.v2; {_FULL}\n\tFailed to flush. [Op:FlushSummaryWriter] name: ",
        ),
        f"{_FULL}: /logs/train/ev.v2",
    ),
    "TensorFlow, else": (
        tf.errors.InvalidArgumentError(None, None, f"{_NODE}Shapes differ [Op:AddV2] name: "),
        "Shapes differ",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_sentence(name):
    error, words = ROWS[name]
    assert is_known(error) and sentence(error) == words


def test_a_fault_of_our_own_is_not_hidden():
    assert not is_known(KeyError("x")) and not is_known(AssertionError())
