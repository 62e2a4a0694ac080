from ._factorize import factorize
from ._factors import Factors, factors_of
from ._report import FactorizationReport, FactorizedLayer

__all__ = ["FactorizationReport", "FactorizedLayer", "Factors", "factorize", "factors_of"]
