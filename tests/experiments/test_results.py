"""From predictions in experiments to rows, sentences and files, with planted predictions."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pipeline import paths
from pipeline.errors import PipelineError
from pipeline.evaluation.evaluate import Run
from pipeline.evaluation.results import write_predictions
from pipeline.evaluation.scores import score
from pipeline.experiments import report
from pipeline.experiments.kept import Reader
from pipeline.experiments.recipe import Recipe
from pipeline.experiments.results import Comparison, compare
from pipeline.protocol import Entry, Protocol, write_protocol
from tests.experiments.conftest import plan

CLASSES = ("a", "b", "c")
DIALOGUES, TURNS = 40, 6
# How often each variant is right on test, by seed; what its model sees.
SKILLS = {"full": (0.9, 0.8), "text": (0.6, 0.6), "audio": (0.35, 0.3), "both": (0.85, 0.85)}
SEEN = {"full": "tav", "text": "t", "audio": "a", "both": "ta"}
MODALITIES = {"t": "text", "a": "audio", "v": "visual"}
LINEAR = {"logistic_regression": {"weighted_f1": 71.25, "macro_f1": 66.5}}


def protocol() -> Protocol:
    """Train, validation and test, the first class twice as common; one test turn is unlabelled."""
    generator = np.random.default_rng(0)
    entries = [
        Entry(0, split, f"{split}{d}", f"{split}{d}_{t}", "s", int(generator.choice([0, 0, 1, 2])))
        for split, dialogues in (("train", 20), ("valid", 5), ("test", DIALOGUES))
        for d in range(dialogues)
        for t in range(TURNS)
    ]
    context = Entry(0, "test", "test0", "test0_context", "s", None)
    return Protocol(CLASSES, [*entries, context])


def runs(variant: str, labelled: list[Entry]) -> list[Run]:
    """Runs with seeds 1 and 2: right as often as planted, else any class."""
    found = []
    actual = np.array([entry.label for entry in labelled])
    for seed, skill in enumerate(SKILLS[variant], start=1):
        generator = np.random.default_rng([seed, *variant.encode()])
        wrong = generator.integers(3, size=len(actual))
        says = np.where(generator.random(len(actual)) < skill, actual, wrong)
        found.append(Run(seed, [e.utterance for e in labelled], actual, np.eye(3)[says]))
    return found


@pytest.fixture
def kept(tmp_path: Path) -> dict[tuple[str, str], bytes]:
    """The files of each experiment by its name and their path."""
    table = protocol()
    labelled = [e for e in table.entries if e.split == "test" and e.label is not None]
    write_protocol(tmp_path / "protocol", table)
    files = {}
    for variant in SKILLS:
        write_predictions(tmp_path / "predictions", runs(variant, labelled), CLASSES)
        features = {MODALITIES[letter]: {} for letter in SEEN[variant]}
        linear = LINEAR if variant == "full" else {}
        contents: Mapping[Path, bytes] = {
            paths.protocol("x"): (tmp_path / "protocol").read_bytes(),
            paths.predictions("x"): (tmp_path / "predictions").read_bytes(),
            paths.metrics("x", "run.json"): json.dumps({"features": features}).encode(),
            paths.metrics("x", "metrics.json"): json.dumps({"baselines": linear}).encode(),
        }
        files |= {(f"r-{variant}", str(path)): content for path, content in contents.items()}
    return files


def reader(kept: Mapping[tuple[str, str], bytes]) -> Reader:
    return lambda name, path: kept[name, str(path)]


@pytest.fixture
def found(kept: dict[tuple[str, str], bytes]) -> Comparison:
    return compare(plan(list(SKILLS)), "x", reader(kept))


def test_rows_hold_the_figures_of_evaluate(found: Comparison) -> None:
    labelled = [e for e in protocol().entries if e.split == "test" and e.label is not None]
    for row in found.rows[: len(SKILLS)]:
        scores = [run.scores(CLASSES) for run in runs(row.name, labelled)]
        weighted = [s.weighted_f1 for s in scores]
        assert row.weighted_f1 == pytest.approx(np.mean(weighted))
        assert row.weighted_f1_std == pytest.approx(np.std(weighted, ddof=1))
        assert row.macro_f1 == pytest.approx(np.mean([s.macro_f1 for s in scores]))


def test_baselines_stand_below_the_variants(found: Comparison) -> None:
    names = [row.name for row in found.rows]
    assert names == ["full", "text", "audio", "both", "majority class", "logistic regression"]
    *_, majority, linear = found.rows
    actual = np.array(
        [e.label for e in protocol().entries if e.split == "test" and e.label is not None]
    )
    expected = score(actual, np.zeros_like(actual), CLASSES)
    assert majority.weighted_f1 == pytest.approx(expected.weighted_f1)
    assert majority.weighted_f1_std is None and majority.to_reference.clear  # type: ignore[union-attr]
    assert (linear.weighted_f1, linear.macro_f1, linear.to_reference) == (71.25, 66.5, None)


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
    assert found.truth.learned == {"train": 120, "valid": 30} and found.truth.folds == 1
    assert len(found.truth.utterances) == DIALOGUES * TURNS and tuple(found.seeds) == (1, 2)


def test_the_sentence(found: Comparison) -> None:
    said = report.said(found)
    lead, text = found.lead, found.singles["text"]
    assert lead is not None
    assert said.startswith(
        f"Best single modality: text; full is better, +{lead.value:.1f} [+{lead.low:.1f}, "
    )
    assert f"less the majority class: text +{text.value:.1f} [+{text.low:.1f}" in said


def test_a_single_modality_that_does_not_beat_the_majority_class_is_said_so(
    kept: dict[tuple[str, str], bytes],
) -> None:
    kept["r-text", str(paths.predictions("x"))] = kept["r-full", str(paths.predictions("x"))]
    chance = compare(plan(["text", "audio"]), "x", reader(kept))
    assert chance.lead is None, "the reference is the best single one itself"
    weak = {**chance.singles, "audio": chance.singles["audio"].__class__(1.0, -2.0, 4.0)}
    said = report.said(Comparison(**{**vars(chance), "singles": weak}))
    assert said.startswith("Best single modality: text. Each")
    assert said.endswith("audio +1.0 [-2.0, +4.0] (does not beat it).")


@pytest.mark.parametrize("variants", [["full", "both"], ["text", "other"]])
def test_where_modalities_are_not_compared_there_is_no_sentence(
    kept: dict[tuple[str, str], bytes], variants: list[str]
) -> None:
    kept |= {("r-other", path): kept[name, path] for name, path in kept if name == "r-text"}
    assert report.said(compare(plan(variants), "x", reader(kept))) == ""


@pytest.mark.parametrize("column", ["actual", "utterance"])
def test_a_variant_tested_on_something_else_is_refused(
    kept: dict[tuple[str, str], bytes], tmp_path: Path, column: str
) -> None:
    labelled = [e for e in protocol().entries if e.split == "test" and e.label is not None]
    first = labelled[0]
    other = {"actual": {"label": ((first.label or 0) + 1) % 3}, "utterance": {"utterance": "x"}}
    odd = [Entry(**{**vars(first), **other[column]}), *labelled[1:]]
    write_predictions(tmp_path / "odd", runs("text", odd), CLASSES)
    kept["r-text", str(paths.predictions("x"))] = (tmp_path / "odd").read_bytes()
    with pytest.raises(PipelineError, match="r-text was tested on other utterances, labels or"):
        compare(plan(["full", "text"]), "x", reader(kept))


def test_what_is_printed_and_written(found: Comparison, workspace: Path) -> None:
    recipe = Recipe(
        about="Why.",
        corpora=("x",),
        changes=("train.CORPUS.workers=1",),
        others=("train.CORPUS.epochs=4",),
        variants={"full": (), "text": ("model.CORPUS.modalities=[text]",)},
        reference="full",
    )
    console = Console(record=True, width=120, file=(workspace / "out").open("w"))
    report.show([found], console)
    printed = console.export_text()
    assert "x: 240 test utterances in 40 dialogues" in printed and report.said(found) in printed
    page, table = report.write("r", recipe, [found])
    text = page.read_text()
    for said in (
        "python -m pipeline experiment r\n",
        "- `train.CORPUS.workers=1`\n- but for full: `train.CORPUS.epochs=4`\n",
        "| text | `model.CORPUS.modalities=[text]` |\n",
        "120 train, 30 validation and 240 test utterances in 40 dialogues, all labelled; seeds 1, ",
        "| logistic regression | 71.2 | 66.5 |  |  |\n",
        report.said(found),
    ):
        assert said in text, text
    rows = pd.read_csv(table)
    assert list(rows["variant"]) == [row.name for row in found.rows]
    assert rows["difference"].isna().tolist() == [True, False, False, False, False, True]
    before = [page.read_bytes(), table.read_bytes()]
    report.write("r", recipe, [found])
    assert [page.read_bytes(), table.read_bytes()] == before, "the same results, the same bytes"
