"""Coding: kernels as fewer bytes and back, in the forms of TFLite Micro, and as `tfopt pack` stores them.

Pure functions on arrays and bytes.
"""

from tfopt.coding._ans import decode as decode_blocks
from tfopt.coding._ans import encode as encode_blocks
from tfopt.coding._ans import shares
from tfopt.coding._entropy import entropy_bytes, histogram
from tfopt.coding._forms import Codes, Encoded, decode_form, smallest_form

__all__ = [
    "Codes",
    "Encoded",
    "decode_blocks",
    "decode_form",
    "encode_blocks",
    "entropy_bytes",
    "histogram",
    "shares",
    "smallest_form",
]
