from ._export import ExportReport, export
from ._sparse import SparseKernel

__all__ = ["ExportReport", "SparseKernel", "export"]
