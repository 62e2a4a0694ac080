"""What the losses over features share: which layers they read, and weights and masks of single samples."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._loss import DistillationLoss, Shape

Layers = Sequence[str | tuple[str, str]] | None


def check_layers(owner: str, layers: Any) -> tuple[tuple[str, str], ...]:
    """The `layers` argument as pairs (teacher's layer, student's layer)."""
    entries = [] if layers is None else layers
    if isinstance(entries, (list, tuple)):
        pairs = tuple((entry, entry) if isinstance(entry, str) else tuple(entry) for entry in entries)
        if all(len(pair) == 2 and all(isinstance(name, str) for name in pair) for pair in pairs):
            return pairs
    raise TypeError(
        f"The 'layers' argument of {owner} must be a list of layer names that both models have, or of pairs (teacher's "
        f"layer, student's layer). Got {layers!r} instead. Pass, for example, ['block_2', ('conv5', 'conv3')]."
    )


class FeatureLoss(DistillationLoss):
    """Base of losses that compare features: outputs of layers inside the teacher and the student.

    A subclass implements `call(teacher, student)` for one pair of features, and `fits` if shapes may differ. The
    features of all pairs are added up.

    A layer is named by its name, or by its path from the model down (`"backbone/block_2/conv1"`) where several layers
    share a name; nested and subclassed models are searched too. A layer that is called several times needs the
    number of the call: `"shared:0"`. A feature is what the layer returns. In a model that `tfopt.quantize` made it
    is the same quantity under the same name: what the original layer of that name returned (its own activation
    included, but not a batch norm or an activation layer after it, even if the int8 kernel fuses them), rounded if the
    quantized model rounds there.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`. None compares the
            models' outputs.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `weight` is negative or, from the `Distiller`, a layer is not found or two features cannot be
            compared.

    Example:

    >>> import keras, numpy as np
    >>> from tfopt.distillation import FeatureLoss
    >>> class MeanActivity(FeatureLoss):
    ...     def call(self, teacher, student):
    ...         return keras.ops.abs(keras.ops.mean(teacher, axis=-1) - keras.ops.mean(student, axis=-1))
    >>> print(float(MeanActivity(["relu"])(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))))
    1.5
    """

    # Whether `call` returns a value per position (pixel, token), to which masks of positions apply, or per sample.
    per_position = False
    way_out = "Choose other layers."

    def __init__(self, layers: Layers = None, weight: Setting = 1.0, name: str | None = None) -> None:
        super().__init__(weight=weight, name=name)
        self.layers = check_layers(type(self).__name__, layers)

    def features(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(teacher for teacher, _ in self.layers), tuple(student for _, student in self.layers)

    def compare(self, teacher: Any, student: Any, sample_weight: Any = None, labels: Any = None) -> Any:
        total: Any = 0.0
        for t, s in self.pairs(teacher, student):
            if not self.per_position:
                s = s * ops.ones((), s.dtype)  # a new tensor, without the Keras mask over positions
            total = total + self(
                t, s, _per_sample(sample_weight, len(s.shape) - 1 if self.per_position else 1)
            )
        return total

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layers": [list(pair) for pair in self.layers] or None}


def _per_sample(sample_weight: Any, rank: int) -> Any:
    """One weight for each sample, of a shape that multiplies losses of `rank`: the mean over outputs and positions."""
    weights = [w for w in keras.tree.flatten(sample_weight) if w is not None]
    if not weights:
        return None
    means = [ops.mean(ops.reshape(ops.cast(w, "float32"), (ops.shape(w)[0], -1)), axis=-1) for w in weights]
    return ops.reshape(sum(means) / len(means), (-1, *(1,) * (rank - 1)))


def same_rank(teacher: Shape, student: Shape) -> bool:
    """Whether two features have the same number of axes, the batch's among them, and at least two."""
    return len(teacher) == len(student) >= 2


def resize_to(features: Any, size: Sequence[int | None]) -> Any:
    """A feature map of shape `(batch, height, width, channels)`, resized by area-weighted bilinear interpolation."""
    if list(features.shape[1:3]) == list(size):
        return features
    return ops.image.resize(features, tuple(size), antialias=True, data_format="channels_last")


def match_positions(teacher: Any, student: Any) -> tuple[Any, Any]:
    """Two feature maps on the coarser of their grids; what has no image grid, or equal ones, is returned as it is."""
    sizes = [tuple(x.shape[1:-1]) for x in (teacher, student)]
    if len(sizes[0]) != 2 or sizes[0] == sizes[1] or None in (*sizes[0], *sizes[1]):
        return teacher, student
    size = tuple(min(pair) for pair in zip(*sizes, strict=True))
    return resize_to(teacher, size), resize_to(student, size)


def positions_fit(teacher: Shape, student: Shape) -> bool:
    """Whether positions can be matched: images of any size, else the same number of positions."""
    if not same_rank(teacher, student):
        return False
    pairs = list(zip(teacher[1:-1], student[1:-1], strict=True))
    return len(pairs) == 2 or all(a is None or b is None or a == b for a, b in pairs)
