"""From predictions in experiments to rows and sentences, with planted predictions."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from pipeline.evaluation.scores import score
from pipeline.experiments import tables
from pipeline.experiments.results import Comparison, compare
from pipeline.records.predictions import TestSet
from tests.experiments import planted
from tests.experiments.planted import CLASSES, DIALOGUES, TURNS, Files, outcome, plan, reader, split

# How often each variant is right on test, by seed; what its model sees.
SKILLS = {"full": (0.9, 0.8), "text": (0.6, 0.6), "audio": (0.35, 0.3), "both": (0.85, 0.85)}
SEEN = {
    "full": ("text", "audio", "visual"),
    "text": ("text",),
    "audio": ("audio",),
    "both": ("text", "audio"),
}


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
    return compare(plan(list(SKILLS)), "x", reader(files))


def test_rows_hold_the_figures_of_sklearn(found: Comparison) -> None:
    test_set = split()
    for row in found.rows[: len(SKILLS)]:
        says = planted.guesses(test_set, SKILLS[row.name], sum(f"r-{row.name}".encode()))
        scores = [score(test_set.actual, run, CLASSES) for run in says]
        weighted = [s.weighted_f1 for s in scores]
        assert row.by_seed == pytest.approx(weighted)
        assert row.weighted_f1.value == pytest.approx(np.mean(weighted))
        assert row.weighted_f1.low < row.weighted_f1.value < row.weighted_f1.high
        assert row.std == pytest.approx(np.std(weighted, ddof=1))
        assert row.macro_f1 == pytest.approx(np.mean([s.macro_f1 for s in scores]))


def test_baselines_stand_below_the_variants_and_are_paired_too(found: Comparison) -> None:
    names = [row.name for row in found.rows]
    assert names == ["full", "text", "audio", "both", "majority class", "logistic regression"]
    assert found.variants == len(SKILLS)
    *_, majority, linear = found.rows
    actual = split().actual
    expected = score(actual, np.zeros_like(actual), CLASSES)
    assert majority.weighted_f1.value == pytest.approx(expected.weighted_f1)
    assert majority.std is None and majority.to_reference is not None
    assert linear.to_reference is not None and linear.to_reference.high < 0
    gap = linear.weighted_f1.value - found.rows[0].weighted_f1.value
    assert linear.to_reference.value == pytest.approx(gap)


def test_planted_differences_are_found(found: Comparison) -> None:
    by_name = {row.name: row.to_reference for row in found.rows}
    assert by_name["full"] is None
    text, both = by_name["text"], by_name["both"]
    assert text is not None and text.high < 0 and text.low < text.value < text.high
    assert both is not None and not both.clear


def test_single_modalities_are_those_with_one_store(found: Comparison) -> None:
    assert list(found.singles) == ["text", "audio"], "the best first"
    assert found.lead is not None and found.lead.low > 0
    assert found.singles["text"].low > 0
    assert found.outcome.learned == {"train": 120, "valid": 30}
    assert len(found.outcome.predictions.test_set.utterances) == DIALOGUES * TURNS


def test_the_sentence(found: Comparison) -> None:
    (said,) = tables.sentences(found)
    lead, text = found.lead, found.singles["text"]
    assert lead is not None
    assert said.startswith(
        f"Best single modality: text; full is better, +{lead.value:.1f} [+{lead.low:.1f}, "
    )
    assert f"less the majority class: text +{text.value:.1f} [+{text.low:.1f}" in said


def test_a_single_modality_that_does_not_beat_the_majority_class_is_said_so(files: Files) -> None:
    chance = compare(plan(["text", "audio"]), "x", reader(files))
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
    assert tables.sentences(compare(plan(variants), "x", reader(files))) == []


def test_the_order_of_utterances_does_not_matter(files: Files, found: Comparison) -> None:
    files |= outcome("r-text", SKILLS["text"], SEEN["text"], linear=None, shuffled=True)
    again = compare(plan(list(SKILLS)), "x", reader(files))
    assert tables.section(again) == tables.section(found)


@pytest.mark.parametrize(("linear", "shown"), [(0.7, []), (0.5, ["logistic regression, both"])])
def test_a_variants_own_baseline_is_shown_where_its_features_are_others(
    files: Files, linear: float, shown: list[str]
) -> None:
    files |= outcome("r-both", SKILLS["both"], SEEN["both"], linear=linear)
    found = compare(plan(["full", "both"]), "x", reader(files))
    beside = found.rows[found.variants :]
    assert [row.name for row in beside] == ["majority class", "logistic regression", *shown]
    for row in beside[2:]:
        actual, says = split().actual, planted.guesses(split(), [linear], 7)
        assert row.weighted_f1.value == pytest.approx(score(actual, says[0], CLASSES).weighted_f1)
        assert row.to_reference is not None, "it is paired as the others are"


def test_names_are_not_cut_off_on_a_terminal(files: Files) -> None:
    name = "a_variant_whose_name_says_a_lot"
    files |= outcome(f"r-{name}", (0.5,), SEEN["full"])
    file = io.StringIO()
    tables.show([compare(plan(["full", name]), "x", reader(files))], Console(file=file, width=80))
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
    found = compare(plan(["full", "both", "other"]), "x", reader(files))
    assert [row.name for row in found.rows] == [
        *("full", "both", "other", "majority class", "logistic regression"),
        *("majority class, other", "logistic regression, other"),
    ]
    row = found.rows[2]
    assert row.to_reference is None and row.apart == why
    assert row.test_set.utterances == other.utterances
    assert row.weighted_f1.low < row.weighted_f1.value < row.weighted_f1.high
    says = planted.guesses(other, (0.6, 0.5), sum(b"r-other"))
    expected = [score(other.actual, run, other.classes).weighted_f1 for run in says]
    assert row.weighted_f1.value == pytest.approx(np.mean(expected))
    assert found.rows[1].to_reference is not None, "the others are paired as ever"
    assert all(row.to_reference is None for row in found.rows[-2:])
    (said,) = tables.sentences(found)
    count = f"{len(other.utterances)} test utterances in {len(set(other.dialogues))} dialogues"
    assert f"none to full is given of other: {count}, {why}." in said
    assert "| other | " in tables.section(found) and "|  | not paired |" in tables.section(found)


def test_without_the_majority_class_nothing_is_compared_with_it(files: Files) -> None:
    """A user may leave it out of CORPUS.evaluate.baselines."""
    for name in ("r-full", "r-text"):
        files |= outcome(name, (0.5,), SEEN[name[2:]], baselines=False)
    found = compare(plan(["full", "text"]), "x", reader(files))
    assert [row.name for row in found.rows] == ["full", "text"] and not found.singles
    assert tables.sentences(found) == []
