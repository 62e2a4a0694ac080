from ._factorize import factorize
from ._report import FactorizationReport, FactorizedLayer

__all__ = ["FactorizationReport", "FactorizedLayer", "factorize"]
