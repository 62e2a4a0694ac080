from ._apply import apply_point
from ._learn import Learned, learn
from ._measured import measure_file
from ._objective import Objective
from ._refine import refine
from ._report import LayerChoice, Point, RefineReport, SearchReport
from ._search import search

__all__ = [
    "LayerChoice",
    "Learned",
    "Objective",
    "Point",
    "RefineReport",
    "SearchReport",
    "apply_point",
    "learn",
    "measure_file",
    "refine",
    "search",
]
