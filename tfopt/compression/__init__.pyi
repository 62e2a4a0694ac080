from ._compress import check_decoder, compress_weights
from ._kernels import OVERHEAD, CompressedKernel
from ._pack import pack, unpack
from ._report import CompressionReport
from ._sizes import FileSizes, SizesReport, sizes

__all__ = [
    "OVERHEAD",
    "CompressedKernel",
    "CompressionReport",
    "FileSizes",
    "SizesReport",
    "check_decoder",
    "compress_weights",
    "pack",
    "sizes",
    "unpack",
]
