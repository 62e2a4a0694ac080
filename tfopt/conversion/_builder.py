"""How a flatbuffer is laid out: constants aligned, equal small vectors written once."""

from typing import Any

import flatbuffers
import numpy as np

# Bytes of a vector up to which an equal one is looked for: grids of channels, shapes, operands. Constants have
# buffers of their own, which are shared by number.
_LARGEST_SHARED = 2**16


class FileBuilder(flatbuffers.Builder):
    """Writes the vectors of a .tflite file.

    The bytes of buffers are aligned to 16, as the schema demands (`force_align`) and the Python package forgets. Equal
    vectors of numbers are one vector that several tables refer to, which the format allows: the zero points of a
    kernel's channels are as many zeros of 8 bytes, again for its bias, and again in the next layer of that width.

    >>> import numpy as np
    >>> from tfopt.conversion._builder import FileBuilder
    >>> builder = FileBuilder(1024)
    >>> zeros = np.zeros(4, "int64")
    >>> builder.CreateNumpyVector(zeros) == builder.CreateNumpyVector(zeros.copy())
    True
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        if x.itemsize == 1 or x.nbytes > _LARGEST_SHARED:
            return int(super().CreateNumpyVector(x))
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = int(super().CreateNumpyVector(x))
        return self._written[key]
