"""Write a corpus' page of all systems: Markdown that git keeps, and HTML that git ignores.

One template holds the prose; the HTML is made of its Markdown. The same results give the same bytes
of Markdown and pictures, so they are DVC outputs. The HTML also holds what differs from run to run
(commit, date, time and memory), so it is not.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.base import paths
from pipeline.base.display import write_csv
from pipeline.base.files import write_json, write_text
from pipeline.base.params import Params
from pipeline.base.plots import save
from pipeline.records.ledger import page as ledger_page
from pipeline.report.circumstances import circumstances
from pipeline.report.page import in_html, markdown_of
from pipeline.report.pictures import pictures
from pipeline.report.read import read_results

FIGURES = "figures"


def write_report(params: Params, corpus: str) -> tuple[Path, Path]:
    """Write all results of a corpus, and return the paths of `report.md` and `report.html`.

    Raises:
        PipelineError: params.yaml does not know the corpus, or results of it are absent.
    """
    results = read_results(params, corpus)
    drawn = list(pictures(results))
    folder = paths.metrics(corpus, FIGURES)
    folder.mkdir(parents=True, exist_ok=True)
    for picture in drawn:
        save(picture.figure, folder / f"{picture.name}.png")
    for file in sorted(folder.glob("*.png")):
        if file.stem not in {picture.name for picture in drawn}:  # of a system that has gone
            file.unlink()
    write_json(paths.metrics(corpus, "run.json"), results.run())
    write_text(paths.metrics(corpus, "ledger.md"), ledger_page(corpus, results.ledgers))
    write_csv(paths.metrics(corpus, "leaderboard.csv"), results.leaderboard)
    markdown, page = (paths.metrics(corpus, f"report.{kind}") for kind in ("md", "html"))
    write_text(markdown, markdown_of(results, drawn))
    write_text(page, in_html(results, drawn, circumstances(corpus, params.systems)))
    return markdown, page


def write_page(params: Params, corpus: str, foreign: Sequence[Path]) -> Path:
    """Write the HTML page alone, with predictions that others made beside the systems.

    Raises:
        PipelineError: See `write_report`; or a file holds no predictions of this corpus.
    """
    results = read_results(params, corpus, foreign)
    page = paths.metrics(corpus, "report.html")
    drawn = list(pictures(results))
    write_text(page, in_html(results, drawn, circumstances(corpus, params.systems)))
    return page
