"""What a fine-tuning benchmark found, as a page and a CSV: `python -m benchmarks.finetune_table`.

All figures but those of the final setting are on validation. Differences are paired: the same
seeds, and the same resamples of whole dialogues.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.finetune_found import Results
from benchmarks.finetune_runs import Where, read
from pipeline.evaluation.counts import Score, confusions, f1, weighted_f1
from pipeline.evaluation.intervals import Resampled, drawn, resampled
from pipeline.evaluation.paired import Difference, difference
from pipeline.files import write_text
from pipeline.finetuning.scores import figures
from pipeline.manifest import Utterance
from pipeline.protocol import Protocol

RARE = ("fear", "disgust")
COMPARED = {"options": "chosen", "together": "chosen"}
PHASES = {
    "rate": "Learning rate",
    "context": "Context, at the best learning rate",
    "reading": "Speaker marks and pooling, with the context chosen by then",
    "options": "One option alone, on top of what was chosen",
    "together": "Options that helped, together",
    "final": "The final setting",
    "no context": "The final setting without context",
}


@dataclass(frozen=True)
class Truth:
    """What is right of a split.

    Attributes:
        classes: Names by class number.
        actual: [utterance] class numbers.
        clusters: [utterance] numbers of dialogues.
    """

    classes: tuple[str, ...]
    actual: np.ndarray
    clusters: np.ndarray

    def counts(self, predicted: np.ndarray) -> np.ndarray:
        """[seed, dialogue, actual, predicted] of [seed, utterance]."""
        return confusions(self.actual, predicted, self.clusters, len(self.classes))

    def score_of(self, name: str) -> Score:
        """F1 of one class."""
        number = self.classes.index(name)
        return lambda confusion: f1(confusion)[..., number]


def truth(utterances: Sequence[Utterance], protocol: Protocol, split: str) -> Truth:
    """Labels and dialogues of the utterances of a split that have words, in manifest order."""
    labels = {e.utterance: e.label for e in protocol.entries if e.split == split}
    # Utterances without words are no examples; all of test is predicted.
    mine = [u for u in utterances if u.utterance in labels and (u.text.strip() or split == "test")]
    place = {name: n for n, name in enumerate(dict.fromkeys(u.dialogue for u in mine))}
    return Truth(
        protocol.classes,
        np.array([labels[u.utterance] for u in mine]),
        np.array([place[u.dialogue] for u in mine]),
    )


@dataclass(frozen=True)
class Line:
    """A variant's figures on validation, in percent, and its differences from another one."""

    phase: str
    name: str
    seeds: tuple[int, ...]
    weighted_f1: float
    deviation: float
    macro_f1: float
    rare: tuple[float, ...]
    differences: tuple[Difference, ...]

    def cells(self) -> list[str]:
        """As a row of the page."""
        spread = f" ± {self.deviation:.2f}" if len(self.seeds) > 1 else ""
        return [
            self.name,
            str(len(self.seeds)),
            f"{self.weighted_f1:.2f}{spread}",
            f"{self.macro_f1:.2f}",
            *(f"{value:.1f}" for value in self.rare),
            *(f"{d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]" for d in self.differences),
        ]


class Reading:
    """A benchmark's results with what is right.

    Args:
        results: What was found.
        valid: Of the validation split.
    """

    def __init__(self, results: Results, valid: Truth) -> None:
        self.results, self.valid = results, valid
        self._weights = resampled(int(valid.clusters.max()) + 1)

    def runs(self, phase: str) -> dict[str, list[dict[str, Any]]]:
        """The runs of a phase by settings; of a name whose settings changed, the last ones."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in self.results.rows:
            if row.get("phase") == phase and "run" in row and "validation" in row:
                settings = row["run"].rpartition("|")[2]
                found.setdefault(row["name"], {}).setdefault(settings, []).append(row)
        return {name: list(by_settings.values())[-1] for name, by_settings in found.items()}

    def lines(self, phase: str) -> Iterator[Line]:
        """The variants of a phase, the best first."""
        runs = self.runs(phase)
        base = runs.get(COMPARED.get(phase, "")) or self.runs("options").get(
            COMPARED.get(phase, "")
        )
        found = [self._line(phase, name, rows, base) for name, rows in runs.items()]
        yield from sorted(found, key=lambda line: -line.weighted_f1)

    def _line(
        self,
        phase: str,
        name: str,
        rows: list[dict[str, Any]],
        base: list[dict[str, Any]] | None,
    ) -> Line:
        scores = [row["validation"]["weighted_f1"] for row in rows]
        return Line(
            phase=phase,
            name=name,
            seeds=tuple(row["seed"] for row in rows),
            weighted_f1=float(np.mean(scores)),
            deviation=float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
            macro_f1=float(np.mean([row["validation"]["macro_f1"] for row in rows])),
            rare=tuple(
                float(np.mean([row["validation"]["f1"][rare] for row in rows])) for rare in RARE
            ),
            differences=() if base is None or base == rows else self._differences(rows, base),
        )

    def _differences(
        self, rows: list[dict[str, Any]], base: list[dict[str, Any]]
    ) -> tuple[Difference, ...]:
        """In weighted F1 and in F1 of the rare classes, over the seeds that both have."""
        seeds = {row["seed"] for row in rows} & {row["seed"] for row in base}
        one, other = (
            self.valid.counts(
                np.stack(
                    [
                        self.results.arrays[f"{row['run']}|valid"].argmax(1)
                        for row in each
                        if row["seed"] in seeds
                    ]
                )
            )
            for each in (rows, base)
        )
        measures = [weighted_f1, *(self.valid.score_of(rare) for rare in RARE)]
        return tuple(difference(one, other, self._weights, score) for score in measures)


def page(reading: Reading, test: Truth) -> str:
    """The whole page in Markdown."""
    about = [row for row in reading.results.rows if "device" in row]
    lines = [
        "# Fine-tuning on real MELD text",
        "",
        "Written by `python -m benchmarks.finetune_table`; do not edit. Figures are on validation, "
        "in percent, unless a heading or row says otherwise: mean ± sample standard deviation over "
        "the seeds counted. Differences are from the row *chosen*, over the seeds that both have, "
        "so a row with fewer seeds can have the higher mean and a negative difference; with 95 % "
        "intervals over resamples of whole dialogues. *final* is what was chosen, with more seeds. "
        "The figures are those of the encoder's own head, not of MCN-CL.",
        "",
        f"On {about[0]['device']}, torch {about[0]['torch']}, {about[0]['precision']} (on a GPU "
        "float32 means TF32 products).",
    ]
    for phase, title in PHASES.items():
        found = list(reading.lines(phase))
        if found:
            lines += ["", f"## {title}", "", *_table(found)]
    final = [rows for name, rows in reading.runs("final").items()]
    if final:
        settings = {**final[0][0]["text"], **final[0][0]["finetune"]}
        lines += ["", f"Settings: `{json.dumps(settings)}`"]
        lines += ["", "## Test, of the final setting alone", ""]
        lines += _tested(reading, final[0], test)
    lines += _gap(reading)
    return "\n".join(lines) + "\n"


def _table(found: Sequence[Line]) -> Iterator[str]:
    compared = any(line.differences for line in found)
    head = ["", "seeds", "weighted F1", "macro F1", *RARE]
    if compared:
        head += ["less chosen: weighted F1", *RARE]
    yield _row(head)
    yield _row(["---", *["---:"] * (len(head) - 1)])
    for line in found:
        cells = line.cells()
        yield _row(cells + [""] * (len(head) - len(cells)))


def _tested(reading: Reading, rows: list[dict[str, Any]], test: Truth) -> Iterator[str]:
    """Selected by validation, with intervals; and the epochs that test would have chosen."""
    arrays = reading.results.arrays
    every = [arrays[f"{row['run']}|test"].astype(np.float32) for row in rows]
    chosen = np.stack(
        [found[row["epoch"] - 1].argmax(1) for row, found in zip(rows, every, strict=True)]
    )
    counts = test.counts(chosen)
    draws = Resampled(counts.sum(1), drawn(counts, resampled(counts.shape[1])))
    seeds = 100 * weighted_f1(counts.sum(1))
    interval = draws.interval(weighted_f1)
    best = [
        max(figures(test.actual.tolist(), epoch, test.classes)["weighted_f1"] for epoch in found)
        for found in every
    ]
    yield _row(["F1 on test, %", "mean of the seeds", "95 % by dialogue"])
    yield _row(["---", "---:", "---:"])
    for name, found in zip(test.classes, draws.by_class(f1), strict=True):
        yield _row([name, f"{found.value:.1f}", f"{found.low:.1f}-{found.high:.1f}"])
    mean, deviation = np.mean(seeds), np.std(seeds, ddof=1)
    cell = f"{mean:.2f} ± {deviation:.2f}"
    yield _row(["**weighted F1**", cell, f"{interval.low:.1f}-{interval.high:.1f}"])
    cell = f"{np.mean(best):.2f} ± {np.std(best, ddof=1):.2f}"
    yield _row(["weighted F1, epochs chosen on test", cell, ""])


def _gap(reading: Reading) -> Iterator[str]:
    found = [row for row in reading.results.rows if row.get("phase") == "gap"]
    if not found:
        return
    row = found[-1]
    yield from ("", "## Features of utterances that were seen in training", "")
    yield _row(["weighted F1, %, seed 1", ""])
    yield _row(["---", "---:"])
    words = {
        "seen": "train utterances, by the encoder that saw them",
        "unseen": f"train utterances, by {row['parts']} encoders that did not",
        "unseen_by_the_whole_head": "the same vectors, by the first encoder's head",
        "validation": "validation, by the first encoder",
        "probe_on_seen": "validation, by logistic regression on vectors of seen train utterances",
        "probe_on_unseen": "validation, by logistic regression on vectors of unseen ones",
    }
    for name, text in words.items():
        yield _row([text, f"{row[name]:.2f}"])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(reading: Reading) -> str:
    """Every variant as CSV."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["phase", "variant", "seeds", "weighted_f1", "std", "macro_f1", *RARE])
    for phase in PHASES:
        for line in reading.lines(phase):
            values = [line.weighted_f1, line.deviation, line.macro_f1, *line.rare]
            rounded = [round(value, 2) for value in values]
            rows.writerow([phase, line.name, len(line.seeds), *rounded])
    return file.getvalue()


def main(
    results: Annotated[Path, typer.Argument(help="Of benchmarks.finetune_meld.")],
    out: Annotated[Path, typer.Argument(help="NAME.md; NAME.csv is written beside it.")],
    folder: Annotated[Path, typer.Option(help="Of benchmarks.finetune_pack: the CSVs.")],
    dialogues: Annotated[int, typer.Option(help="As the benchmark had it.")] = 0,
) -> None:
    """Writes page and table."""
    utterances, protocol = read(Where(folder, "cpu", "float32", dialogues))
    reading = Reading(Results(results), truth(utterances, protocol, "valid"))
    write_text(out, page(reading, truth(utterances, protocol, "test")))
    write_text(out.with_suffix(".csv"), table(reading))


if __name__ == "__main__":
    typer.run(main)
