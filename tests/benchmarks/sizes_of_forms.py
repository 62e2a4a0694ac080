"""What a file takes in each form: MLPerf Tiny's ResNet8 in int8, with its kernels changed.

    TFOPT_TEST_DATA=/folder python -m tests.benchmarks.sizes_of_forms

Kernels are pruned by magnitude, pruned 2:4, rounded to a grid of 4 bits, or clustered by k-means, without training:
sizes alone are asked for.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from sklearn.cluster import KMeans

import tfopt
from tests.benchmarks.data_folder import cifar10, find
from tfopt._text import format_bytes
from tfopt.conversion import Flatbuffer
from tfopt.runtimes import TFLiteFile

Codes = np.ndarray

# Largest code of a grid of 4 bits, and of one of 8.
_LARGEST_4, _LARGEST_8 = 7, 127


def pruned(share: float) -> Callable[[Codes], Codes]:
    """Without this share of its smallest codes."""

    def prune(codes: Codes) -> Codes:
        smallest = np.argsort(np.abs(codes), axis=None, kind="stable")[: round(share * codes.size)]
        left = codes.copy()
        left.reshape(-1)[smallest] = 0
        return left

    return prune


def two_of_four(codes: Codes) -> Codes:
    """Without the two smallest of four input channels; a first layer of three is left as it is."""
    if codes.shape[-1] % 4:
        return codes
    groups = codes.reshape(-1, 4).copy()
    np.put_along_axis(groups, np.argsort(np.abs(groups), axis=-1, kind="stable")[:, :2], 0, axis=-1)
    return groups.reshape(codes.shape)


def coarse(codes: Codes) -> Codes:
    """On the 15 codes that a grid of 4 bits has."""
    return np.round(np.round(codes * (_LARGEST_4 / _LARGEST_8)) * (_LARGEST_8 / _LARGEST_4))


def clustered(codes: Codes) -> Codes:
    """On 16 codes."""
    found = KMeans(16, n_init=1, random_state=0).fit(codes.reshape(-1, 1))
    return np.round(found.cluster_centers_[found.labels_]).reshape(codes.shape)


FORMS: dict[str, Callable[[Codes], Codes]] = {
    "plain": lambda codes: codes,
    "50%": pruned(0.5),
    "80%": pruned(0.8),
    "90%": pruned(0.9),
    "2:4": two_of_four,
    "4-bit grid": coarse,
    "80% 4-bit": lambda codes: coarse(pruned(0.8)(codes)),
    "16 clusters": clustered,
}


def changed(content: bytes, change: Callable[[Codes], Codes]) -> bytes:
    """The file with other kernels."""
    file = Flatbuffer(content)
    for kernel in TFLiteFile.of(file.model).kernels:
        codes = np.frombuffer(bytes(file.model.buffers[kernel.buffer].data), "int8").reshape(kernel.shape)
        new = change(codes.astype("float64")).astype("int8")
        file.model.buffers[kernel.buffer].data = new.reshape(-1).view("uint8")
    file.changed = True
    return file.to_bytes()


def main() -> None:
    """Prints the table."""
    folder = Path(tempfile.mkdtemp())
    model = keras.models.load_model(find("pretrainedResnet.h5"), compile=False)
    quantized = tfopt.quantize(model, cifar10()[0][:256], tfopt.QuantConfig.for_target("tflm"))
    tfopt.export(quantized, folder / "plain.tflite")
    content = (folder / "plain.tflite").read_bytes()
    files = {}
    for name, change in FORMS.items():
        files[name] = folder / f"{name.replace(' ', '_').replace(':', '_')}.tflite"
        files[name].write_bytes(changed(content, change))
    print(tfopt.compression.sizes(files))
    packed = tfopt.compression.pack(files["80%"], folder / "80.tfpk", strip=True)
    unpacked = tfopt.compression.unpack(packed, folder / "80.tflite")
    print(
        f"80%, pack --strip: {format_bytes(packed.stat().st_size)}, then {format_bytes(unpacked.stat().st_size)}"
    )


if __name__ == "__main__":
    main()
