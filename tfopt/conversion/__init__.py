"""Export: a Keras model becomes a .tflite file that computes what the model computes."""

from tfopt.export._export import ExportReport, export

__all__ = ["ExportReport", "export"]
