from ._compare import CompareReport, compare
from ._inspect import InspectReport, OperatorRow, inspect
from ._latency import Latency, measure_latency
from ._litert import LiteRT, RunResult, run
from ._measure import CompareRow
from ._parity import OutputParity
from ._schema import Operator
from ._size import Size, measure_size
from ._sparse import SparseEncoding, encode_sparse, sparse_bytes
from ._tensors import Tensor
from ._tflite_file import TFLiteFile
from ._verify import KernelSummary, VerifyReport, verify

__all__ = [
    "CompareReport",
    "CompareRow",
    "InspectReport",
    "KernelSummary",
    "Latency",
    "LiteRT",
    "Operator",
    "OperatorRow",
    "OutputParity",
    "RunResult",
    "Size",
    "SparseEncoding",
    "TFLiteFile",
    "Tensor",
    "VerifyReport",
    "compare",
    "encode_sparse",
    "inspect",
    "measure_latency",
    "measure_size",
    "run",
    "sparse_bytes",
    "verify",
]
