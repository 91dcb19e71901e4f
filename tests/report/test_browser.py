"""The report opened as a reader opens it: a file, on a desktop and a phone, by day and by night."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from pipeline.base.params import read_params
from pipeline.report.write import write_report
from tests.report.small import Corpus, lay_out

SECTIONS = [
    *("leaderboard", "comparison-with-published-figures", "each-system", "setup"),
    *("problems-with-the-media", "this-run-and-what-it-cost", "how-to-reproduce-this"),
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (360, 640)}
# The smallest contrast of a text with what is behind it (WCAG 2.1, 1.4.3), and where.
CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  let worst = [21, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('title, desc, caption')) continue;
    const style = getComputedStyle(element);
    const text = element.closest('svg') ? style.fill : style.color;
    const [a, b] = [light(text), light(behind(element))].sort((x, y) => y - x);
    const found = (a + 0.05) / (b + 0.05);
    if (found < worst[0]) worst = [found, walker.currentNode.data];
  }
  return worst;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}, none of which is on the PATH")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=["made", pytest.param("demo", marks=pytest.mark.slow)])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a made-up corpus with long names and folds, and of a demo corpus after `dvc repro`."""
    if request.param == "demo":
        reproduced: Path = request.getfixturevalue("reproduced")
        return reproduced / "metrics/demo_meld/report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("report"))
        corpus = Corpus(speaker="a_name_that_does_not_end_" * 8, folds=2)
        lay_out(corpus)
        return write_report(read_params(), corpus.name)[1].absolute()


@pytest.fixture(
    scope="module",
    params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")],
    ids="-".join,
)
def page(
    browser: Browser, report: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, list[str]]]:
    """The report in a window, and everything that the browser complained of or asked for."""
    size, scheme = request.param
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened, messages = context.new_page(), list[str]()
    opened.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: messages.append(f"error: {error}"))
    opened.on("request", lambda asked: messages.append(f"request: {asked.url}"))
    opened.goto(report.as_uri())
    yield opened, messages
    context.close()


@pytest.mark.slow
def test_it_opens_without_a_network_or_a_complaint(
    page: tuple[Page, list[str]], report: Path
) -> None:
    opened, messages = page
    opened.wait_for_load_state("networkidle")
    requests = {line for line in messages if line.startswith("request: ")}
    assert requests - {"request: data:,"} == {f"request: {report.as_uri()}"}
    assert set(messages) == requests
    ids = opened.eval_on_selector_all("main > h2", "all => all.map(one => one.id)")
    assert ids == SECTIONS
    links = opened.eval_on_selector_all("nav a", "all => all.map(one => one.hash.slice(1))")
    assert links == SECTIONS and opened.locator("h1").is_visible()


def test_nothing_is_wider_than_the_window(page: tuple[Page, list[str]]) -> None:
    opened, _ = page
    opened.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = opened.eval_on_selector_all(
        "svg, figure, p, li, pre",
        "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1"
        " || one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))",
    )
    assert wide == []
    heads = opened.eval_on_selector_all("tbody th", "all => all.map(one => one.clientWidth)")
    inside = opened.evaluate("innerWidth")
    assert max(heads) < 0.6 * inside, "the column that stays leaves room for others"


def test_a_wide_table_shows_that_it_goes_on_and_keeps_its_first_column(
    page: tuple[Page, list[str]],
) -> None:
    opened, _ = page
    board = opened.locator(".scroll").first
    assert board.evaluate("one => one.scrollWidth > one.clientWidth"), "of eleven columns"
    head = board.locator("tbody th").first
    ends = []
    for left in ("0", "one.scrollWidth"):
        board.evaluate(f"one => one.scrollLeft = {left}")
        ends.append((right_edge(board), head.bounding_box()))
    (cue, start), (none, end) = ends
    assert start == end, "it stays while the others move"
    assert np.abs(cue - none).max() > 20, "a shadow at the edge where more is"
    board.evaluate("one => one.scrollLeft = 0")


def right_edge(board: Locator) -> np.ndarray:
    """Brightness of the last pixels of a table's top, where no text is: [pixel]."""
    shown = Image.open(io.BytesIO(board.screenshot())).convert("L")
    strip: np.ndarray = np.asarray(shown, float)[4:10, -8:].mean(0)
    return strip


def test_figures_are_drawn_and_can_be_read(page: tuple[Page, list[str]]) -> None:
    opened, _ = page
    opened.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    boxes = opened.eval_on_selector_all(
        "svg", "all => all.map(one => [one.clientWidth, one.clientHeight])"
    )
    assert len(boxes) == opened.locator("figure").count() >= 8
    assert min(min(box) for box in boxes) > 60
    sizes = opened.eval_on_selector_all(
        "svg text", "all => all.map(one => one.getBoundingClientRect().height)"
    )
    assert min(sizes) > 7, "pixels of a line's height"


def test_text_stands_out_from_what_is_behind_it(page: tuple[Page, list[str]]) -> None:
    opened, _ = page
    contrast, where = opened.evaluate(CONTRAST)
    assert contrast >= 4.5, where


def test_the_dark_scheme_is_dark(browser: Browser, report: Path) -> None:
    light = {}
    for scheme in ("light", "dark"):
        opened = browser.new_page(color_scheme=scheme)
        opened.goto(report.as_uri())
        colour = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        light[scheme] = sum(int(part) for part in colour[4:-1].split(", "))
        ink = opened.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        assert ink == opened.evaluate("getComputedStyle(document.body).color"), "figures follow"
        opened.close()
    assert light["dark"] < 150 < 600 < light["light"]
