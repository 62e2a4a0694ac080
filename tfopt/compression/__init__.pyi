from ._compress import check_decoder, compress_weights
from ._kernels import CompressedKernel
from ._pack import pack, unpack
from ._report import CompressionReport

__all__ = ["CompressedKernel", "CompressionReport", "check_decoder", "compress_weights", "pack", "unpack"]
