"""The mixin that makes a layer compute with its weights on their grid."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfopt._host_ops import assign_from, on_host, ops
from tfopt._untracked import Untracked
from tfopt.graph import fold_factor
from tfopt.kernels import IntegerWeights, once
from tfopt.quantization.simulation._grid_settings import GridSettings


class _ReadThrough:
    """A data descriptor over a layer's attribute.

    Outside `call` it is the plain variable, for saving, loading, pruning and `layer.kernel.assign`; inside `call`
    it is what `QuantizedWeights.operands` puts in its place. `base` is the stock class's own property, where it has
    one.
    """

    def __init__(self, name: str, base: property | None) -> None:
        self.name = name
        self.base = base

    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        in_call = layer.__dict__.get("_in_call", {})
        if self.name in in_call:
            return in_call[self.name]
        return self.base.__get__(layer, owner) if self.base else layer.__dict__.get("_float_" + self.name)

    def __set__(self, layer: Any, value: Any) -> None:
        if self.base and self.base.fset:
            self.base.fset(layer, value)
        else:
            layer.__dict__["_float_" + self.name] = value


def _reading_through(call: Callable, signature: inspect.Signature) -> Callable:
    """A layer's `call`, during which its attributes are those that `operands` gives.

    Args:
        call: that of the stock layer.
        signature: what Keras and the user see; it may have a `training` that `call` does not take.
    """
    takes_training = "training" in inspect.signature(call).parameters

    @functools.wraps(call)
    def quantized_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        training = kwargs.get("training") if takes_training else kwargs.pop("training", None)
        return self.evaluate(call, args, kwargs, training)

    quantized_call.__signature__ = signature  # type: ignore[attr-defined]
    return quantized_call


class QuantizedWeights(GridSettings, IntegerWeights):
    """Mixin before a layer: names the weights to quantize and the axes that index their channels.

    A subclass sets `kept_axes`, or `axes_of` where they differ between weights or layers; the constructor, config,
    weights and saved files are those of the layer, plus the settings of a `WeightGrid`.
    """

    kept_axes: tuple[int, ...] = (-1,)
    weight_names: tuple[str, ...] = ("kernel",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not issubclass(cls, keras.layers.Layer):
            return  # another mixin
        for name in cls.read_names():
            setattr(cls, name, _ReadThrough(name, getattr(cls, name, None)))
        cls.call = _reading_through(cls.call, cls.call_signature())  # type: ignore[attr-defined]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_norm(None)

    @classmethod
    def read_names(cls) -> tuple[str, ...]:
        """The attributes that may be others while the layer is called."""
        return cls.weight_names

    @classmethod
    def call_signature(cls: Any) -> inspect.Signature:
        """The signature of `call`."""
        return inspect.signature(cls.call)

    def operands(
        self, args: tuple[Any, ...], training: bool | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional arguments of `call`, and what it reads in place of the layer's attributes, by name."""
        return args, {name: self.quantize_weight(getattr(self, name), name) for name in self.weight_names}

    def evaluate(
        self: Any,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
    ) -> Any:
        """What the stock layer's `call` returns while it reads what `operands` gives."""
        args, in_call = self.operands(args, training)
        with self.reading(in_call):
            return call(self, *args, **kwargs)

    @contextlib.contextmanager
    def reading(self, in_call: dict[str, Any]) -> Iterator[None]:
        """Inside, the layer's attributes of these names are these."""
        self.__dict__["_in_call"] = in_call
        try:
            yield
        finally:
            self.__dict__["_in_call"] = {}

    def set_norm(self, norm: keras.layers.Layer | None) -> None:
        """Names the batch norm that reads the outputs of every call, and will be folded in; None for none."""
        self._norm = Untracked(norm)

    def axes_of(self, name: str) -> tuple[int, ...]:
        """The axes of a weight that index its channels."""
        return self.kept_axes

    def quantize_weight(self, weight: Any, name: str = "kernel") -> Any:
        """The weight of that name on its grid, with a straight-through gradient; as it is during a delay."""
        return self.unless_delayed(weight, lambda: self._rounded(weight, name))

    @once
    def weight_step(self) -> Any:
        """The real value of one code of each channel of the first weight."""
        weight, factor, axes = self._first()
        if factor is None:
            return self.grid.step(weight, axes)
        return self.grid.step(weight * factor, axes) / factor

    @once
    def weight_codes(self) -> Any:
        """The code of each number of the first weight: whole numbers, as float32."""
        weight, factor, axes = self._first()
        folded = weight if factor is None else weight * factor
        return self.grid.codes(folded, self.grid.step(folded, axes), axes)

    def channel_bias(self: Any) -> Any:
        """The bias of each channel, float32 (channels,); 0 without one."""
        return 0.0 if self.bias is None else ops.cast(ops.convert_to_tensor(self.bias), "float32")

    def along_outputs(self, values: Any) -> Any:
        """Numbers of each channel, (channels,), in a shape that broadcasts with the outputs."""
        return values

    def weights_and_rounded(self) -> tuple[Any, Any]:
        name = self.weight_names[0]
        weight = ops.convert_to_tensor(getattr(self, name))
        return weight, self._rounded(weight, name)

    def _first(self) -> tuple[Any, Any, tuple[int, ...]]:
        name = self.weight_names[0]
        weight = ops.cast(getattr(self, name), "float32")
        return weight, self._factor(weight, name), self.axes_of(name)

    def _rounded(self, weight: Any, name: str) -> Any:
        return self.grid.quantize(weight, self.axes_of(name), self._factor(weight, name))

    def _factor(self, weight: Any, name: str) -> Any:
        """What folding will multiply each channel with, up to its sign; None if that does not matter.

        It matters to a step that channels share, which is that of the product.
        """
        if self._norm.value is None or not self.grid.follows_norm:
            return None
        factor = ops.stop_gradient(ops.abs(fold_factor(self._norm.value)))
        kept = {axis % len(weight.shape) for axis in self.axes_of(name)}
        shape = [size if axis in kept else 1 for axis, size in enumerate(weight.shape)]
        return ops.reshape(ops.where(factor > 0, factor, 1.0), shape)

    def to_inference(self: Any) -> keras.layers.Layer:
        """The layer without the mixin, built, with the rounded weights in it: what the converter reads."""
        plain: Any = next(
            base
            for base in type(self).__mro__
            if issubclass(base, keras.layers.Layer) and not issubclass(base, QuantizedWeights)
        )
        config = {name: value for name, value in self.get_config().items() if name not in self._settings()}
        # Numbers that are replaced at once need not be drawn at random, which takes several times their memory.
        drawn = {name: "zeros" for name in config if name.endswith("_initializer")}
        layer = plain.from_config({**config, **drawn})
        layer.build_from_config(self.get_build_config())
        for own, plain_one in zip(self.weights, layer.weights, strict=True):
            assign_from(own, plain_one)
        with on_host():
            for name in self.weight_names:
                weight = np.asarray(ops.convert_to_tensor(getattr(self, name)))
                factor = self._factor(weight, name)
                getattr(layer, name).assign(self.grid.quantize_on_host(weight, self.axes_of(name), factor))
        return layer
