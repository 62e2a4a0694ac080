from ._blocks import Cell, Code, DataTable, Fact, Facts, Plot, Plots, Text
from ._content import Content
from ._page import html_page
from ._sections import SECTIONS, Section

__all__ = [
    "SECTIONS",
    "Cell",
    "Code",
    "Content",
    "DataTable",
    "Fact",
    "Facts",
    "Plot",
    "Plots",
    "Section",
    "Text",
    "html_page",
]
