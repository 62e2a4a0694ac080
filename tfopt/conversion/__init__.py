"""Conversion: a Keras model becomes a .tflite file that computes what the model computes."""

from tfopt.conversion._export import ExportReport, export

__all__ = ["ExportReport", "export"]
