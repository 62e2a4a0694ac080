from ._report import Correlation, Damage, SensitivityReport
from ._sensitivity import sensitivity
from ._techniques import TECHNIQUES, Technique

__all__ = [
    "TECHNIQUES",
    "Correlation",
    "Damage",
    "SensitivityReport",
    "Technique",
    "sensitivity",
]
