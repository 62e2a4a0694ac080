"""Conversion: a Keras model becomes a .tflite file that computes what the model computes."""

from tfopt.conversion._export import ExportReport, export
from tfopt.conversion._sparse import SparseKernel

__all__ = ["ExportReport", "SparseKernel", "export"]
