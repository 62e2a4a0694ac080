"""Kernels on random codes and grids: as a file, and as what the functions of a family read."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.kernels.one_operator import Tensor, one_operator

_ROWS, _DEPTH = 8, 16


@dataclasses.dataclass(frozen=True)
class Grid:
    """The grid of a tensor, as a quantizer of the simulation tells it; `zero_point` is the stored code of 0.0."""

    scale: float
    zero_point: int = 0
    num_bits: int = 8

    def step(self) -> np.float32:
        return np.float32(self.scale)

    def grid(self) -> Any:
        from tfopt.kernels._grids import Grid as Simulated

        return Simulated(self.step(), np.float32(self.zero_point + 2 ** (self.num_bits - 1)))

    def real(self, codes: np.ndarray) -> np.ndarray:
        """The real numbers of stored codes, float32."""
        return (codes.astype("float32") - np.float32(self.zero_point)) * self.step()

    def stored(self, counted: Any) -> np.ndarray:
        """The stored codes of those counted from 0.0, clipped."""
        limit = 2 ** (self.num_bits - 1)
        codes = np.clip(np.asarray(counted, "float64") + self.zero_point, -limit, limit - 1)
        return codes.astype(f"int{self.num_bits}")

    def tensor(self, shape: tuple[int, ...]) -> Tensor:
        return Tensor(shape, f"int{self.num_bits}", self.scale, self.zero_point)


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operator of TFLite, and what it computes of real numbers.

    Attributes:
        kind: as in `tfopt.graph.kind`.
        name: of the operator in the schema.
        function: of the real inputs, float64, and the settings.
        options: the class of its options in the schema.
        settings: what to set of them.
        shapes: of the inputs.
        constants: tensors behind the inputs, such as the axes.
        fixed: the output's grid of 8-bit and of 16-bit codes, if the operator fixes it.
        same: whether the output is on the grid of the input.
        low: the smallest code of each input, counted from 0.0, if not all are allowed.
        narrow: the inputs that have 8 bits whatever the others have.
        most: the largest size of a 16-bit code: float32 holds sums of products up to 2**24.
        smallest_step: of the output, from the steps of the inputs.
        steps: the smallest and largest step of the inputs, of 8-bit codes.
    """

    kind: str
    name: str
    function: Callable
    options: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((_ROWS, _DEPTH),)
    constants: tuple[Tensor, ...] = ()
    fixed: dict[int, Grid] = dataclasses.field(default_factory=dict)
    same: bool = False
    low: tuple[int | None, ...] = (None, None)
    narrow: tuple[int, ...] = ()
    most: int = 2**15
    smallest_step: Callable = lambda *steps: 0.0
    steps: tuple[float, float] = (1e-3, 0.3)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One operation on one set of codes."""

    operation: Operation
    grids: tuple[Grid, ...]
    output: Grid
    codes: tuple[np.ndarray, ...]

    def shape(self) -> tuple[int, ...]:
        return self.x().shape

    def operands(self) -> list[np.ndarray]:
        return [grid.real(codes) for grid, codes in zip(self.grids, self.codes, strict=True)]

    def x(self) -> np.ndarray:
        """The output computed in float."""
        reals = [
            (codes.astype("float64") - grid.zero_point) * grid.scale
            for grid, codes in zip(self.grids, self.codes, strict=True)
        ]
        return np.asarray(self.operation.function(*reals), "float32")

    def content(self) -> bytes:
        """The file."""
        operation = self.operation
        inputs = [grid.tensor(codes.shape) for grid, codes in zip(self.grids, self.codes, strict=True)]
        return one_operator(
            operation.name,
            [*inputs, *operation.constants],
            [self.output.tensor(self.shape())],
            operation.options,
            **operation.settings,
        )


def random_sample(
    operation: Operation, num_bits: int, rng: np.random.Generator, output_bits: int = 0
) -> Sample:
    """An operation on random codes and grids; the output's grid about spans the outputs."""
    grids, codes = [], []
    for number, (shape, low) in enumerate(zip(operation.shapes, operation.low, strict=False)):
        grid = _random_grid(8 if number in operation.narrow else num_bits, rng, operation.steps)
        grids.append(grid)
        limit = min(2 ** (grid.num_bits - 1), operation.most)
        first = -limit if low is None else grid.zero_point + low
        codes.append(_random_codes(first, limit, shape, grid.num_bits, rng))
    sample = Sample(operation, tuple(grids), grids[0], tuple(codes))
    bits = output_bits or num_bits
    if operation.fixed:
        return dataclasses.replace(sample, output=operation.fixed[bits])
    if operation.same:
        return sample
    x = sample.x()
    least = operation.smallest_step(*(grid.scale for grid in grids)) * 1.001
    width = (x.max() - x.min()) / (2**bits - 1) * rng.uniform(0.4, 1.5)
    scale = float(np.float32(max(width, least, 1e-9)))
    if num_bits > 8 or bits > 8:
        return dataclasses.replace(sample, output=Grid(scale * 2.0, 0, bits))
    zero_point = int(np.clip(np.round(-128 - x.min() / scale), -128, 127))
    return dataclasses.replace(sample, output=Grid(scale, zero_point, bits))


def _random_codes(low: int, limit: int, shape: tuple[int, ...], num_bits: int, rng: Any) -> np.ndarray:
    """Random codes; where they fit, all of 8 bits."""
    count = int(np.prod(shape))
    every = np.arange(low, limit)
    if num_bits == 8 and count >= len(every):
        codes = np.concatenate([every, rng.integers(low, limit, count - len(every))])
        return rng.permutation(codes).reshape(shape).astype("int8")
    return rng.integers(low, limit, shape).astype(f"int{num_bits}")


def _random_grid(num_bits: int, rng: np.random.Generator, steps: tuple[float, float]) -> Grid:
    scale = float(np.exp(rng.uniform(*np.log(steps))))
    if num_bits == 8:
        return Grid(float(np.float32(scale)), int(rng.integers(-128, 128)))
    return Grid(float(np.float32(scale / 256)), 0, num_bits)


def _axes(*axes: int) -> Tensor:
    return Tensor((len(axes),), "int32", data=axes)


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _coarser(left: float, right: float = 0.0) -> float:
    return max(left, right) / 2**14  # of 16-bit codes; 2**19 of 8-bit ones


def _pooled(x: np.ndarray) -> np.ndarray:
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _nowhere(x: np.ndarray) -> np.ndarray:
    """Zeros in the shape of an image of 7 x 9 pixels: what is resized is read from the operand."""
    return np.zeros((x.shape[0], 7, 9, x.shape[3]))


_TWO = ((4, 32), (4, 32))
_EACH = ((1, 256),)
_IMAGE = ((1, 4, 4, 16),)
SLOPE = 0.1
_ALPHA = {"options": "LeakyReluOptions", "settings": {"alpha": SLOPE}}
_POOL = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": 1}
_UNIT = {8: Grid(1 / 256, -128), 16: Grid(2.0**-15, 0, 16)}

OPERATIONS = {
    operation.kind: operation
    for operation in (
        Operation("Add", "ADD", np.add, "AddOptions", shapes=_TWO, smallest_step=_coarser),
        Operation("Subtract", "SUB", np.subtract, "SubOptions", shapes=_TWO, smallest_step=_coarser),
        Operation("Multiply", "MUL", np.multiply, "MulOptions", shapes=_TWO),
        Operation(
            "SquaredDifference",
            "SQUARED_DIFFERENCE",
            lambda a, b: (a - b) ** 2,
            "SquaredDifferenceOptions",
            shapes=_TWO,
        ),
        Operation(
            "Matmul",
            "BATCH_MATMUL",
            np.matmul,
            "BatchMatMulOptions",
            shapes=((1, 8, 16), (1, 16, 8)),
            most=512,
        ),
        Operation(
            "Mean",
            "MEAN",
            lambda x: x.mean((1, 2)),
            "ReducerOptions",
            shapes=((1, 7, 5, 16),),
            constants=(_axes(1, 2),),
        ),
        Operation(
            "Sum", "SUM", lambda x: x.sum(1), "ReducerOptions", shapes=((4, 9, 16),), constants=(_axes(1),)
        ),
        Operation("AveragePooling2D", "AVERAGE_POOL_2D", _pooled, "Pool2DOptions", _POOL, _IMAGE, same=True),
        Operation("Absolute", "ABS", np.abs, "AbsOptions", shapes=_EACH),
        Operation("relu", "RELU", lambda x: np.maximum(x, 0), shapes=_EACH),
        Operation("relu6", "RELU6", lambda x: np.clip(x, 0, 6), shapes=_EACH, same=True, steps=(0.05, 0.3)),
        Operation(
            "leaky_relu",
            "LEAKY_RELU",
            lambda x: np.where(x > 0, x, x * np.float32(SLOPE)),
            shapes=_EACH,
            **_ALPHA,
        ),
        Operation("PReLU", "PRELU", lambda x, a: np.where(x > 0, x, x * a), shapes=_TWO, narrow=(1,)),
        Operation("Requantize", "QUANTIZE", lambda x: x, "QuantizeOptions", shapes=_EACH),
        Operation("Rsqrt", "RSQRT", lambda x: 1 / np.sqrt(np.maximum(x, 1e-3)), shapes=_EACH, low=(0,)),
        Operation(
            "Cumsum",
            "CUMSUM",
            lambda x: np.cumsum(x, 1),
            "CumsumOptions",
            constants=(_axes(1),),
            smallest_step=lambda step: step / 2**18,
        ),
        Operation(
            "UnitNormalization", "L2_NORMALIZATION", lambda x: x, "L2NormOptions", fixed={8: Grid(1 / 128, 0)}
        ),
        Operation("elu", "ELU", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), shapes=_EACH),
        Operation(
            "hard_silu",
            "HARD_SWISH",
            lambda x: x * np.clip(x + 3, 0, 6) / 6,
            "HardSwishOptions",
            shapes=_EACH,
            smallest_step=lambda step: step / 128,
        ),
        Operation(
            "sigmoid", "LOGISTIC", lambda x: 1 / (1 + np.exp(-np.clip(x, -80, 80))), shapes=_EACH, fixed=_UNIT
        ),
        Operation("tanh", "TANH", np.tanh, shapes=_EACH, fixed={8: Grid(1 / 128, 0), 16: _UNIT[16]}),
        Operation("softmax", "SOFTMAX", _softmax, "SoftmaxOptions", {"beta": 1.0}, fixed=_UNIT),
        Operation(
            "log_softmax",
            "LOG_SOFTMAX",
            lambda x: np.log(np.maximum(_softmax(x), 1e-30)),
            "LogSoftmaxOptions",
            fixed={8: Grid(1 / 16, 127)},
        ),
        Operation(
            "bilinear",
            "RESIZE_BILINEAR",
            _nowhere,
            "ResizeBilinearOptions",
            {"halfPixelCenters": True},
            ((1, 4, 5, 4),),
            (Tensor((2,), "int32", data=(7, 9)),),
            same=True,
        ),
    )
}
