"""Writes a corpus' report: a page in Markdown that git keeps, and one in HTML that it does not.

The same results give the same bytes of Markdown, so it is an output of DVC's. The HTML also holds
what differs from run to run (commit, date, time and memory): as an output of DVC's it would change
without a cause, so it is none, and git ignores it.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.base import paths
from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.report import circumstances, closing, comparison, detail, scores, setup
from pipeline.report.blocks import Report, Section
from pipeline.report.read import Results, read_results
from pipeline.report.svg import inline

TEMPLATES = Path(__file__).parent / "templates"
CODE = re.compile(r"`([^`]+)`")
# What Markdown would take for more than itself; an underscore inside a word and a bracket without a
# target are none.
MARKS = re.compile(r"[\\`*|~$#]|\](?=[(\[])|(?<!\w)_|_(?!\w)")


def write_report(params: Params, corpus: str) -> tuple[Path, Path]:
    """Writes `metrics/CORPUS/report.md` and `report.html`.

    Returns:
        Their paths.

    Raises:
        PipelineError: params.yaml does not know the corpus, or results of it are absent.
    """
    results = read_results(params, corpus)
    found = (paths.metrics(corpus, "report.md"), paths.metrics(corpus, "report.html"))
    for path, text in zip(found, (in_markdown(results), in_html(results)), strict=True):
        write_text(path, text)
    return found


def in_markdown(results: Results) -> str:
    """The page that git keeps: the same results give the same text."""
    report = _report(results, circumstances.LEFT_OUT)
    return _rendered("report.md", _escaped_for_markdown, report)


def in_html(results: Results) -> str:
    """The page with every figure, and with what differs from run to run."""
    run = circumstances.section(circumstances.circumstances(results.corpus))
    return _rendered("report.html", _escaped_for_html, _report(results, run))


def _report(results: Results, run: Section) -> Report:
    return Report(
        title=results.corpus,
        lead=scores.lead(results),
        sections=(
            scores.section(results),
            comparison.section(results),
            detail.errors(results),
            detail.parts(results),
            detail.learning(results),
            setup.section(results),
            closing.ledger(results),
            run,
            closing.repeat(results),
        ),
    )


def _rendered(template: str, finalize: Callable[[Any], Markup], report: Report) -> str:
    """A template filled in; every text in it goes through `finalize` on its way out."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg"] = lambda figure: Markup(inline(figure))  # ElementTree escaped it
    environment.filters["verbatim"] = Markup  # for what no markup can be in: see its uses
    return environment.get_template(template).render(report=report)


def _escaped_for_html(text: Any) -> Markup:
    """Text as HTML: a word between backticks is code, a line end is kept."""
    if hasattr(text, "__html__"):
        return Markup(text)
    escaped = html.escape(str(text))
    return Markup(CODE.sub(r"<code>\1</code>", escaped).replace("\n", "<br>"))


def _escaped_for_markdown(text: Any) -> Markup:
    """Text as Markdown, in a table too: what is between backticks stays as it is."""
    if hasattr(text, "__html__"):
        return Markup(text)
    parts = CODE.split(str(text))  # plain, code, plain, ...
    told = [_code(part) if place % 2 else _plain(part) for place, part in enumerate(parts)]
    return Markup("".join(told).replace("\n", "<br>"))


def _plain(text: str) -> str:
    return MARKS.sub(lambda mark: f"\\{mark[0]}", html.escape(text, quote=False))


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"
