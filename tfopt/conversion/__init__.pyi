from ._c_array import write_c_array
from ._export import export
from ._export_report import ExportReport
from ._flatbuffer import OPERANDS, Flatbuffer
from ._sparse import SparseKernel

__all__ = ["OPERANDS", "ExportReport", "Flatbuffer", "SparseKernel", "export", "write_c_array"]
