"""The page as a file: it loads nothing, its ids are unique, and names in it are text and no more."""

import html.parser
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.page.contents import EVIL, everything, nothing, one
from tfopt.page import SECTIONS, Content, html_page

VOID = {"meta", "link", "br", "path", "use"}
PAGES = {
    "everything": everything(),
    "many classes": everything(classes=500),
    "evil names": everything(EVIL),
    "nothing": nothing(),
    "verify": one("verify"),
    "compare": one("compare"),
}
# Sections that a page has.
HAS = {
    "everything": [section.name for section in SECTIONS],
    "nothing": ["outcome", "tradeoff", "layers", "training"],
    "verify": ["outcome", "parity"],
    "compare": ["outcome", "tradeoff"],
}


class Parsed(html.parser.HTMLParser):
    """Elements, attributes and text of a page; raises for one that is closed wrongly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.extend((name, value or "") for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def values(self, *names):
        return [value for name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def pages():
    return {name: html_page(content) for name, content in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_it_is_one_file_that_loads_nothing(name, pages):
    page = Parsed(pages[name])
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = page.values("src", "href", "action", "data", "poster", "srcset", "xlink:href")
    assert all(link == "data:," or link[1:] in ids for link in links if link)
    assert all(name in ids for value in page.values("aria-labelledby") for name in value.split())
    style = " ".join([*page.values("style"), *page.words])
    assert not re.search(r"@import|url\((?!#)", style)
    assert all(found in ids for found in re.findall(r"url\(#([^)]+)\)", pages[name]))
    assert not page.tags & {"script", "iframe", "object", "embed", "img", "form"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "default-src 'none'" in pages[name] and len(pages[name]) < 200_000


@pytest.mark.parametrize("name", HAS)
def test_a_section_is_there_if_its_data_is(name, pages):
    found = re.findall(r'<section id="([\w-]+)"', pages[name])
    assert found == HAS[name]


def test_names_are_text(pages):
    assert EVIL not in pages["evil names"]
    words = " ".join(Parsed(pages["evil names"]).words)
    # The title, a note, a technique's outcome, a layer, a warning, a kernel, a model, a class, a curve and the recipe.
    assert words.count(EVIL) >= 10


def test_what_the_page_says(pages):
    words = " ".join(" ".join(Parsed(pages["everything"]).words).split())
    for text in (
        "verified",
        "3.42 times smaller than conv",  # 4,100 bytes to 1,200, of the float file and not of the Keras model
        "5 times faster than conv",
        "no kernel for conv",
        "as conv is small",
        "few zeros",
        "too small",
        "Tensor by tensor: 13 of 13",
        "now right",
        "now wrong",
        "42.0",
        "900 B, 75.0%",
        "target: litert",
        "1 in the first epoch, 0.5 in the last",
    ):
        assert text in words, text
    assert "All pairs of classes" in pages["many classes"] and "Confusion matrix" in pages["everything"]
    assert "NOT every output value passes" in pages["verify"]
    assert 'class="verdict bad"' in pages["nothing"] and "Nothing was trained." in pages["nothing"]
    # Marks tell what they are where the pointer is over them.
    assert "<title>compressed: 50.00%, 1.2 kB</title>" in pages["everything"]


def test_the_same_content_is_the_same_page(pages):
    assert html_page(everything()) == pages["everything"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=20))
def test_any_name_is_text(name):
    """Of a note and a technique: no plot is drawn, which takes the time."""
    result = {"title": name, "done": {name: name}, "notes": [name], "reports": {}}
    content = Content.of_result(result, name)
    page = Parsed(html_page(content))
    page_tags = Parsed(html_page(Content.of_result({**result, "title": "a", "done": {"a": "a"}}, "a"))).tags
    assert page.tags == page_tags


@pytest.mark.parametrize("name", ["_hidden", "$x^2$", "a\x00b", "\udc80", "日本", "#000001", "]]>"])
def test_any_model_name_is_drawn(name):
    page = html_page(Content({"compare": everything(name).report("compare")}))
    assert Parsed(page) and page.count("<svg") == 2
    page.encode()
