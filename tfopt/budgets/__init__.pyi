from ._apply import apply_point
from ._report import LayerChoice, Point, SearchReport
from ._search import search

__all__ = ["LayerChoice", "Point", "SearchReport", "apply_point", "search"]
