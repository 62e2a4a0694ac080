from ._apply import apply_point
from ._learn import Learned, learn
from ._measured import measure_file
from ._objective import Objective
from ._refine import refine
from ._report import LayerChoice, Point, RefineReport, SearchReport
from ._search import search
from ._subnet_report import SubnetPoint, SubnetReport
from ._subnet_shape import SubnetShape
from ._supernet import Supernet

__all__ = [
    "LayerChoice",
    "Learned",
    "Objective",
    "Point",
    "RefineReport",
    "SearchReport",
    "SubnetPoint",
    "SubnetReport",
    "SubnetShape",
    "Supernet",
    "apply_point",
    "learn",
    "measure_file",
    "refine",
    "search",
]
