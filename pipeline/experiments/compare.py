"""`python -m pipeline compare REV_A REV_B`: whether two results differ by more than chance."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from pipeline.base import paths
from pipeline.base.display import terminal
from pipeline.base.paths import BASELINE
from pipeline.evaluation.scores import OVERALL
from pipeline.experiments.baseline import kept
from pipeline.experiments.kept import Reader, dvc_reader, read_tested
from pipeline.experiments.pair import Entrant, Pair, Side, pair, sentence
from pipeline.records.predictions import MODEL, Predictions, read_predictions

HEAD, WORKSPACE = "HEAD", "workspace"  # DVC's own word for the files as they are


def carry_out(one: str | None, other: str | None, corpora: Sequence[str]) -> None:
    """Compare two revisions and print the outcome for each corpus.

    Args:
        one: None for the baseline that was kept, or the commit if there is none.
        other: None for the workspace.
        corpora: Which.

    Raises:
        PipelineError: See `compared`.
    """
    sides = (one or (BASELINE if kept() else HEAD), other or WORKSPACE)
    for corpus, outcome in zip(corpora, compared(sides, corpora, dvc_reader()), strict=True):
        show(corpus, outcome)


def compared(sides: tuple[str, str], corpora: Sequence[str], read: Reader) -> list[Pair]:
    """Compares two revisions on each corpus.

    Args:
        sides: Each `REV` or `REV:MODEL`; a revision is anything that git or DVC knows by a name,
            or `workspace`.
        corpora: Which.
        read: Reads a revision's files.

    Raises:
        PipelineError: No such revision, it has no predictions of the corpus, or the two were not
            tested on the same utterances.
    """
    return [pair(*(_entrant(read, side, corpus) for side in sides)) for corpus in corpora]


def show(corpus: str, tested: Pair, console: Console | None = None) -> None:
    """Prints a table of both sides and the outcome in words."""
    console = console or terminal()
    dialogues = len(set(tested.test_set.dialogues))
    title = f"{corpus}: {len(tested.test_set.utterances)} test utterances in {dialogues} dialogues"
    # Names of experiments that differ in their last letters alone are not cut off.
    sides = [Column(_head(side), overflow="fold") for side in (tested.one, tested.other)]
    table = Table("percent", *sides, "difference", title=title)
    for name in OVERALL:
        apart = tested.differences[name]
        table.add_row(
            name.replace("_", " "),
            _cell(tested.one, name),
            _cell(tested.other, name),
            str(apart),
        )
    console.print(table)
    console.print(sentence(tested), soft_wrap=True)


def _entrant(read: Reader, side: str, corpus: str) -> Entrant:
    revision, _, model = side.partition(":")
    return Entrant(side, _predictions(read, revision, corpus), model or MODEL)


def _predictions(read: Reader, revision: str, corpus: str) -> Predictions:
    if revision == WORKSPACE:
        return read_predictions(paths.predictions(corpus))
    return read_tested(read, revision, corpus)


def _head(side: Side) -> str:
    return f"{side.name}\n{len(side.seeds)} run{'s' if len(side.seeds) > 1 else ''}"


def _cell(side: Side, name: str) -> str:
    figure, spread = side.figures[name], side.deviations[name]
    deviation = "" if spread is None else f" ± {spread:.1f}"
    return f"{figure.value:.1f}{deviation} [{figure.low:.1f}, {figure.high:.1f}]"
