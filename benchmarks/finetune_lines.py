"""What a fine-tuning benchmark found, variant by variant: means over seeds, paired differences.

All figures are on validation. Differences are paired: the same seeds, and the same resamples of
whole dialogues.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.finetune_found import Results
from benchmarks.finetune_options import NO_CONTEXT, context_name
from pipeline.evaluation.intervals import Difference, difference, resampled
from pipeline.evaluation.scores import Score, confusions, f1, weighted_f1
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import Protocol

RARE = ("fear", "disgust")
ON_A_CONTEXT = ("reading", "options", "together")  # phases on top of the context chosen before


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


def measures(classes: Sequence[str]) -> list[Score]:
    """Weighted F1, and F1 of the rare classes."""

    def of_class(number: int) -> Score:
        return lambda confusion: f1(confusion)[..., number]

    return [weighted_f1, *(of_class(classes.index(rare)) for rare in RARE)]


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
            *map(str, self.differences),
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

    def contexts(self, phase: str) -> list[str]:
        """What a phase was tried on, in order; one "" where it chooses the context itself."""
        return list(dict.fromkeys(self._context(row) for row in self._rows(phase)))

    def runs(self, phase: str, context: str = "") -> dict[str, list[dict[str, Any]]]:
        """The runs of a phase on a context, by name; of one whose settings changed, the last."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for row in self._rows(phase):
            if self._context(row) == context:
                settings = row["run"].rpartition("|")[2]
                found.setdefault(row["name"], {}).setdefault(settings, []).append(row)
        return {name: list(by_settings.values())[-1] for name, by_settings in found.items()}

    def base(self, phase: str, context: str) -> tuple[str, str]:
        """The phase and the name of what a phase's variants are compared with."""
        return {
            "context": ("context", context_name(0)),
            "reading": ("context", context),
            "options": ("options", "chosen"),
            "together": ("options", "chosen"),
            "final": ("no context", NO_CONTEXT.name),
        }.get(phase, ("", ""))

    def lines(self, phase: str, context: str = "") -> Iterator[Line]:
        """The variants of a phase on a context, the best first."""
        runs = self.runs(phase, context)
        where, name = self.base(phase, context)
        base = self.runs(where, context if where in ON_A_CONTEXT else "").get(name)
        found = [self._line(name, rows, base) for name, rows in runs.items()]
        yield from sorted(found, key=lambda line: -line.weighted_f1)

    def _rows(self, phase: str) -> Iterator[dict[str, Any]]:
        for row in self.results.rows:
            if row.get("phase") == phase and "run" in row and "validation" in row:
                yield row

    def _context(self, row: dict[str, Any]) -> str:
        text = row["text"]
        if row["phase"] not in ON_A_CONTEXT:
            return ""
        return context_name(text["context_turns"], text["context_turns_after"])

    def _line(
        self, name: str, rows: list[dict[str, Any]], base: list[dict[str, Any]] | None
    ) -> Line:
        scores = [row["validation"]["weighted_f1"] for row in rows]
        return Line(
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
        scores = measures(self.valid.classes)
        return tuple(difference(one, other, self._weights, score) for score in scores)
