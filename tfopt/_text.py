"""Words and numbers of messages and tables."""

import re
from collections.abc import Mapping
from typing import Any

# What Keras makes of an error within a layer's call: the layer, what was raised in bold, and the arguments.
_CALL = re.compile(r"Exception encountered when calling (\S+?)\.call\(\)")
_RAISED = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)


def printable(text: str) -> str:
    """Text without characters that would do something to a terminal: names in a file may hold any.

    >>> printable("conv\\x1b[2J")
    'conv\\\\x1b[2J'
    """
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text
    )


def raised_in_call(text: str) -> tuple[str, str]:
    """The class of the layer in whose call Keras says that an error was raised ("" for none), and the error's words.

    >>> text = "Exception encountered when calling Lambda.call().\\n\\n\\x1b[1mno such axis\\x1b[0m\\n\\nArguments"
    >>> raised_in_call(text), raised_in_call("Too long.")
    (('Lambda', 'no such axis'), ('', 'Too long.'))
    """
    layer, raised = _CALL.search(text), _RAISED.search(text)
    return layer[1] if layer else "", " ".join(raised[1].split()) if raised else text


def short_repr(value: Any, most: int = 120) -> str:
    """What a value looks like, cut where it is long: a message must not be a page.

    >>> short_repr("net"), short_repr(9**99, most=6)
    ("'net'", '295126 ...')
    """
    try:
        text = repr(value)
    except ValueError:  # Python does not write out numbers of thousands of digits
        text = f"a number of about {value.bit_length() * 0.301:,.0f} digits"
    return text if len(text) <= most else f"{text[:most]} ..."


def percent(fraction: float) -> str:
    """A fraction as a percentage that reads 100% or 0% only when it is exactly that.

    >>> percent(0.5), percent(1.0), percent(0.99999), percent(0.00001), percent(0.0)
    ('50.0%', '100%', '99.99%', '0.001%', '0%')
    """
    if fraction in (0.0, 1.0):
        return f"{fraction:.0%}"
    if fraction < 0.001:
        return f"{100 * fraction:.1g}%"
    return f"{min(100 * fraction, 99.99):.2f}%" if fraction > 0.999 else f"{fraction:.1%}"


def names_with_counts(counts: Mapping[str, int]) -> str:
    """Operators with how often each occurs.

    >>> names_with_counts({"CONV_2D": 2, "SOFTMAX": 1}), names_with_counts({})
    ('2 CONV_2D, 1 SOFTMAX', 'none')
    """
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def format_bytes(count: int) -> str:
    """A number of bytes, with a unit.

    >>> format_bytes(812), format_bytes(32_573), format_bytes(2_869_600)
    ('812 B', '32.6 kB', '2.87 MB')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} B"
