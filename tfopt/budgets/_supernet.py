"""`Supernet`: a model that holds many smaller ones as slices of its weights, and trains them all at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfopt._untracked import Untracked
from tfopt.budgets._block_gates import with_gates
from tfopt.budgets._kernel_sizes import build_with_centres, centre_masks
from tfopt.budgets._shapes import Move, without_structure_warning
from tfopt.budgets._space import SPACE
from tfopt.budgets._subnet_report import SubnetReport
from tfopt.budgets._subnet_search import search_subnets
from tfopt.budgets._subnet_shape import SubnetShape, subnet_moves
from tfopt.budgets._width_masks import WidthMasks
from tfopt.channels import Channels, channel_groups, exactly_removable
from tfopt.distillation import DistillationLoss, OutputMatching, SoftTargets
from tfopt.graph import build_model, capture, final_activation
from tfopt.shrinking import cut, residual_blocks, score, skip_blocks, update_batch_norm


class Supernet(keras.Model):
    """A model that holds many smaller ones as slices of its weights, and trains them all at once.

    For a budget that no compression of the model meets: one training, then any number of networks of any size without
    another. A subnet has the first channels of each layer, in the order of their magnitudes before the training, some
    of the residual blocks, and the middles of kernels (once-for-all, Cai et al. 2020, arXiv 1908.09791; kernels are not
    transformed here). In each step of `fit` the whole model learns by the labels, and the smallest subnet and some that
    are drawn learn by what the whole model says just then (the sandwich rule and in-place distillation, Yu & Huang
    2019, arXiv 1903.05134). A step costs as much as one of the whole model for each of these.

    `compile` and `fit` are those of any Keras model; calling and evaluating it does the same with the whole model. It
    is saved by `save_weights`, and loaded into a supernet of the same model.

    Args:
        model: a built float Keras model, trained or not. It is not changed.
        channels: the parts of its channels that layers may have. Those that make the same channels have the same.
        depth: whether residual blocks `x + f(x)` may be left out.
        kernel_size: whether kernels of 5 and more places may become those of 3 and more, two at a time; where the
            padding is `"same"`.
        subnets: how many are drawn in a step.
        distillation_loss: what they learn by; by default `SoftTargets(temperature=1)` for a model that ends in
            softmax, else `OutputMatching()`.
        seed: of what is drawn.

    Raises:
        ValueError: nothing of the model can become smaller, `channels` holds no parts, or `subnets` is below 0.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.budgets import SubnetPoint, SubnetReport, SubnetShape, Supernet
    >>> layers = [keras.layers.Dense(16, activation="relu", name="a"), keras.layers.Dense(4, activation="softmax")]
    >>> supernet = Supernet(keras.Sequential([keras.Input((8,)), *layers]))
    >>> supernet.compile("adam", "sparse_categorical_crossentropy")
    >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    >>> history = supernet.fit(x, x[:, :4].argmax(axis=1), verbose=0)
    >>> found: SubnetReport = supernet.search((x, x[:, :4].argmax(axis=1)), {"macs": 100})
    >>> best: SubnetPoint = found.best
    >>> small = supernet.subnet(best.shape, x)
    >>> type(small).__name__, small.get_layer("a").units <= 8, best.costs["macs"] <= 100
    ('Functional', True, True)
    >>> supernet.subnet(SubnetShape(channels={"a": 0.25})).get_layer("a").units
    4
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        channels: Sequence[float] = (1.0, 0.75, 0.5, 0.25),
        depth: bool = True,
        kernel_size: bool = True,
        subnets: int = 2,
        distillation_loss: DistillationLoss | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(name=f"{model.name}_supernet")
        _check(channels, subnets)
        base = build_model(capture(model))
        found = exactly_removable(channel_groups(capture(base)), weights="any")
        self.moves = subnet_moves(found, channels, depth, kernel_size)
        if not self.moves:
            raise ValueError(
                f"The model {model.name!r} must have something that can become smaller: channels, residual blocks "
                "x + f(x), or kernels of 5 and more places with padding='same'. Got none, with "
                f"channels={tuple(channels)}, depth={depth}, kernel_size={kernel_size}."
            )
        self.subnets = subnets
        self.distillation_loss = distillation_loss or _loss_of(base)
        self.draws = keras.random.SeedGenerator(seed)
        self._channels: Untracked = Untracked(found)
        self.widths = WidthMasks(
            [move for move in self.moves if move.field == "channels"], found, score(found, "magnitude")
        )
        blocks = [move.name for move in self.moves if move.field == "blocks"]
        self.gated, gates = with_gates(found.graph, blocks)
        self._gates: Untracked = Untracked({id(one.gate): path for path, one in gates.items()})
        self._centres: Untracked = Untracked(dict(_centres(self.moves, found)))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The whole model's outputs; in training subnets learn by them."""
        kept = self.gated.non_trainable_variables
        outputs, updated = self._run(inputs, [_pick(move, 0) for move in self.moves], training)
        if training:
            for variable, value in zip(kept, updated, strict=True):
                variable.assign(value)
            taught = keras.tree.map_structure(ops.stop_gradient, outputs)
            for picks in self._drawn():
                self.add_loss(self.distillation_loss.compare(taught, self._run(inputs, picks, True)[0]))
        return outputs

    def masked(self, inputs: Any, shape: SubnetShape) -> Any:
        """The outputs of a subnet, by the whole model's weights and batch norms with what is left out at zero."""
        return self._run(inputs, [_pick(m, at) for m, at in zip(self.moves, self._at(shape), strict=True)])[0]

    def subnet(self, shape: SubnetShape, data: Any = None) -> keras.Model:
        """A subnet as a plain Keras model of its own.

        Args:
            shape: what is left, such as `report.best.shape`.
            data: inputs to measure the statistics of its batch norms again with (Yu & Huang 2019, section 3.3); those
                of the whole model do not fit it.

        Returns:
            A Functional model that shares nothing with the supernet. Without `data` its outputs are those of `masked`,
            up to float rounding.

        Raises:
            ValueError: the shape names something that the supernet does not have.
        """
        found = self._channels.value
        picks = [_pick(move, at) for move, at in zip(self.moves, self._at(shape), strict=True)]
        kept = np.asarray(self.widths.parts(picks[: len(self.widths.choices)]))[:-1] > 0
        narrow = build_model(found.graph) if kept.all() else cut(found, kept)
        graph = capture(narrow)
        left_out = tuple(block for block in residual_blocks(graph) if shape.blocks.get(block.path, 1.0) == 0)
        graph = skip_blocks(graph, left_out)
        small = build_with_centres(graph, shape.kernels)
        if data is not None:
            with without_structure_warning():
                update_batch_norm(small, data)
        return small

    def search(
        self, data: Any, budget: Mapping[str, float], *, target: str = "litert", samples: int = 512
    ) -> SubnetReport:
        """The subnet within a budget that loses least.

        From the whole model on, each time the step is taken that loses least for what it saves, as it is measured in
        the subnet with its batch norms measured again; where a budget is of files, these are written and measured in
        the end. Nothing is trained.

        Args:
            data: `(x, y)`, or inputs alone to measure the distance to the whole model's outputs.
            budget: limits of 8-bit files or float models: `"macs"`, `"bytes"`, `"latency"`, `"arena"`, `"cycles"`, as
                for `tfopt.search`.
            target: the runtime.
            samples: how many are used at most.

        Returns:
            A `SubnetReport`: the way to the smallest, and `best`, which `subnet(best.shape, x)` makes a model.

        Raises:
            ValueError: the budget is none of the above.
        """
        return search_subnets(self, data, budget, target, samples)

    def get_config(self) -> dict[str, Any]:
        """Raises a NotImplementedError: which channels come first is not in a config."""
        raise NotImplementedError(
            "A Supernet must be saved as its weights: its channels are in the order of the model it was made of. Got a "
            "call of 'save'. Call save_weights, and load_weights in a Supernet of the same model; or save its subnets."
        )

    def _drawn(self) -> Iterator[list[Any]]:
        """The smallest subnet, and some in which each choice is as likely."""
        yield [_pick(move, len(move.values)) for move in self.moves]
        for _ in range(self.subnets):
            yield [
                ops.one_hot(
                    keras.random.randint((), 0, len(m.values) + 1, seed=self.draws), len(m.values) + 1
                )
                for m in self.moves
            ]

    def _at(self, shape: SubnetShape) -> list[int]:
        """The number of each move's choice in a shape."""
        left = {
            (field, path): part
            for field in ("channels", "ranks", "blocks", "kernels")
            for path, part in getattr(shape, field).items()
        }
        found = []
        for move in self.moves:
            parts = {left.pop((move.field, path), 1.0) for path in move.layers}
            part = min(parts)
            if part not in (1.0, *move.values):
                raise ValueError(
                    f"The 'shape' argument must give {move.name!r} one of {(1.0, *move.values)} as {move.field}. Got "
                    f"{part!r}."
                )
            found.append((1.0, *move.values).index(part))
        if left:
            field, path = next(iter(left))
            known = ", ".join(move.name for move in self.moves if move.field == field) or "none"
            raise ValueError(
                f"The 'shape' argument must name what can become smaller as {field}: {known}. Got {path!r}."
            )
        return found

    def _run(self, inputs: Any, picks: Sequence[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """The outputs with slices of the weights, and the other variables after the call."""
        parts = self.widths.parts(picks[: len(self.widths.choices)])
        chosen = {(m.field, m.name): pick for m, pick in zip(self.moves, picks, strict=True)}

        def value_of(variable: keras.Variable) -> Any:
            if id(variable) in self._gates.value:
                return chosen["blocks", self._gates.value[id(variable)]][0]
            value = self.widths.masked(variable, ops.convert_to_tensor(variable), parts)
            if id(variable) in self._centres.value:
                path, masks = self._centres.value[id(variable)]
                value = value * ops.tensordot(chosen["kernels", path], masks, axes=1)
            return value

        trained, kept = self.gated.trainable_variables, self.gated.non_trainable_variables
        return self.gated.stateless_call(
            [value_of(one) for one in trained], [value_of(one) for one in kept], inputs, training=training
        )


def _check(channels: Sequence[float], subnets: int) -> None:
    row = SPACE["channels"]
    bad = [one for one in channels if not row.accepts(one)]
    if bad:
        raise ValueError(f"The 'channels' argument must hold {row.wanted}. Got {bad[0]!r}. Pass (1.0, 0.5).")
    if not isinstance(subnets, int) or subnets < 0:
        raise ValueError(f"The 'subnets' argument must be a whole number from 0. Got {subnets!r}. Pass 2.")


def _pick(move: Move, at: int) -> Any:
    return ops.one_hot(at, len(move.values) + 1)


def _loss_of(model: keras.Model) -> DistillationLoss:
    softmax = final_activation(model) == "softmax"
    return SoftTargets(temperature=1.0) if softmax else OutputMatching()


def _centres(moves: Sequence[Move], channels: Channels) -> Iterator[tuple[int, tuple[str, np.ndarray]]]:
    """The masks of the kernels that may become smaller, with their layers' paths, by the kernels' `id`."""
    layers: dict[str, Any] = {node.path: node.op for node in channels.graph.nodes}
    for move in moves:
        if move.field == "kernels":
            layer = layers[move.name]
            yield id(layer.kernel), (move.name, centre_masks(layer, (1.0, *move.values)))
