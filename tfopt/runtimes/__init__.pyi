from ._bench import BenchReport, BenchRow, bench
from ._classes import ChangedSample, ClassReport, ModelClasses
from ._compare import CompareReport, compare
from ._inspect import InspectReport, OperatorRow, inspect
from ._kernel_values import KernelValues
from ._latency import Latency, measure_latency
from ._litert import LiteRT, LiteRTBuiltin, LiteRTReference
from ._measure import CompareRow
from ._metric import evaluate_metric, metric_name
from ._npu_report import CpuOperator, NpuReport
from ._parity import OutputParity
from ._registry import RUNTIMES, load, run
from ._runtime import CannotRunError, RunResult, Runtime
from ._schema import Operator, is_split, parse
from ._size import Size, measure_size
from ._sparse import SparseEncoding, encode_sparse, sparse_bytes
from ._tensor_parity import TensorParity
from ._tensors import BITS, Tensor
from ._tflite_file import TFLiteFile
from ._tflite_micro import Arena, TFLiteMicro
from ._vela import estimate_npu
from ._verify import verify
from ._verify_report import KernelSummary, VerifyReport

__all__ = [
    "BITS",
    "RUNTIMES",
    "Arena",
    "BenchReport",
    "BenchRow",
    "CannotRunError",
    "ChangedSample",
    "ClassReport",
    "CompareReport",
    "CompareRow",
    "CpuOperator",
    "InspectReport",
    "KernelSummary",
    "KernelValues",
    "Latency",
    "LiteRT",
    "LiteRTBuiltin",
    "LiteRTReference",
    "ModelClasses",
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
    "bench",
    "compare",
    "encode_sparse",
    "estimate_npu",
    "evaluate_metric",
    "inspect",
    "is_split",
    "load",
    "measure_latency",
    "measure_size",
    "metric_name",
    "parse",
    "run",
    "sparse_bytes",
    "verify",
]
