"""`python -m pipeline compare A B`: whether two results differ by more than chance."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from pipeline.base.display import terminal
from pipeline.base.errors import PipelineError
from pipeline.base.params import PARAMS, hint, read_params
from pipeline.base.paths import BASELINE
from pipeline.evaluation.intervals import McNemar, caution, mcnemar
from pipeline.evaluation.scores import OVERALL
from pipeline.experiments.revisions import WORKSPACE, Reader, dvc_reader, kept, read_system
from pipeline.experiments.rows import WEIGHTED, Entrant, Row, compared, entrant, facts
from pipeline.records.foreign import is_foreign, read_foreign
from pipeline.systems.registry import SYSTEMS

HEAD = "HEAD"
SHOWN = 5  # utterances that an error names


def carry_out(one: str | None, other: str | None, corpora: Sequence[str]) -> None:
    """Compare two results and print the outcome for each corpus.

    Args:
        one: None for the baseline that was kept, or the commit if there is none.
        other: None for the workspace.
        corpora: None given: those of params.yaml.

    Raises:
        PipelineError: See `entrants` and `pair`.
    """
    params, read = read_params(), dvc_reader()
    sides = (one or (BASELINE if kept() else HEAD), other or WORKSPACE)
    for corpus in corpora or params.corpora:
        params.check(corpus)
        show(corpus, *entrants(sides, corpus, params.reference, read))


def entrants(
    sides: tuple[str, str], corpus: str, reference: str, read: Reader
) -> tuple[Entrant, Entrant]:
    """Read two sides.

    Args:
        sides: Each `REV` or `REV:SYSTEM`, or a file of predictions that others made; a revision is
            anything that git or DVC knows by a name, or `workspace`.
        corpus: Which.
        reference: The system of a side that names none.
        read: Reads a revision's files.

    Raises:
        PipelineError: No such revision or system, or it has no predictions of the corpus; a file
            is not one of predictions for it.
    """
    ours = [side for side in sides if not is_foreign(side)]
    known = {side: _entrant(side, corpus, reference, read) for side in ours}
    with_labels = known[ours[0]] if ours else _entrant(WORKSPACE, corpus, reference, read)
    test_set = with_labels.test_set
    one, other = (
        known.get(side) or Entrant(side, test_set, read_foreign(Path(side), test_set))
        for side in sides
    )
    return one, other


def _entrant(side: str, corpus: str, reference: str, read: Reader) -> Entrant:
    revision, _, system = side.partition(":")
    system = system or reference
    if system not in SYSTEMS:  # it becomes part of a path
        raise PipelineError(f"{side}: got the system {system!r}{hint(system, SYSTEMS)}")
    if revision == WORKSPACE and PARAMS.is_file():  # files of systems no longer run grow old
        read_params().check_system(system)
    table = read_system(read, revision, corpus, system)
    return entrant(f"{revision}:{system}", table, system)


def pair(one: Entrant, other: Entrant) -> tuple[Row, Row, McNemar]:
    """Compare two entrants, the second with the first.

    Raises:
        PipelineError: The two were tested on other utterances, labels or classes.
    """
    first, second = compared([one, other])
    if second.apart:
        lines = [f"{other.name} has {second.apart}", *_examples(one, other)]
        raise PipelineError(
            f"{one.name} and {other.name} were not tested on the same:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nOnly results on the same corpus, labels and splits can be compared in pairs."
        )
    together = (row.entrant.together for row in (first, second))
    return first, second, mcnemar(one.test_set.actual, *together)


def _examples(one: Entrant, other: Entrant) -> list[str]:
    """Lines that name some of the utterances in which the two differ."""
    if one.test_set.classes != other.test_set.classes:
        return []  # then numbers of classes mean something else
    here, there = facts(one.test_set), facts(other.test_set)
    groups = {
        f"of {one.name} alone": [u for u in here if u not in there],
        f"of {other.name} alone": [u for u in there if u not in here],
        "with another label or dialogue": [u for u in here if u in there and here[u] != there[u]],
    }
    return [
        f"{len(us)} utterances {how}: {', '.join(us[:SHOWN])}{', ...' if len(us) > SHOWN else ''}"
        for how, us in groups.items()
        if us
    ]


def show(corpus: str, one: Entrant, other: Entrant, console: Console | None = None) -> None:
    """Print a table of both sides and the outcome in words."""
    console = console or terminal()
    first, second, test = pair(one, other)
    dialogues = len(set(one.test_set.dialogues))
    title = f"{corpus}: {len(one.test_set.utterances)} test utterances in {dialogues} dialogues"
    # Names of experiments that differ in their last letters alone are not cut off.
    sides = [Column(_head(side), overflow="fold") for side in (one, other)]
    table = Table("percent", *sides, "difference", title=title)
    for name in OVERALL:
        cells = (first.figure(name), second.figure(name), str(second.differences[name]))
        table.add_row(name.replace("_", " "), *cells)
    console.print(table)
    console.print(sentence(first, second, test), soft_wrap=True)


def _head(side: Entrant) -> str:
    runs = len(side.predictions.seeds)
    return f"{side.name}\n{runs} run{'s' if runs > 1 else ''}"


def sentence(first: Row, second: Row, test: McNemar) -> str:
    """The outcome of a pair in words."""
    one, other = first.entrant.name, second.entrant.name
    gap, test_set = second.differences[WEIGHTED], first.entrant.test_set
    if not test.one and not test.other and not gap.low and not gap.high:
        return (
            f"Weighted F1 of {other} is the same as {one}: both are right in the same utterances, "
            "so nothing that differs between them changed what counts."
        )
    how = f"{abs(gap.value):.1f} points {'above' if gap.value > 0 else 'below'}"
    clear = "clear of 0: more than the choice of test dialogues explains"
    unclear = "not clear of 0: these test dialogues do not tell the two apart"
    dialogues = len(set(test_set.dialogues))
    words = (
        f"Weighted F1 of {other} is {how if gap.value else 'the same as'} {one}; the 95 % "
        f"interval of the difference over {dialogues} dialogues, {gap.low:+.1f} to "
        f"{gap.high:+.1f}, is {clear if gap.clear else unclear}. McNemar: {one} alone is right in "
        f"{test.one} of {len(test_set.utterances)} utterances, {other} alone in {test.other}, "
        f"p = {test.p:.2g}; it takes turns for independent."
    )
    return f"{words} {caution(dialogues)}".rstrip()
