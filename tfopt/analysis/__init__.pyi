from ._accuracy import AccuracyReport, Restored, control_accuracy
from ._report import Correlation, Damage, SensitivityReport
from ._sensitivity import sensitivity
from ._techniques import TECHNIQUES, Technique

__all__ = [
    "TECHNIQUES",
    "AccuracyReport",
    "Correlation",
    "Damage",
    "Restored",
    "SensitivityReport",
    "Technique",
    "control_accuracy",
    "sensitivity",
]
