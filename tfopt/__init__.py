"""tfopt makes Keras 3 models small and fast: pruning, quantization and distillation inside `model.fit`.

Names are loaded when first used, so that `import tfopt` costs nothing and changes nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfopt.distillation import Distiller, SoftTargets
    from tfopt.export import ExportReport, export
    from tfopt.pruning import ConstantSparsity, PolynomialDecay, Pruning
    from tfopt.quantization import QuantConfig, quantize
    from tfopt.runtimes import CompareReport, VerifyReport, compare, verify

_HOMES = {
    "tfopt.pruning": ("ConstantSparsity", "PolynomialDecay", "Pruning"),
    "tfopt.quantization": ("QuantConfig", "quantize"),
    "tfopt.distillation": ("Distiller", "SoftTargets"),
    "tfopt.export": ("ExportReport", "export"),
    "tfopt.runtimes": ("CompareReport", "VerifyReport", "compare", "verify"),
}

__all__ = [
    "CompareReport",
    "ConstantSparsity",
    "Distiller",
    "ExportReport",
    "PolynomialDecay",
    "Pruning",
    "QuantConfig",
    "SoftTargets",
    "VerifyReport",
    "compare",
    "export",
    "quantize",
    "verify",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'tfopt' has no attribute {name!r}. It has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted(__all__)
