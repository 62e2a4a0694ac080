"""Read, run, verify and compare .tflite files on LiteRT."""

from tfopt.runtimes._compare import CompareReport, compare
from tfopt.runtimes._inspect import InspectReport, OperatorRow, inspect
from tfopt.runtimes._latency import Latency, measure_latency
from tfopt.runtimes._litert import LiteRT, RunResult, run
from tfopt.runtimes._measure import CompareRow
from tfopt.runtimes._parity import OutputParity
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._size import Size, measure_size
from tfopt.runtimes._sparse import SparseEncoding, encode_sparse, sparse_bytes
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile
from tfopt.runtimes._verify import KernelSummary, VerifyReport, verify

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
