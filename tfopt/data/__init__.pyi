from ._arrays import read_arrays
from ._check_file import check_file, reason
from ._image_range import IMAGE_RANGES, choose_image_range, to_range
from ._memory import LARGEST, allow_memory, allowed, limited_memory
from ._read import READERS, read
from ._samples import Samples, Wanted

__all__ = [
    "IMAGE_RANGES",
    "LARGEST",
    "READERS",
    "Samples",
    "Wanted",
    "allow_memory",
    "allowed",
    "check_file",
    "choose_image_range",
    "limited_memory",
    "read",
    "read_arrays",
    "reason",
    "to_range",
]
