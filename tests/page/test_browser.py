"""The page in a browser: plots are drawn, nothing is asked for, nothing is wider than the window."""

import shutil

import keras
import numpy as np
import pytest

import tfopt
from tests.page.contents import EVIL, everything, nothing, one
from tfopt.page import html_page
from tfopt.recipes import Cluster, Factorize, Prune, Recipe, Shrink, Train

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WINDOWS = [(1280, "light"), (390, "dark")]
PAGES = {
    "everything": everything(),
    "evil names": everything(EVIL),
    "nothing": nothing(),
    "verify": one("verify"),
}
RUNS = {
    "all techniques": Recipe(
        shrink=Shrink(params=0.9, divisor=4),
        factorize=Factorize(params=0.95),
        prune=Prune(sparsity=0.5, where=".*"),
        cluster=Cluster(n_clusters=8),
        train=Train(epochs=1),
    ),
    "no technique": Recipe(quantize=None, distill=None),
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


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages in files: of reports that are made up, and of runs with all techniques and with none."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {}
    for name, content in PAGES.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(html_page(content), encoding="utf-8")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 8, 8, 1)).astype("float32"), rng.integers(0, 3, 60)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    hidden = keras.layers.Conv2D(16, 3, activation="relu")(hidden)
    scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(hidden))
    model = keras.Model(inputs, scores, name="net")
    for name, recipe in RUNS.items():
        tfopt.compress(model, (x, y), recipe, output_dir=folder / name)
        paths[name] = folder / name / "report.html"
    return paths


@pytest.mark.parametrize("name", [*PAGES, *RUNS])
@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_it_opens(browser, written, name, width, scheme):
    path = written[name]
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
