"""The page in a browser: plots are drawn, nothing is asked for, nothing is wider than the window."""

import shutil

import pytest

from tests.page.contents import EVIL, everything, nothing, one
from tfopt.page import html_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WINDOWS = [(1280, "light"), (390, "dark")]
PAGES = {
    "everything": everything(),
    "evil names": everything(EVIL),
    "nothing": nothing(),
    "verify": one("verify"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if BROWSER is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_it_opens(browser, name, width, scheme, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html_page(PAGES[name]), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    for event in ("console", "pageerror", "dialog"):
        page.on(event, lambda message: said.append(str(message)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert not said and asked == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    drawn = page.evaluate(
        "[...document.querySelectorAll('svg')].map(one => [one.clientWidth, one.querySelectorAll('path').length])"
    )
    assert len(drawn) == path.read_text().count("<svg")
    assert all(size > 100 and paths > 2 for size, paths in drawn)
    ink, surface = (
        page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    )
    dark = scheme == "dark"
    assert (_light(ink) > _light(surface)) == dark
    # What colours of the plots are told from the surface, in both schemes.
    fills = page.evaluate("[...document.querySelectorAll('svg text')].map(one => getComputedStyle(one).fill)")
    assert all(abs(_light(fill) - _light(surface)) > 250 for fill in fills)
    page.close()


def _light(color):
    """Sum of red, green and blue of `rgb(r, g, b)`."""
    return sum(float(part) for part in color.removeprefix("rgb(").rstrip(")").split(",")[:3])
