"""The base of the runtimes: they load a .tflite file and run it on samples, with floats in and floats out."""

import abc
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from tfopt._samples import gather
from tfopt.runtimes._codes import to_dtype, to_real
from tfopt.runtimes._inputs import by_input
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile


@dataclasses.dataclass(frozen=True, eq=False)
class RunResult:
    """What a .tflite file computed.

    Args:
        values: outputs as floats, `(samples, ...)`, by name. Integers are `scale * (raw - zero_point)`.
        raw: outputs as the file gives them.

    Example:

    >>> RunResult({"y": np.array([[0.5]])}, {"y": np.array([[64]], "int8")}).raw["y"].dtype
    dtype('int8')
    """

    values: dict[str, np.ndarray]
    raw: dict[str, np.ndarray]


class CannotRunError(RuntimeError):
    """A runtime cannot run a file.

    Args:
        message: what the runtime reported, and how to fix it.
        operators: the operators that it has no kernel for, if it names them.

    Example:

    >>> CannotRunError("No kernel for EXP.", ("EXP",)).operators
    ('EXP',)
    """

    def __init__(self, message: str, operators: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.operators = tuple(operators)


class Runtime(abc.ABC):
    """A .tflite file, loaded and ready to run.

    Each runtime is a subclass with an `_open` that loads the file and three methods: `set_inputs`, `invoke` and
    `tensor`. The rest is the same for all of them. `tfopt.runtimes.load` makes one by name.

    Args:
        model: path or bytes of a .tflite file, or a `TFLiteFile`.
        num_threads: threads that one operator may use.
        keep_tensors: keep what every operator writes, for `tensor`; it takes more memory and time.

    Raises:
        ValueError: there is no such file, or it is not a .tflite file.
        CannotRunError: the runtime lacks an operator or refuses the file.

    Example: see `load`.
    """

    title: ClassVar[str]

    def __init__(self, model: Any, num_threads: int = 1, keep_tensors: bool = False) -> None:
        self.file = TFLiteFile.read(model)
        self._open(num_threads, keep_tensors)

    @abc.abstractmethod
    def _open(self, num_threads: int, keep_tensors: bool) -> None:
        """Loads `self.file`."""

    @abc.abstractmethod
    def set_inputs(self, arrays: Sequence[np.ndarray]) -> None:
        """Sets one array for each input, of the input's type, and of its shape but for open dimensions."""

    @abc.abstractmethod
    def invoke(self) -> None:
        """Runs the file once."""

    def reset(self) -> None:  # noqa: B027 - a runtime of files without state has nothing to do
        """Sets what the file keeps from one call to the next to zero, such as the states of an LSTM."""

    @abc.abstractmethod
    def tensor(self, tensor: Tensor) -> np.ndarray:
        """A copy of an output, or with `keep_tensors` of any tensor that an operator writes."""

    def batches(self, x: Any, order: Sequence[str] = ()) -> Iterator[int]:
        """Runs all samples in the file's own batch size; the tensors can be read after each batch.

        Each call starts from states of zero: a sample is a sequence of its own.

        Args:
            x: what `gather` returned.
            order: names of the inputs in the order of a list of samples; the file's order by default.

        Yields:
            How many samples the batch holds. The last one is filled up with the last sample.
        """
        arrays = by_input(x, self.file.inputs, order)
        feeds = [to_dtype(array, tensor) for array, tensor in zip(arrays, self.file.inputs, strict=True)]
        total, batch = len(feeds[0]), self.file.batch_size
        for start in range(0, total, batch):
            rows = np.minimum(np.arange(start, start + batch), total - 1)
            self.reset()
            self.set_inputs([feed[rows] for feed in feeds])
            self.invoke()
            yield min(batch, total - start)

    def run(
        self,
        samples: Any,
        order: Sequence[str] = (),
        advance: Callable[[int], Any] = lambda done: None,
    ) -> RunResult:
        """Outputs for all samples, which are run in the file's own batch size.

        Args:
            samples: real values, in any form that `verify` takes; integer inputs are quantized from them.
            order: names of the inputs in the order of a list of samples; the file's order by default.
            advance: called with the number of samples just done.
        """
        x, _ = gather(samples, self.file.inputs)
        parts: list[list[np.ndarray]] = [[] for _ in self.file.outputs]
        for size in self.batches(x, order):
            for part, tensor in zip(parts, self.file.outputs, strict=True):
                part.append(self.tensor(tensor)[:size])
            advance(size)
        raw = {t.name: np.concatenate(p) for t, p in zip(self.file.outputs, parts, strict=True)}
        return RunResult({t.name: to_real(raw[t.name], t) for t in self.file.outputs}, raw)
