"""Attention maps: which tokens a transformer relates to which."""

from typing import Any

import keras
from keras import ops

from tfopt.distillation._settings import Setting
from tfopt.distillation.losses._class_loss import float32_or_wider
from tfopt.distillation.losses._feature_loss import FeatureLoss, Layers
from tfopt.distillation.losses._loss import Shape, same_sizes


def attention_scores(query: Any, key: Any) -> Any:
    """The attention scores before softmax: `q . k / sqrt(size)` (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        query: tensor of shape `(batch, targets, heads, size)`.
        key: tensor of shape `(batch, sources, heads, size)`; with fewer heads, each serves several of the query's, as
            in grouped-query attention.

    Returns:
        A tensor of shape `(batch, heads, targets, sources)`, in at least float32.
    """
    query, key = float32_or_wider(query), float32_or_wider(key)
    if key.shape[2] != query.shape[2]:
        key = ops.repeat(key, query.shape[2] // key.shape[2], axis=2)
    return ops.einsum("bthd,bshd->bhts", query, key) / query.shape[-1] ** 0.5


def attention_map_mse(teacher_scores: Any, student_scores: Any) -> Any:
    """Mean squared difference of attention scores, over heads and pairs of tokens.

    `mean over heads and pairs of (A_t - A_s)^2` for scores A before softmax (Jiao et al. 2020, TinyBERT, arXiv
    1909.10351, equation 7). Where the numbers of heads differ, the mean over heads is compared.

    Args:
        teacher_scores: tensor of shape `(batch, heads, targets, sources)`.
        student_scores: tensor of the same shape; the number of heads may differ.

    Returns:
        A tensor of shape `(batch,)`, in at least float32.

    >>> import numpy as np
    >>> from tfopt.distillation import attention_map_mse
    >>> float(attention_map_mse(np.ones((1, 2, 3, 3)), np.zeros((1, 4, 3, 3)))[0])
    1.0
    """
    teacher, student = float32_or_wider(teacher_scores), float32_or_wider(student_scores)
    if teacher.shape[1] != student.shape[1]:
        teacher, student = (ops.mean(x, axis=1, keepdims=True) for x in (teacher, student))
    return ops.mean(ops.square(teacher - student), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="tfopt")
class AttentionMaps(FeatureLoss):
    """Teaches a transformer to relate the tokens that its teacher relates.

    Each sample's loss is

        mean over heads and pairs of tokens of (A_t - A_s)^2        with A = q . k / sqrt(size)

    from Jiao et al. 2020 (TinyBERT), arXiv 1909.10351, equation 7; see `attention_map_mse`. The scores are taken before
    softmax, as there, and made from the outputs of the layers' `query` and `key` projections, so the models may run a
    fused attention kernel. Where the numbers of heads differ, the means over heads are compared. Tokens that a mask
    leaves out do count.

    Args:
        layers: names of `MultiHeadAttention` layers (or others with sublayers `query` and `key`) that both models have,
            or pairs `(teacher's layer, student's layer)`.
        weight: factor of this loss in the total loss, a number or a schedule of the training step.
        name: name of the loss.

    Raises:
        TypeError: `layers` is not a list of names and pairs.
        ValueError: `layers` is empty, `weight` is negative or, from the `Distiller`, a layer is not found.

    Example:

    >>> import keras, numpy as np, tfopt
    >>> def mixer(heads):
    ...     tokens = keras.Input((5, 8))
    ...     return keras.Model(tokens, keras.layers.MultiHeadAttention(heads, 4, name="mha")(tokens, tokens))
    >>> distiller = tfopt.Distiller(mixer(1), mixer(2), [tfopt.distillation.AttentionMaps(layers=["mha"])])
    >>> distiller.compile("sgd", "mse")
    >>> logs = distiller.train_on_batch(np.ones((2, 5, 8)), np.ones((2, 5, 8)), return_dict=True)
    >>> logs["distillation_loss"] > 0
    True
    """

    needs = "four axes (batch, tokens, heads, size) and the same number of tokens"

    def __init__(
        self, layers: Layers = None, weight: Setting = 1.0, name: str | None = "attention_maps"
    ) -> None:
        super().__init__(layers=layers, weight=weight, name=name)
        if not self.layers:
            raise ValueError(
                "The 'layers' argument of AttentionMaps must name at least one attention layer. Got none instead. "
                "Pass, for example, ['multi_head_attention']."
            )

    def features(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        both = [(f"{t}/{part}", f"{s}/{part}") for t, s in self.layers for part in ("query", "key")]
        return tuple(t for t, _ in both), tuple(s for _, s in both)

    def fits(self, teacher: Shape, student: Shape) -> bool:
        return len(teacher) == len(student) == 4 and same_sizes(teacher[1:2], student[1:2])

    def compare(self, teacher: Any, student: Any, sample_weight: Any = None, labels: Any = None) -> Any:
        self.pairs(teacher, student)
        maps = [
            [attention_scores(*side[i : i + 2]) for i in range(0, len(side), 2)]
            for side in (list(teacher), list(student))
        ]
        return super().compare(maps[0], maps[1], sample_weight)

    def pairs(self, teacher: Any, student: Any) -> list[tuple[Any, Any]]:
        is_maps = len(keras.tree.flatten(teacher)) == len(self.layers)
        if is_maps:
            return list(zip(teacher, student, strict=True))
        return super().pairs(teacher, student)

    def call(self, teacher: Any, student: Any) -> Any:
        return attention_map_mse(teacher, student)
