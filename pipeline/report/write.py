"""Write a corpus' report: a page in Markdown that git keeps, and one in HTML that git ignores.

The same results give the same bytes of Markdown, so it is a DVC output. The HTML also holds what
differs from run to run (commit, date, time and memory), so it is not.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.base import paths
from pipeline.base.display import printable
from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.report import circumstances, closing, comparison, detail, scores, setup
from pipeline.report.blocks import Report, Section
from pipeline.report.read import Results, read_results
from pipeline.report.svg import inline

TEMPLATES = Path(__file__).parent / "templates"
CODE = re.compile(r"`([^`]+)`")
# Characters with a meaning in Markdown; an underscore inside a word and a bracket without a target
# have none.
MARKS = re.compile(r"[\\`*|~$#]|\](?=[(\[])|(?<!\w)_|_(?!\w)")


def write_report(params: Params, corpus: str) -> tuple[Path, Path]:
    """Write `metrics/CORPUS/report.md` and `report.html`, and return their paths.

    Raises:
        PipelineError: params.yaml does not know the corpus, or results of it are absent.
    """
    results = read_results(params, corpus)
    markdown, page = (paths.metrics(corpus, f"report.{kind}") for kind in ("md", "html"))
    write_text(markdown, in_markdown(results))
    write_text(page, in_html(results))
    return markdown, page


def in_markdown(results: Results) -> str:
    """Render the Markdown page; the same results give the same text."""
    report = _report(results, circumstances.LEFT_OUT)
    return _render("report.md", _escape_for_markdown, report)


def in_html(results: Results) -> str:
    """Render the HTML page, with every figure and what differs from run to run."""
    run = circumstances.section(circumstances.circumstances(results.corpus))
    return _render("report.html", _escape_for_html, _report(results, run))


def _report(results: Results, run: Section) -> Report:
    return Report(
        title=results.corpus,
        lead=scores.lead(results),
        sections=(
            scores.section(results),
            comparison.section(results),
            detail.errors(results),
            detail.slices(results),
            detail.learning(results),
            setup.section(results),
            closing.ledger(results),
            run,
            closing.repeat(results),
        ),
    )


def _render(template: str, finalize: Callable[[Any], Markup], report: Report) -> str:
    """Fill in a template; every text passes through `finalize`."""
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
    environment.filters["verbatim"] = Markup  # for text that cannot hold markup: see its uses
    return environment.get_template(template).render(report=report)


def _escape_for_html(text: Any) -> Markup:
    """Escape text for HTML; words between backticks are code, line breaks are kept."""
    if hasattr(text, "__html__"):
        return Markup(text)
    escaped = html.escape(printable(str(text)))
    return Markup(CODE.sub(r"<code>\1</code>", escaped).replace("\n", "<br>"))


def _escape_for_markdown(text: Any) -> Markup:
    """Escape text for Markdown, tables included; words between backticks stay as they are."""
    if hasattr(text, "__html__"):
        return Markup(text)
    parts = CODE.split(printable(str(text)))  # plain, code, plain, ...
    escaped = [_code(part) if place % 2 else _plain(part) for place, part in enumerate(parts)]
    return Markup("".join(escaped).replace("\n", "<br>"))


def _plain(text: str) -> str:
    return MARKS.sub(lambda mark: f"\\{mark[0]}", html.escape(text, quote=False))


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"
