"""What makes a quantized model better without training it."""

from tfopt.quantization.post_training._equalization import equalize_graph
from tfopt.quantization.post_training._post_training import check_rounding, improve

__all__ = [
    "check_rounding",
    "equalize_graph",
    "improve",
]
