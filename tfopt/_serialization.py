"""The tfopt classes that Keras saves by name: after `import tfopt` each is found, and imported when a file needs it.

Keras looks up a saved class in `keras.saving.get_custom_objects()` and imports no module to fill it. The decorator
`keras.saving.register_keras_serializable` fills it when a class is defined; tfopt imports lazily, so that is too late.
Here each name gets a stand-in, which the decorator replaces once the class is defined. A file depends only on the
names and on the public packages that export them: the modules inside may move.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

# Public package -> its classes with `@keras.saving.register_keras_serializable(package="tfopt")`.
SERIALIZABLE: dict[str, tuple[str, ...]] = {
    "channels": ("PartialLayerNormalization",),
    "clustering": ("HalvingClusters",),
    "distillation": (
        "DIST",
        "AttentionMaps",
        "AttentionTransfer",
        "BinarySoftTargets",
        "BoundedRegression",
        "DecoupledTargets",
        "Distiller",
        "EMATeacher",
        "FeatureMatching",
        "HiddenStates",
        "KerasDistillationLoss",
        "LogitMSE",
        "OutputMatching",
        "RelationalKD",
        "SelfDistillation",
        "SimilarityPreserving",
        "SoftTargets",
        "TeacherCache",
    ),
    "pruning": (
        "SET",
        "SRSTE",
        "ConstantSparsity",
        "CosineDecay",
        "ExponentialDecay",
        "Iterative",
        "OneShot",
        "PolynomialDecay",
        "RigL",
    ),
    "kernels": (
        "AddMask",
        "ConstantFakeQuantize",
        "FixedRange",
        "FloatBoundary",
        "FloatFence",
        "LstmStandIn",
        "Requantize",
        "Rsqrt",
        "ScaleShift",
        "StepState",
    ),
    "legacy": ("keras2_hard_sigmoid",),
    "quantization": (
        "FakeQuantize",
        "FusedBatchNormalization",
        "QuantizedConv1D",
        "QuantizedConv1DTranspose",
        "QuantizedConv2D",
        "QuantizedConv2DTranspose",
        "QuantizedDense",
        "QuantizedDepthwiseConv1D",
        "QuantizedDepthwiseConv2D",
        "QuantizedEinsumDense",
        "QuantizedLSTM",
        "QuantizedModel",
        "QuantizedPReLU",
        "StepCounter",
    ),
}


class StandIn:
    """Stands for a class until it is used; then it imports the class, and behaves as the class.

    Args:
        module: the public module that exports the class.
        name: the class's name.

    >>> from tfopt._serialization import StandIn
    >>> StandIn("fractions", "Fraction").from_float(0.5), StandIn("fractions", "Fraction")(1, 3)
    (Fraction(1, 2), Fraction(1, 3))
    """

    def __init__(self, module: str, name: str) -> None:
        self.__module__ = module
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<{self.__module__}.{self.__name__}, not yet imported>"

    def __getattr__(self, attribute: str) -> Any:
        # Python's special attributes, such as those of copy and pickle, are those of the stand-in.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(self._load(), attribute)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._load()(*args, **kwargs)

    def _load(self) -> Any:
        return getattr(importlib.import_module(self.__module__), self.__name__)


def register() -> None:
    """Puts the stand-ins into Keras' table: at once if Keras is imported, else as soon as it is."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
        return
    # Keras is not imported here: it takes seconds, and neither `tfopt --help` nor `tfopt inspect` needs it.
    import wrapt

    wrapt.register_post_import_hook(_register, "keras")


def _register(keras: ModuleType) -> None:
    table = keras.saving.get_custom_objects()
    for package, names in SERIALIZABLE.items():
        for name in names:
            table.setdefault(f"tfopt>{name}", StandIn(f"tfopt.{package}", name))
