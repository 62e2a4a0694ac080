"""Read, run, verify and compare .tflite files on LiteRT and TFLite Micro, and ask Vela about Ethos-U."""

from tfopt.runtimes._compare import CompareReport, compare
from tfopt.runtimes._inspect import InspectReport, OperatorRow, inspect
from tfopt.runtimes._latency import Latency, measure_latency
from tfopt.runtimes._litert import LiteRT, LiteRTBuiltin, LiteRTReference
from tfopt.runtimes._measure import CompareRow
from tfopt.runtimes._npu_report import CpuOperator, NpuReport
from tfopt.runtimes._parity import OutputParity
from tfopt.runtimes._registry import RUNTIMES, load, run
from tfopt.runtimes._runtime import CannotRunError, RunResult, Runtime
from tfopt.runtimes._schema import Operator
from tfopt.runtimes._size import Size, measure_size
from tfopt.runtimes._sparse import SparseEncoding, encode_sparse, sparse_bytes
from tfopt.runtimes._tensor_parity import TensorParity
from tfopt.runtimes._tensors import Tensor
from tfopt.runtimes._tflite_file import TFLiteFile
from tfopt.runtimes._tflite_micro import Arena, TFLiteMicro
from tfopt.runtimes._vela import estimate_npu
from tfopt.runtimes._verify import verify
from tfopt.runtimes._verify_report import KernelSummary, VerifyReport

__all__ = [
    "RUNTIMES",
    "Arena",
    "CannotRunError",
    "CompareReport",
    "CompareRow",
    "CpuOperator",
    "InspectReport",
    "KernelSummary",
    "Latency",
    "LiteRT",
    "LiteRTBuiltin",
    "LiteRTReference",
    "NpuReport",
    "Operator",
    "OperatorRow",
    "OutputParity",
    "RunResult",
    "Runtime",
    "Size",
    "SparseEncoding",
    "TFLiteFile",
    "TFLiteMicro",
    "Tensor",
    "TensorParity",
    "VerifyReport",
    "compare",
    "encode_sparse",
    "estimate_npu",
    "inspect",
    "load",
    "measure_latency",
    "measure_size",
    "run",
    "sparse_bytes",
    "verify",
]
