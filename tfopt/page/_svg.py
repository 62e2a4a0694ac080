"""Plots of matplotlib as SVG that takes its colours and its font from the page."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from markupsafe import Markup

from tfopt._text import printable

# Colours to draw with -> those of the style sheet, which differ in the dark.
INK, MUTED, GRID, SURFACE = "#000001", "#000002", "#000003", "#000004"
SERIES = ("#0000a1", "#0000a2", "#0000a3", "#0000a4", "#0000a5", "#0000a6")
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", SURFACE: "--surface"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES, 1)
}
_COLOR = re.compile("|".join(_VARIABLES))
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_NUMBERS = ("d", "transform", "x", "y", "points")
_FONT = re.compile(r"font(?:-family|-style|-stretch|-variant)?: [^;]*'[^;]*(?:;|$)")


def themed(text: str, name: str, label: str, hints: Mapping[str, str]) -> Markup:
    """An SVG file as a part of a page.

    Args:
        text: what matplotlib wrote.
        name: begins every id, so that they are unique in the page.
        label: what the plot shows, for who cannot see it.
        hints: the id of a mark -> what is shown where the pointer is over it.

    Returns:
        An `<svg>` element without ids that nothing refers to, metadata or style sheet.
    """
    root = ElementTree.fromstring(text)
    _drop(root, ("metadata", "style"))
    used = set(re.findall(r"""(?:url\(|href=")#([^")]+)""", text))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in list(element.attrib):
            _clean(element, key, name, used, hints)
    view = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": label})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drop(root: ElementTree.Element, names: tuple[str, ...]) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in names:
                parent.remove(child)


def _clean(
    element: ElementTree.Element, key: str, name: str, used: set[str], hints: Mapping[str, str]
) -> None:
    """Brings one attribute of an element to the form of the page."""
    value = element.attrib.pop(key)
    short = key.rpartition("}")[2]
    if short == "id":
        if value in hints:
            hint = ElementTree.Element("title")
            hint.text = printable(hints[value])
            element.insert(0, hint)
        if value not in used:
            return
        value = f"{name}-{value}"
    elif short == "href":
        value = f"#{name}-{value[1:]}"
    elif short in _NUMBERS:
        value = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
    elif short == "style":
        value = _COLOR.sub(lambda found: f"var({_VARIABLES[found[0]]})", _FONT.sub("", value)).strip()
    element.set(short, value.replace("url(#", f"url(#{name}-"))
