"""A Griffe extension: the examples of docstrings become blocks of code."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", flags=re.M)


def with_blocks(text: str) -> str:
    """A docstring with its examples, which end at an empty line, between fences.

    >>> print(with_blocks("Sums.\\n\\nExample:\\n\\n>>> 1 + 1\\n2").replace("`", "'"))
    Sums.
    <BLANKLINE>
    **Example**
    <BLANKLINE>
    '''pycon
    >>> 1 + 1
    2
    '''
    """
    text = re.sub(r"^Example:$", "**Example**", text, flags=re.M)
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


class DoctestBlocks(griffe.Extension):
    """Rewrites every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = with_blocks(obj.docstring.value)
