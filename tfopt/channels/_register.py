"""Custom layers whose channels can be removed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

import keras

from tfopt.channels._channels import CARRIED, MADE, READ, Sizes
from tfopt.channels._rule import ATTRIBUTE, ChannelRule
from tfopt.channels._tracer import ChannelTracer
from tfopt.graph import Node

LayerClass = TypeVar("LayerClass", bound=type[keras.layers.Layer])
Weights = Mapping[str, Sequence[str | None]]
IN, OUT = "in", "out"


@overload
def register_channels(
    layer_class: LayerClass, *, weights: Weights | None = None, config: Mapping[str, str] | None = None
) -> LayerClass: ...
@overload
def register_channels(
    *, weights: Weights | None = None, config: Mapping[str, str] | None = None
) -> Callable[[LayerClass], LayerClass]: ...
def register_channels(layer_class: Any = None, *, weights: Any = None, config: Any = None) -> Any:
    """Tells `shrink` and `Pruning(pattern="channels")` how channels flow through a custom layer.

    Needed only for a layer that makes weights of its own; a layer made of Keras layers and `keras.ops` is opened.
    Channels are the last axis of the first input and of the output. A layer with a weight that has an `"out"` axis
    makes channels of its own; one with `"in"` axes alone, or without weights, passes those of its input on and must
    work on each by itself. `shrink` makes the smaller layer from its config, and checks on random numbers that it
    computes the same. Call this, or use it as a decorator, where the class is defined.

    Args:
        layer_class: the class, with a `get_config`.
        weights: for the name of every weight, what each of its axes is indexed by: `"in"`, `"out"`, or None for
            something else, as in `{"kernel": ("in", "out"), "bias": ("out",)}`.
        config: arguments of the constructor that count channels: `{"units": "out"}`.

    Returns:
        The class itself, or a decorator where `layer_class` is left out.

    Raises:
        TypeError: `layer_class` is no Keras layer class.
        ValueError: it is one of Keras' own, or an axis is neither `"in"`, `"out"` nor None.

    Example:

    >>> import keras, tfopt
    >>> @tfopt.register_channels(weights={"kernel": ("in", "out")}, config={"units": "out"})
    ... class Linear(keras.layers.Layer):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.units = units
    ...
    ...     def build(self, shape):
    ...         self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
    ...
    ...     def call(self, x):
    ...         return keras.ops.matmul(x, self.kernel)
    ...
    ...     def get_config(self):
    ...         return {**super().get_config(), "units": self.units}
    >>> model = keras.Sequential([keras.Input((4,)), Linear(16), Linear(2)])
    >>> model.count_params(), tfopt.shrink(model, channels=0.5).count_params()
    (96, 48)
    """
    if layer_class is None:
        return lambda decorated: register_channels(decorated, weights=weights, config=config)
    weights, config = dict(weights or {}), dict(config or {})
    _check(layer_class, weights, config)
    axes = {name: tuple(indexed) for name, indexed in weights.items()}
    makes = any(OUT in indexed for indexed in axes.values())
    rule = ChannelRule(
        flow=_making(axes) if makes else _carrying(axes),
        weights=tuple(axes),
        config=lambda node, sizes: {name: _size(node, sizes, what) for name, what in config.items()},
    )
    setattr(layer_class, ATTRIBUTE, rule)
    # Capture keeps it as one operation then.
    layer_class.graph_primitive = True
    return layer_class


def _check(layer_class: Any, weights: Weights, config: Mapping[str, str]) -> None:
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise TypeError(
            f"The 'layer_class' argument must be a class of Keras layers. Got {layer_class!r} instead. "
            "Pass the class and not a layer of it: register_channels(type(layer), weights=...)."
        )
    name = getattr(layer_class, "__name__", "")
    if getattr(keras.layers, name, None) is layer_class:
        raise ValueError(
            f"The 'layer_class' argument must be a layer class of yours. Got keras.layers.{name}, "
            "which tfopt.shrink knows already, or cannot know."
        )
    for weight, axes in weights.items():
        if isinstance(axes, str) or not set(axes) <= {IN, OUT, None}:
            raise ValueError(
                "The 'weights' argument must give 'in', 'out' or None for each axis of a weight, as in "
                f"{{'kernel': ('in', 'out')}}. Got {axes!r} for {weight!r} instead."
            )
    for argument, what in config.items():
        if what not in (IN, OUT):
            raise ValueError(
                "The 'config' argument must say 'in' or 'out' for each argument of the constructor that counts "
                f"channels, as in {{'units': 'out'}}. Got {what!r} for {argument!r} instead."
            )


def _size(node: Node, sizes: Sizes, what: str) -> int | None:
    return sizes.shape(node.output if what == OUT else node.inputs[0])[-1]


def _making(axes: dict[str, tuple[str | None, ...]]) -> Callable[[ChannelTracer, Node], None]:
    """A kernel reads channels and makes others."""
    # The largest number of axes first: a kernel before a bias.
    order = sorted((name for name in axes if OUT in axes[name]), key=lambda name: -len(axes[name]))

    def flow(tracer: ChannelTracer, node: Node) -> None:
        _last_axis_only(tracer, node)
        for name, indexed in axes.items():
            if IN in indexed:
                tracer.slot(node.op, name, indexed.index(IN), tracer.at(node.inputs[0], -1), READ)
        made = tracer.made(node.op, order[0], axes[order[0]].index(OUT))
        for name in order[1:]:
            role = MADE if IN in axes[name] else CARRIED
            tracer.slot(node.op, name, axes[name].index(OUT), made, role)
        tracer.put(node.output, -1, made)

    return flow


def _carrying(axes: dict[str, tuple[str | None, ...]]) -> Callable[[ChannelTracer, Node], None]:
    """Each channel by itself."""

    def flow(tracer: ChannelTracer, node: Node) -> None:
        _last_axis_only(tracer, node)
        channels = tracer.at(node.inputs[0], -1)
        for name, indexed in axes.items():
            if IN in indexed:
                tracer.slot(node.op, name, indexed.index(IN), channels, CARRIED)
        tracer.put(node.output, -1, channels)

    return flow


def _last_axis_only(tracer: ChannelTracer, node: Node) -> None:
    x = node.inputs[0]
    reason = f"register_channels says nothing about this axis of what {node.path} reads"
    tracer.pin_axes(x, reason, besides=(len(x.shape) - 1,))
    for tensor in node.inputs[1:]:
        tracer.pin_axes(tensor, f"{node.path} reads these channels besides its first input")
