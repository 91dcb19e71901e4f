"""The curves of a corpus as a page, as CSV and on the terminal."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.base.display import terminal, write_csv
from pipeline.base.files import write_text
from pipeline.corruption.curves import Curve, Point, Robustness
from pipeline.corruption.plot import draw
from pipeline.corruption.scoring import Score
from pipeline.evaluation.intervals import RESAMPLES

PAGES = Path("docs/robustness")
HEADS = (
    "modality",
    "corruption",
    "step",
    "masked",
    "weighted F1 [95 %]",
    "less clean [95 %]",
    "which is",
)


def command(corpus: str, quick: bool) -> str:
    """What a user types to have the page."""
    return f"python -m pipeline robustness {corpus}{' --quick' if quick else ''}"


def show(robustness: Robustness, console: Console | None = None) -> None:
    """Prints the table."""
    console = console or terminal()
    table = Table(
        title=f"{robustness.corpus}: {_tested(robustness)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for number, head in enumerate(("", *HEADS[-3:-1])):
        table.add_column(head, justify="right" if number else "left", no_wrap=number > 0)
    for curve in robustness.curves:
        for point in curve.points:
            score, difference = _score(point.score), str(point.difference)
            table.add_row(curve.corruption.title(point.level), score, difference)
        table.add_section()
    console.print(table)
    for line in _sentences(robustness):
        console.print(line, soft_wrap=True)


def write(robustness: Robustness, quick: bool) -> list[Path]:
    """Writes CORPUS.md, CORPUS.csv and CORPUS.png to docs/robustness, quick ones below it.

    Returns:
        Their paths.
    """
    folder = PAGES / "quick" if quick else PAGES
    page, table, picture = (folder / f"{robustness.corpus}.{kind}" for kind in ("md", "csv", "png"))
    draw(picture, robustness)
    write_csv(table, pd.DataFrame(list(_flat(robustness))), "%.2f")
    write_text(page, "\n".join(_page(robustness, quick)))
    return [page, table, picture]


def _page(robustness: Robustness, quick: bool) -> Iterator[str]:
    yield from (f"# Robustness: {robustness.corpus}", "")
    yield from ("```sh", command(robustness.corpus, quick), "```", "")
    yield (
        "Written by this command. The trained models are asked again about test utterances of "
        "which one modality is missing or made worse; nothing is trained anew, and train and "
        "validation splits are left alone. Epochs are those that validation chose."
    )
    yield from (
        "",
        f"{_tested(robustness)}.",
        "",
        *(f"- {line}" for line in _sentences(robustness)),
        "",
    )
    yield f"![weighted F1 by corruption and step]({robustness.corpus}.png)"
    yield from ("", f"| {' | '.join(HEADS)} |", "|---|---|---:|---:|---:|---:|---|")
    yield from (f"| {' | '.join(cells)} |" for cells in _rows(robustness))
    yield from ("", "What is done:", "")
    for curve in robustness.curves:
        corruption = curve.corruption
        yield f"- {corruption.modality} {corruption.name}: {corruption.about}."
    yield ""
    yield (
        "What a step takes away, all stronger steps take away too, and noise is the same at every "
        "step, only louder. *masked*: labelled test utterances without the modality, also "
        "those that lack it anyway and sounds without finite features. F1 in percent, mean ± "
        "sample standard deviation over seeds. Intervals hold 95 % of "
        f"{RESAMPLES:,} resamples of the test dialogues, those of differences on the same "
        "resamples; they know nothing of other train splits, nor that many steps are compared. A "
        "difference whose interval holds 0 is not clear."
    )
    yield ""


def _tested(robustness: Robustness) -> str:
    utterances = (
        f"{robustness.utterances} labelled test utterances in {robustness.dialogues} dialogues"
    )
    folds = "" if robustness.folds == 1 else f" of {robustness.folds} folds, pooled"
    seeds = ", ".join(map(str, robustness.seeds))
    return f"{utterances}{folds}; {'seed' if len(robustness.seeds) == 1 else 'seeds'} {seeds}"


def _sentences(robustness: Robustness) -> Iterator[str]:
    """What the table says, in words."""
    yield f"clean: {_score(robustness.clean)}; majority class: {robustness.majority:.1f}"
    for curve in robustness.curves:
        yield f"{curve.corruption.modality} {curve.corruption.name}: {_reading(curve)}"
    for modality in robustness.left_out:
        yield f"{modality}: not in the model, so left out"


def _reading(curve: Curve) -> str:
    worse = [f"{point.level:g}" for point in curve.points if point.difference.high < 0]
    last = curve.points[-1]
    end = f"{last.difference} at {curve.corruption.called(last.level)}"
    if not worse:
        return f"not clearly worse at any step; {end}"
    return f"clearly worse at {', '.join(worse)} {curve.corruption.unit}; {end}"


def _rows(robustness: Robustness) -> Iterator[list[str]]:
    for curve in robustness.curves:
        corruption = curve.corruption
        name = [corruption.modality, corruption.name]
        masked = str(robustness.masked[corruption.modality])
        yield [*name, "none", masked, _score(robustness.clean), "", ""]
        for point in curve.points:
            cells = [corruption.called(point.level), str(point.masked), _score(point.score)]
            yield [*name, *cells, str(point.difference), point.difference.word]


def _score(score: Score) -> str:
    spread = "" if score.std is None else f" ± {score.std:.1f}"
    return f"{score.value:.1f}{spread} [{score.low:.1f}, {score.high:.1f}]"


def _flat(robustness: Robustness) -> Iterator[dict[str, str | float | None]]:
    for curve in robustness.curves:
        yield _line(curve, robustness.clean, robustness.masked[curve.corruption.modality], None)
        for point in curve.points:
            yield _line(curve, point.score, point.masked, point)


def _line(
    curve: Curve, score: Score, masked: int, point: Point | None
) -> dict[str, str | float | None]:
    difference = point.difference if point else None
    return {
        "modality": curve.corruption.modality,
        "corruption": curve.corruption.name,
        "level": point.level if point else None,
        "unit": curve.corruption.unit,
        "masked": masked,
        "weighted_f1": score.value,
        "weighted_f1_std": score.std,
        "weighted_f1_low": score.low,
        "weighted_f1_high": score.high,
        "difference": difference.value if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
    }
