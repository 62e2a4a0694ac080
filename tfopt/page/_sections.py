"""The table of sections; a new one is a module with a function from the content to blocks, and a row here."""

import dataclasses
from collections.abc import Callable, Sequence

from tfopt.page._blocks import Block
from tfopt.page._classes import classes
from tfopt.page._content import Content
from tfopt.page._layers import layers
from tfopt.page._left_alone import left_alone
from tfopt.page._outcome import outcome
from tfopt.page._parity import parity
from tfopt.page._recipe import recipe, versions
from tfopt.page._search import search
from tfopt.page._sensitivity import sensitivity
from tfopt.page._tradeoff import tradeoff
from tfopt.page._training import training
from tfopt.page._weights import weights


@dataclasses.dataclass(frozen=True)
class Section:
    """A row of the table.

    Attributes:
        name: its address in the page.
        title: its heading.
        make: its blocks; none where the content has nothing to show in it.
    """

    name: str
    title: str
    make: Callable[[Content], Sequence[Block]]


# In the order of the page.
SECTIONS: tuple[Section, ...] = (
    Section("outcome", "What came out", outcome),
    Section("tradeoff", "Accuracy against size and time", tradeoff),
    Section("classes", "Which samples changed", classes),
    Section("parity", "Does the file compute what the model computes?", parity),
    Section("layers", "Layer by layer", layers),
    Section("sensitivity", "What each layer can bear", sensitivity),
    Section("search", "Which bits and zeros were found", search),
    Section("weights", "Weights", weights),
    Section("training", "Training", training),
    Section("left-alone", "What was left alone, and why", left_alone),
    Section("recipe", "What was asked: the recipe", recipe),
    Section("versions", "Versions", versions),
)
