from ._arrays import read_arrays
from ._check_file import LARGEST, check_file, reason
from ._image_range import IMAGE_RANGES, choose_image_range, to_range
from ._read import READERS, read
from ._samples import Samples, Wanted

__all__ = [
    "IMAGE_RANGES",
    "LARGEST",
    "READERS",
    "Samples",
    "Wanted",
    "check_file",
    "choose_image_range",
    "read",
    "read_arrays",
    "reason",
    "to_range",
]
