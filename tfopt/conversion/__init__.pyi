from ._c_array import write_c_array
from ._export import export
from ._export_report import ExportReport
from ._sparse import SparseKernel

__all__ = ["ExportReport", "SparseKernel", "export", "write_c_array"]
