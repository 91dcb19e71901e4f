"""From predictions in experiments to rows and sentences, with planted predictions."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.evaluation.scores import score
from pipeline.experiments import tables
from pipeline.experiments.outcomes import Comparison, compare
from pipeline.experiments.recipe import Variants
from pipeline.records.predictions import TestSet
from tests.experiments import planted
from tests.experiments.planted import (
    BESIDE,
    CLASSES,
    DIALOGUES,
    SYSTEM,
    TURNS,
    Files,
    outcome,
    plan,
    reader,
    split,
)

# How often each variant is right on test, by seed; what its model sees.
SKILLS = {"full": (0.9, 0.8), "text": (0.6, 0.6), "audio": (0.35, 0.3), "both": (0.85, 0.85)}
SEEN = {
    "full": ("text", "audio", "visual"),
    "text": ("text",),
    "audio": ("audio",),
    "both": ("text", "audio"),
}


def compared(variants: list[str], files: Files, beside: tuple[str, ...] = BESIDE) -> Comparison:
    recipe = Variants(
        about="Why.",
        corpora=("x",),
        systems=(SYSTEM,),
        beside=beside,
        variants=dict.fromkeys(variants, ()),
        reference=variants[0],
    )
    return compare(recipe, plan(variants), "x", SYSTEM, reader(files))


def cells(found: Comparison) -> list[Sequence[str]]:
    return list(tables.rows_of(found)[1])


@pytest.fixture
def files() -> Files:
    """Of each experiment; the reference alone has fitted the linear baseline."""
    found: Files = {}
    for variant, skills in SKILLS.items():
        linear = 0.7 if variant == "full" else None
        found |= outcome(f"r-{variant}", skills, SEEN[variant], linear=linear)
    return found


@pytest.fixture
def found(files: Files) -> Comparison:
    return compared(list(SKILLS), files)


def test_rows_hold_the_figures_of_sklearn(found: Comparison) -> None:
    test_set = split()
    for row in found.rows[: len(SKILLS)]:
        name, own = row.entrant.name, row.figures["weighted_f1"]
        says = planted.guesses(test_set, SKILLS[name], sum(f"r-{name}".encode()))
        scores = [score(test_set.actual, run, CLASSES) for run in says]
        weighted = [s.weighted_f1 for s in scores]
        assert row.by_seed["weighted_f1"] == pytest.approx(weighted)
        assert own.value == pytest.approx(np.mean(weighted)) and own.low < own.value < own.high
        assert row.std() == pytest.approx(np.std(weighted, ddof=1))
        assert row.figures["macro_f1"].value == pytest.approx(np.mean([s.macro_f1 for s in scores]))


def test_rare_classes_have_a_table_of_their_own(found: Comparison) -> None:
    test_set = split()
    counts = np.bincount(test_set.actual).tolist()
    assert counts[0] >= 100 > max(counts[1:])
    heads, rows = tables.rare_of(found)
    assert heads == ["", f"b ({counts[1]}) [95 %]", f"c ({counts[2]}) [95 %]"]
    first, *others = rows
    says = planted.guesses(test_set, SKILLS["full"], sum(b"r-full"))
    means = [np.mean([score(test_set.actual, run, CLASSES).f1[c] for run in says]) for c in "bc"]
    assert first[0] == "full" and len(others) == len(found.rows) - 1
    for cell, mean in zip(first[1:], means, strict=True):
        value, low, high = (float(part.strip("[],")) for part in cell.split())
        assert value == pytest.approx(mean, abs=0.051) and low < value < high


def test_baselines_stand_below_the_variants_and_are_paired_too(found: Comparison) -> None:
    names = [row.entrant.name for row in found.rows]
    assert names == ["full", "text", "audio", "both", "majority class", "logistic regression"]
    assert found.variants == len(SKILLS)
    *_, majority, linear = found.rows
    actual = split().actual
    expected = score(actual, np.zeros_like(actual), CLASSES)
    assert majority.figures["weighted_f1"].value == pytest.approx(expected.weighted_f1)
    assert majority.std() is None and "weighted_f1" in majority.differences
    assert "weighted_f1" in linear.differences and linear.differences["weighted_f1"].high < 0
    gap = linear.figures["weighted_f1"].value - found.rows[0].figures["weighted_f1"].value
    assert linear.differences["weighted_f1"].value == pytest.approx(gap)


def test_planted_differences_are_found(found: Comparison) -> None:
    by_name = {row.entrant.name: row.differences.get("weighted_f1") for row in found.rows}
    assert by_name["full"] is None
    text, both = by_name["text"], by_name["both"]
    assert text is not None and text.high < 0 and text.low < text.value < text.high
    assert both is not None and not both.clear


def test_single_modalities_are_those_with_one_store(found: Comparison) -> None:
    assert list(found.singles) == ["text", "audio"], "the best first"
    assert found.lead is not None and found.lead.low > 0
    assert found.singles["text"].low > 0
    assert found.learnt == {"train": 120, "valid": 30}
    assert len(found.rows[0].entrant.test_set.utterances) == DIALOGUES * TURNS


def test_the_sentence(found: Comparison) -> None:
    (said,) = tables.sentences(found)
    lead, text = found.lead, found.singles["text"]
    assert lead is not None
    assert said.startswith(
        f"Best single modality: text; full is better, +{lead.value:.1f} [+{lead.low:.1f}, "
    )
    assert f"less majority class: text +{text.value:.1f} [+{text.low:.1f}" in said


def test_a_single_modality_that_does_not_beat_the_majority_class_is_said_so(files: Files) -> None:
    chance = compared(["text", "audio"], files)
    assert chance.lead is None, "the reference is the best single one itself"
    weak = {**chance.singles, "audio": chance.singles["audio"].__class__(1.0, -2.0, 4.0)}
    (said,) = tables.sentences(replace(chance, singles=weak))
    assert said.startswith("Best single modality: text. Each")
    assert said.endswith("audio +1.0 [-2.0, +4.0] (does not beat it).")


@pytest.mark.parametrize("variants", [["full", "both"], ["text", "other"]])
def test_where_modalities_are_not_compared_there_is_no_sentence(
    files: Files, variants: list[str]
) -> None:
    files |= outcome("r-other", (0.5,), SEEN["text"])
    assert tables.sentences(compared(variants, files)) == []


def test_the_order_of_utterances_does_not_matter(files: Files, found: Comparison) -> None:
    files |= outcome("r-text", SKILLS["text"], SEEN["text"], linear=None, shuffled=True)
    again = compared(list(SKILLS), files)
    assert cells(again) == cells(found) and tables.sentences(again) == tables.sentences(found)


@pytest.mark.parametrize(("linear", "shown"), [(0.7, []), (0.5, ["logistic regression, both"])])
def test_a_variants_own_baseline_is_shown_where_its_features_are_others(
    files: Files, linear: float, shown: list[str]
) -> None:
    files |= outcome("r-both", SKILLS["both"], SEEN["both"], linear=linear)
    found = compared(["full", "both"], files)
    beside = found.rows[found.variants :]
    assert [row.entrant.name for row in beside] == ["majority class", "logistic regression", *shown]
    for row in beside[2:]:
        actual, says = split().actual, planted.guesses(split(), [linear], 7)
        assert row.figures["weighted_f1"].value == pytest.approx(
            score(actual, says[0], CLASSES).weighted_f1
        )
        assert "weighted_f1" in row.differences, "it is paired as the others are"


def test_names_are_not_cut_off_on_a_terminal(files: Files) -> None:
    name = "a_variant_whose_name_says_a_lot"
    files |= outcome(f"r-{name}", (0.5,), SEEN["full"])
    file = io.StringIO()
    tables.show([compared(["full", name], files)], Console(file=file, width=80))
    firsts = [line.split("│")[1].strip() for line in file.getvalue().splitlines() if "│" in line]
    assert name in "".join(firsts) and "…" not in file.getvalue()


def relabelled(test_set: TestSet) -> TestSet:
    return replace(
        test_set, actual=(test_set.actual + np.eye(len(test_set.actual), dtype=int)[0]) % 3
    )


def renamed(test_set: TestSet) -> TestSet:
    return replace(test_set, utterances=("new", *test_set.utterances[1:]))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (split(("a", "b"), 30), "other classes (a, b)"),
        (split(dialogues=30), "other utterances (180 are in both)"),
        (renamed(split()), "other utterances (239 are in both)"),
        (relabelled(split()), "other labels or dialogues of 1 utterances"),
    ],
)
def test_what_was_tested_otherwise_has_its_own_figures_and_no_difference(
    files: Files, other: TestSet, why: str
) -> None:
    files |= outcome("r-other", (0.6, 0.5), SEEN["full"], other)
    found = compared(["full", "both", "other"], files)
    assert [row.entrant.name for row in found.rows] == [
        *("full", "both", "other", "majority class", "logistic regression"),
        *("majority class, other", "logistic regression, other"),
    ]
    row = found.rows[2]
    assert not row.differences and row.apart == why
    assert row.entrant.test_set.utterances == other.utterances
    own = row.figures["weighted_f1"]
    assert own.low < own.value < own.high
    says = planted.guesses(other, (0.6, 0.5), sum(b"r-other"))
    expected = [score(other.actual, run, other.classes).weighted_f1 for run in says]
    assert row.figures["weighted_f1"].value == pytest.approx(np.mean(expected))
    assert "weighted_f1" in found.rows[1].differences, "the others are paired as ever"
    assert all(not row.differences for row in found.rows[-2:])
    (said,) = tables.sentences(found)
    count = f"{len(other.utterances)} test utterances in {len(set(other.dialogues))} dialogues"
    assert f"none to full is given of other: {count}, {why}." in said
    assert cells(found)[2][0] == "other" and cells(found)[2][-2:] == ["", "not paired"]


def test_without_systems_beside_them_nothing_is_compared_with_those(files: Files) -> None:
    found = compared(["full", "text"], files, beside=())
    assert [row.entrant.name for row in found.rows] == ["full", "text"] and not found.singles
    assert tables.sentences(found) == []


def test_a_system_that_is_left_out_is_told(files: Files) -> None:
    files["r-text", str(paths.predictions("x", SYSTEM))] = files[
        "r-text", str(paths.predictions("x", "logistic_regression"))
    ]
    with pytest.raises(PipelineError, match="text has no predictions: the table is empty"):
        compared(["full", "text"], files)


def test_of_several_systems_each_has_its_own_table(files: Files) -> None:
    recipe = Variants(
        about="Why.",
        corpora=("x",),
        systems=(SYSTEM, "logistic_regression"),
        variants=dict.fromkeys(("full", "other"), ()),
        reference="full",
    )
    files |= outcome("r-other", (0.5,), linear=0.6)
    params = {"x": {name: {"modalities": ["text"]} for name in recipe.systems}}
    for name in ("r-full", "r-other"):
        files[name, "params.yaml"] = json.dumps(params).encode()
    names = plan(["full", "other"])
    found = compare(recipe, names, "x", "logistic_regression", reader(files))
    assert found.name == "x, logistic regression" and len(found.rows) == 2
    says = planted.guesses(split(), [0.6], 7)[0]
    assert found.rows[1].figures["weighted_f1"].value == pytest.approx(
        score(split().actual, says, CLASSES).weighted_f1
    )
