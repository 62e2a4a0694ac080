"""The page: sections as one file of HTML that needs no other."""

import functools
from typing import Any

import jinja2

from tfopt._text import printable
from tfopt.page._content import Content
from tfopt.page._sections import SECTIONS


def html_page(content: Content) -> str:
    """A page of HTML, with its style and its plots in it: no script, and nothing that is loaded.

    Names in the data may hold anything: all text is escaped.

    Args:
        content: what to show; a section is left out where its data is not there.

    Raises:
        KeyError: a report lacks a field.

    Example:

    >>> page = html_page(Content({}, {"notes": ["<b>"], "done": {}}, title="Digits"))
    >>> "<h1>Digits</h1>" in page, "<b>" in page, "&lt;b&gt;" in page, "<script" in page
    (True, False, True, False)
    """
    made = [(section, section.make(content)) for section in SECTIONS]
    sections = [(section, blocks) for section, blocks in made if blocks]
    return _environment().get_template("page.html").render(content=content, sections=sections)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfopt.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment


def _shown(value: Any) -> Any:
    """Text without control characters; HTML that was made here stays."""
    return printable(value) if type(value) is str else value
