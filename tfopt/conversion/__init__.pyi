from ._export import export
from ._export_report import ExportReport
from ._sparse import SparseKernel

__all__ = ["ExportReport", "SparseKernel", "export"]
