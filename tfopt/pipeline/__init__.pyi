from ._compress import compress
from ._result import CompressResult
from ._techniques import TECHNIQUES

__all__ = ["TECHNIQUES", "CompressResult", "compress"]
