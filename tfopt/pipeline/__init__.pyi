from ._compress import compress
from ._result import CompressResult
from ._techniques import TECHNIQUES, Stage, Technique

__all__ = ["TECHNIQUES", "CompressResult", "Stage", "Technique", "compress"]
