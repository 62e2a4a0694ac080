"""Losses over the relations within a batch: what resembles what, and by how much."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting, check_setting, serialize_setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._feature_loss import FeatureLoss, Layers
from tfopt.distillation.losses._loss import Shape


def _rows(features: Any) -> Any:
    """Each sample's features as one row, in at least float32."""
    features = float32_or_wider(features)
    return ops.reshape(features, (ops.shape(features)[0], -1))


def similarity_preserving(teacher: Any, student: Any) -> Any:
    """How differently two models' features say which samples of a batch resemble each other.

    `mean over j of (G_t - G_s)_ij^2` where `G` is `X X^T` with rows scaled to length 1 and X holds a sample's features
    in a row; its mean over i is the loss of Tung & Mori 2019, "Similarity-Preserving Knowledge Distillation", arXiv
    1907.09682, equation 4.

    Args:
        teacher: tensor of shape `(batch, ...)`, any float dtype.
        student: tensor of shape `(batch, ...)`; only the batch must be the same.

    Returns:
        A tensor of shape `(batch,)`, in at least float32.

    >>> from tfopt.distillation import similarity_preserving
    >>> values = similarity_preserving([[1.0, 0.0], [0.0, 2.0]], [[3.0, 4.0, 0.0], [3.0, 4.0, 0.0]])
    >>> [f"{float(value):.4f}" for value in values]
    ['0.2929', '0.2929']
    """

    def similarity(features: Any) -> Any:
        rows = _rows(features)
        products = ops.matmul(rows, ops.transpose(rows))
        squared_length = ops.sum(ops.square(products), axis=-1, keepdims=True)
        return products * ops.rsqrt(ops.maximum(squared_length, 1e-24))

    return ops.mean(ops.square(similarity(teacher) - similarity(student)), axis=-1)


def relational_distances(teacher: Any, student: Any) -> Any:
    """How differently two models see the distances between the samples of a batch.

    `mean over j != i of huber(d_t(i, j) - d_s(i, j))`, where `d` is the Euclidean distance divided by its mean over
    the batch (Park et al. 2019, "Relational Knowledge Distillation", arXiv 1904.05068, equations 5 to 7).

    Args:
        teacher: tensor of shape `(batch, ...)`, any float dtype.
        student: tensor of shape `(batch, ...)`; only the batch must be the same.

    Returns:
        A tensor of shape `(batch,)`, in at least float32.

    >>> from tfopt.distillation import relational_distances
    >>> values = relational_distances([[0.0], [1.0], [2.0]], [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> [f"{float(value):.4f}" for value in values]
    ['0.1006', '0.0648', '0.1572']
    """

    def distances(features: Any) -> Any:
        rows = _rows(features)
        squares = ops.sum(ops.square(rows[:, None] - rows[None]), axis=-1)
        length = _safe_sqrt(squares)
        # In float32, because counts of pairs overflow float16 at a batch of 256.
        pairs = ops.maximum(ops.sum(ops.cast(squares > 0, length.dtype)), 1.0)
        return length / ops.maximum(ops.sum(length) / pairs, 1e-12)

    terms = _huber(distances(teacher) - distances(student))
    others = ops.maximum(ops.cast(ops.shape(terms)[0], terms.dtype) - 1.0, 1.0)
    return ops.sum(terms, axis=-1) / others


def relational_angles(teacher: Any, student: Any) -> Any:
    """How differently two models see the angles between triples of samples.

    `mean over j, k of huber(cos_t(j, i, k) - cos_s(j, i, k))` where `cos(j, i, k)` is the cosine of the angle at sample
    i between j and k (Park et al. 2019, arXiv 1904.05068, equations 8 and 9). Memory grows with the cube of the
    batch size.

    Args:
        teacher: tensor of shape `(batch, ...)`, any float dtype.
        student: tensor of shape `(batch, ...)`; only the batch must be the same.

    Returns:
        A tensor of shape `(batch,)`, in at least float32.

    >>> from tfopt.distillation import relational_angles
    >>> values = relational_angles([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0.0], [1.0], [2.0]])
    >>> [f"{float(value):.4f}" for value in values]
    ['0.1111', '0.2682', '0.0095']
    """

    def cosines(features: Any) -> Any:
        rows = _rows(features)
        edges = rows[None] - rows[:, None]  # [i, j] points from i to j
        squares = ops.sum(ops.square(edges), axis=-1, keepdims=True)
        units = ops.where(squares > 0, edges * ops.rsqrt(ops.where(squares > 0, squares, 1.0)), 0.0)
        return ops.einsum("ijc,ikc->ijk", units, units)

    return ops.mean(_huber(cosines(teacher) - cosines(student)), axis=(1, 2))


def _safe_sqrt(x: Any) -> Any:
    """The square root, with gradient 0 at 0: a sample's distance from itself does not change."""
    positive = x > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, x, 1.0)), 0.0)


def _huber(x: Any) -> Any:
    size = ops.abs(x)
    return ops.where(size <= 1.0, 0.5 * ops.square(x), size - 0.5)


@keras.saving.register_keras_serializable(package="tfopt")
class SimilarityPreserving(FeatureLoss):
    """Teaches the student which samples of a batch resemble each other.

    Use it between models whose features have nothing else in common: widths, layouts and ranks may differ. Each
    sample's loss is

        mean over samples j of (G_t - G_s)_ij^2        with G = X X^T, rows scaled to length 1

    from Tung & Mori 2019, arXiv 1907.09682; see `similarity_preserving`. Batches should hold dozens of samples; under a
    `tf.distribute` strategy they are those of one replica. A sample's weight multiplies its own row.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`; see `FeatureLoss`.
            None compares the models' outputs.
        weight: factor of this loss in the total loss, a number or a schedule of the training step. The paper
            uses 3000.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `weight` is negative or, from the `Distiller`, a layer is not found.

    Example:

    >>> import numpy as np, tfopt
    >>> loss = tfopt.distillation.SimilarityPreserving(layers=["pool"])
    >>> print(f"{float(loss(np.eye(2), np.ones((2, 5)))):.4f}")
    0.2929
    """

    needs = "a batch axis and at least one more"

    def __init__(
        self, layers: Layers = None, weight: Setting = 1.0, name: str | None = "similarity_preserving"
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)

    def fits(self, teacher: Shape, student: Shape) -> bool:
        return min(len(teacher), len(student)) >= 2

    def call(self, teacher: Any, student: Any) -> Any:
        return similarity_preserving(teacher, student)


@keras.saving.register_keras_serializable(package="tfopt")
class RelationalKD(FeatureLoss):
    """Teaches the student the distances and angles between the samples of a batch.

    Use it for embeddings (retrieval, metric learning), where only the relations count. Each sample's loss is

        distance * mean over j of huber(d_t(i, j) - d_s(i, j)) + angle * mean over j, k of huber(cos_t - cos_s)

    from Park et al. 2019, arXiv 1904.05068; see `relational_distances` and `relational_angles`. Memory grows
    with the square of the batch size times the size of a feature, and for angles with its cube: choose small features.
    Under a `tf.distribute` strategy the samples are those of one replica. A sample's weight multiplies its own terms.

    Args:
        layers: names of layers that both models have, or pairs `(teacher's layer, student's layer)`; see `FeatureLoss`.
            None compares the models' outputs.
        distance: factor of the part over distances; the paper uses 25 for classifiers.
        angle: factor of the part over angles; the paper uses 50 for classifiers. With 0 it is not computed.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: a factor is negative or, from the `Distiller`, a layer is not found.

    Example:

    >>> import numpy as np, tfopt
    >>> teacher = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> loss = tfopt.distillation.RelationalKD()
    >>> print(f"{float(loss(teacher, np.array([[0.0], [1.0], [2.0]]))):.4f}")
    0.3668
    >>> float(loss(teacher, 3 * teacher + 1)) < 1e-6  # neither scale nor position counts
    True
    """

    scheduled = ("weight", "distance", "angle")
    needs = "a batch axis and at least one more"

    def __init__(
        self,
        layers: Layers = None,
        distance: Setting = 1.0,
        angle: Setting = 2.0,
        weight: Setting = 1.0,
        name: str | None = "relational_kd",
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)
        self.distance = check_setting("RelationalKD", "distance", distance)
        self.angle = check_setting("RelationalKD", "angle", angle)

    def fits(self, teacher: Shape, student: Shape) -> bool:
        return min(len(teacher), len(student)) >= 2

    def call(self, teacher: Any, student: Any) -> Any:
        loss = self.distance * relational_distances(teacher, student)
        if isinstance(self.angle, float) and self.angle == 0:
            return loss
        return loss + self.angle * relational_angles(teacher, student)

    def get_config(self) -> dict[str, Any]:
        factors = {name: serialize_setting(getattr(self, name)) for name in ("distance", "angle")}
        return {**super().get_config(), **factors}
