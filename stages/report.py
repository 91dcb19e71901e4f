"""Results of all systems to a page: in Markdown that git keeps, and in HTML with what the run cost.

The HTML is no output of DVC's, because it holds the date and other things that differ from run to
run; see `pipeline.report.write`. DVC never restores this stage from its run-cache, since an output
of it is kept by git, so that the HTML is there after each run.
"""

from pipeline.base.display import say
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.evaluation.summary import show
from pipeline.report.write import write_report


def work(params: Params, corpus: str) -> None:
    """Write both pages, print the leaderboard, and say where the pages are."""
    written = write_report(params, corpus)
    show(corpus)
    for path in written:
        say(path)


if __name__ == "__main__":
    run(work)
