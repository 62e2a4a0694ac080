"""The sections of a recipe: one for each technique, and those that say how to read, train and write."""

import dataclasses
from collections.abc import Mapping

from tfopt.recipes._key import RecipeError, check_keys, key
from tfopt.recipes._rules import by_name, expression, limits, number, one_of, switch, text, whole

_TYPES = ("int8", "uint8", "int16", "float32")
_FORMATS = ("float32", "float16", "dynamic", "weights_int8", "weights_int4")
_BUDGETS = ("channels", "macs", "params", "bytes")
_PARTS = by_name(number(0, 1, above=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """Base of the sections: every key is checked by its rule when a section is made."""

    def __post_init__(self) -> None:
        check_keys(self, type(self).__name__.lower())


def _check_one(section: Section, kind: str, names: tuple[str, ...], example: str) -> None:
    """Raises unless a section has a value for just one of these keys."""
    given = [name for name in names if getattr(section, name) not in (None, {})]
    if len(given) != 1:
        where = type(section).__name__.lower()
        raise RecipeError(
            f"The {where!r} section must have one {kind}{', '.join(names)}. Got {', '.join(given) or 'none'}. "
            f"For {example}",
            (where,),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shrink(Section):
    """Channels are removed, to one budget, which says how much is left.

    Each field is an argument of `tfopt.shrink`.

    >>> Shrink(macs=0.5).divisor
    8
    """

    channels: float | None = key(
        None, number(0, 1, above=True, below=True).or_none(), "part of each layer's channels to keep"
    )
    macs: float | None = key(
        None, number(0, above=True).or_none(), "multiply-accumulates to keep: a part, or a count"
    )
    params: float | None = key(
        None, number(0, above=True).or_none(), "parameters to keep: a part, or a count"
    )
    bytes: float | None = key(
        None, number(0, above=True).or_none(), "bytes of the int8 file to keep: a part, or a count"
    )
    layers: Mapping[str, float] = key({}, _PARTS, "part of the channels of single layers to keep, by path")
    criterion: str = key("magnitude", one_of("magnitude", "batch_norm", "random"), "which channels go first")
    where: str | None = key(None, expression().or_none(), "layers that may lose channels, by their path")
    divisor: int = key(8, whole(1), "counts of channels are multiples of it")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_one(
            self, "budget of ", (*_BUDGETS, "layers"), "half the multiply-accumulates write macs: 0.5."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factorize(Section):
    """Layers with large kernels become several with small ones.

    Each field is an argument of `tfopt.factorize`.

    >>> Factorize(params=0.5).energy is None
    True
    """

    energy: float | None = key(
        None, number(0, 1, above=True).or_none(), "part of each kernel's energy to keep"
    )
    params: float | None = key(
        None, number(0, above=True).or_none(), "parameters to keep: a part, or a count"
    )
    macs: float | None = key(
        None, number(0, above=True).or_none(), "multiply-accumulates to keep: a part, or a count"
    )
    bytes: float | None = key(None, number(0, above=True).or_none(), "bytes to keep: a part, or a count")
    layers: Mapping[str, float] = key({}, _PARTS, "part of the ranks of single layers to keep, by path")
    method: str = key("tucker", one_of("tucker", "cp"), "how convolutions are taken apart")
    where: str | None = key(None, expression().or_none(), "layers to take apart, by their path")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_one(self, "of ", ("energy", *_BUDGETS[1:], "layers"), "half the parameters write params: 0.5.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster(Section):
    """The weights of each kernel share a few values.

    Fields are arguments of `tfopt.Clustering`.

    >>> Cluster().n_clusters
    16
    """

    n_clusters: int = key(16, whole(3, 256), "values that the weights of a kernel share")
    granularity: str = key("tensor", one_of("tensor", "channel"), "what shares them")
    where: str | None = key(None, expression().or_none(), "layers to cluster, by their path")
    layers: Mapping[str, int] = key(
        {}, by_name(whole(3, 256)), "values of single layers, by path; none in others"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prune(Section):
    """Weights become zero while the model trains.

    Fields are arguments of `tfopt.Pruning`; the schedule rises to `sparsity` in the first `ramp` of the training.

    >>> Prune(pattern="2:4").final_sparsity
    0.5
    """

    sparsity: float | None = key(
        None, number(0, 1, above=True, below=True).or_none(), "fraction of zeros in the end"
    )
    pattern: str = key(
        "unstructured",
        text(
            r"unstructured|channels|heads|\d+:\d+|\d+x\d+",
            "'unstructured', 'channels', 'heads', or of the form '2:4' or '1x4'",
        ),
        "which weights become zero together",
    )
    scope: str = key("layer", one_of("layer", "global", "erk"), "how zeros are divided between layers")
    criterion: str = key(
        "magnitude",
        one_of("magnitude", "lamp", "random", "batch_norm", "soft_threshold"),
        "what is pruned first",
    )
    where: str | None = key(None, expression().or_none(), "layers to prune, by their path")
    ramp: float = key(0.5, number(0, 1, above=True), "part of the training in which the zeros grow")
    layers: Mapping[str, float] = key(
        {}, by_name(number(0, 1, above=True, below=True)), "zeros of single layers, by path; none in others"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers and (self.sparsity is not None or self.where is not None or ":" in self.pattern):
            raise RecipeError(
                "The 'prune.layers' key says how many weights become zero in which layer. Got 'sparsity', 'where' or a "
                "pattern such as '2:4' beside it, which say the same. Leave these out.",
                ("prune",),
            )
        if self.sparsity is None and ":" not in self.pattern and not self.layers:
            raise RecipeError(
                "The 'prune.sparsity' key must say how many weights become zero. Got none. For 80 % write "
                "sparsity: 0.8.",
                ("prune",),
            )

    @property
    def final_sparsity(self) -> float:
        """The fraction of zeros in the end: that of the pattern where the recipe names none."""
        if self.sparsity is not None:
            return self.sparsity
        kept, of = map(int, self.pattern.split(":"))
        return 1 - kept / of if of else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantize(Section):
    """Weights and activations are rounded to integers: after the training (PTQ), or in it (QAT) where there is one.

    Fields are arguments of `tfopt.QuantConfig`, `tfopt.Ranges` and `tfopt.quantize`.

    >>> Quantize().activation_bits
    8
    """

    activation_bits: int = key(8, one_of(8, 16), "bits of activations")
    residual_bits: int = key(
        8, one_of(8, 16), "bits of the sums x + f(x) of residual blocks, beside activations of 8"
    )
    weight_bits: int = key(8, whole(1, 8), "bits of weights")
    ranges: str = key(
        "minmax", one_of("minmax", "percentile", "mse", "kl"), "how ranges of activations are calibrated"
    )
    calibration_samples: int = key(500, whole(1), "samples of the data that are calibrated with")
    correct_bias: bool = key(False, switch(), "take mean errors out of biases, where nothing is trained")
    rounding: str = key(
        "nearest", one_of("nearest", "gptq", "adaround"), "of weights, where nothing is trained"
    )
    layers: Mapping[str, int] = key({}, by_name(whole(1, 8)), "bits of weights of single layers, by path")
    max_bytes: int | None = key(
        None, whole(1).or_none(), "bytes that the file may take; finds 'layers' for it where there are none"
    )
    strict: bool = key(False, switch(), "an error if any layer stays float")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill(Section):
    """The original model teaches, where there is training and outputs are scores of classes.

    Fields are arguments of `tfopt.SoftTargets` and `tfopt.Distiller`.

    >>> Distill().temperature
    4.0
    """

    temperature: float = key(4.0, number(0, above=True), "softens the teacher's scores")
    weight: float = key(1.0, number(0), "factor of the teacher's loss")
    student_loss_weight: float = key(1.0, number(0), "factor of the loss on labels")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(Section):
    """The one training in which all techniques act together.

    >>> Train().batch_size
    32
    """

    epochs: int | None = key(
        None, whole(0).or_none(), "null: 0 for quantization alone, else 5; with max_drop, 5 if 0 do not do"
    )
    batch_size: int = key(32, whole(1), "samples in a step")
    learning_rate: float = key(1e-3, number(0, above=True), "of Adam; it falls to 0 along a cosine")
    validation_split: float = key(
        0.2, number(0, 1, above=True, below=True), "part of the data held out, where there is no other"
    )
    loss: str | None = key(None, text().or_none(), "a loss of Keras; null: as compiled, else by the outputs")
    metric: str | None = key(
        None, text().or_none(), "a metric of Keras; null: as compiled, else by the outputs"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Section):
    """How the file is written, and what it must hold: arguments of `tfopt.export` and `tfopt.verify`.

    >>> Export().sparse
    False
    """

    batch_size: int = key(1, whole(0), "samples in a call of the file; 0 leaves it open")
    input_dtype: str | None = key(None, one_of(*_TYPES).or_none(), "type of inputs; null: the file's own")
    output_dtype: str | None = key(None, one_of(*_TYPES).or_none(), "type of outputs; null: the file's own")
    format: str | None = key(None, one_of(*_FORMATS).or_none(), "of a file that is not quantized")
    compress: bool = key(False, switch(), "compress kernels, which TFLite Micro decodes while it runs")
    sparse: bool = key(False, switch(), "store kernels with many zeros sparsely, where LiteRT reads it")
    tolerance: int = key(1, whole(0), "steps by which the file's outputs may differ from the model's")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Section):
    """How the data is read.

    >>> Data(image_range=[0, 1]).image_range
    (0, 1)
    """

    inputs: str | None = key(None, text().or_none(), "column, feature or array of the inputs")
    labels: str | None = key(None, text().or_none(), "column, feature or array of the labels")
    image_range: tuple[float, float] | None = key(
        None, limits().or_none(), "numbers that bytes of images become; null: what the model does best with"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_range is not None:  # YAML has lists alone
            low, high = self.image_range
            object.__setattr__(self, "image_range", (low, high))
