from ._accuracy import AccuracyReport, Restored, control_accuracy
from ._judge import Judge, judge_of, parts
from ._network import Spot
from ._prune import prune
from ._report import Correlation, Damage, SensitivityReport
from ._sensitivity import sensitivity
from ._techniques import TECHNIQUES, Changed, Technique

__all__ = [
    "TECHNIQUES",
    "AccuracyReport",
    "Changed",
    "Correlation",
    "Damage",
    "Judge",
    "Restored",
    "SensitivityReport",
    "Spot",
    "Technique",
    "control_accuracy",
    "judge_of",
    "parts",
    "prune",
    "sensitivity",
]
