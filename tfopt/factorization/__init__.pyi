from ._factorize import factorize
from ._factors import factors_of
from ._parts import Factors
from ._report import FactorizationReport, FactorizedLayer

__all__ = ["FactorizationReport", "FactorizedLayer", "Factors", "factorize", "factors_of"]
