"""The page of a fine-tuning benchmark: paired differences on validation, test of the final one."""

import numpy as np
import pytest

from benchmarks.finetune_found import Results
from benchmarks.finetune_lines import Reading, Truth
from benchmarks.finetune_options import BASE, OPTIONS, Variant
from benchmarks.finetune_runs import Found, Job
from benchmarks.finetune_table import page, table
from pipeline.finetuning.scores import figures

CLASSES = ("neutral", "fear", "disgust")
ACTUAL = np.array([0, 0, 1, 2, 0, 1, 2, 0])
TRUTH = Truth(CLASSES, ACTUAL, np.array([0, 0, 0, 1, 1, 2, 2, 3]))


def add(results, phase, variant, seed, predicted, **arrays):
    job = Job(phase, variant, seed, test="test" in arrays)
    shares = np.eye(3, dtype=np.float32)[predicted]
    row = {"run": job.key, "phase": phase, "name": variant.name, "kind": variant.kind}
    row |= {"seed": seed, "epoch": 2, "text": {**BASE.text, **variant.text}}
    row["finetune"] = dict(variant.finetune)
    row["validation"] = figures(ACTUAL.tolist(), shares, CLASSES)
    results.add(job, Found(row, {"valid": shares, **arrays}))


@pytest.fixture
def reading(tmp_path):
    results = Results(tmp_path)
    results.write({"device": "none", "torch": "0", "precision": "float32"})
    chosen, option = Variant("chosen", "base"), OPTIONS[0].on(BASE)
    for seed in (1, 2):
        add(results, "options", chosen, seed, [0, 0, 0, 2, 0, 0, 2, 0])
        add(results, "options", option, seed, ACTUAL)
    add(results, "options", option, 3, ACTUAL)
    epochs = np.stack([np.eye(3)[ACTUAL], np.eye(3)[np.zeros(8, int)]])
    for seed in (1, 2):
        add(results, "final", Variant("final", "final"), seed, ACTUAL, test=epochs)
    return Reading(results, TRUTH)


def test_differences_are_paired_by_seed(reading):
    best, chosen = reading.lines("options", "3 turns before")
    assert (best.name, best.seeds, chosen.name) == ("sentiment 0.3", (1, 2, 3), "chosen")
    weighted, fear, disgust = best.differences
    # Without fear: neutral has F1 8/10, fear 0, disgust 1; supports 4, 2, 2.
    assert weighted.value == pytest.approx(100 - 100 * (4 * 0.8 + 2) / 8)
    assert fear.value == pytest.approx(100) and disgust.value == 0
    assert weighted.low <= weighted.value <= weighted.high
    assert not chosen.differences


def test_the_page_tells_selected_and_best_test_epochs_apart(reading):
    text = page(reading, TRUTH)
    # The second epoch, which validation chose, says neutral of all: F1 2/3, weighted 1/3.
    assert "| **weighted F1** | 33.33 ± 0.00 |" in text
    assert "| weighted F1, epochs chosen on test | 100.00 ± 0.00 |" in text
    assert "| sentiment 0.3 | 3 | 100.00 ± 0.00 |" in text


def test_the_table_has_every_variant(reading):
    lines = table(reading).splitlines()
    assert lines[0].startswith("phase,context,variant,seeds,weighted_f1")
    assert [line.split(",")[2] for line in lines[1:]] == ["sentiment 0.3", "chosen", "final"]


def test_what_was_tried_on_another_context_is_compared_there(reading):
    """A second call has more seeds and may choose more turns; its runs have their own base."""
    on = Variant("", "", {"context_turns": 5})
    without_fear = [0, 0, 0, 2, 0, 0, 2, 0]
    add(reading.results, "options", Variant("chosen", "base", on.text), 1, ACTUAL)
    add(reading.results, "options", OPTIONS[0].on(on), 1, without_fear)
    assert reading.contexts("options") == ["3 turns before", "5 turns before"]
    first = next(reading.lines("options", "3 turns before"))
    assert first.name == "sentiment 0.3"
    chosen, option = reading.lines("options", "5 turns before")
    assert (chosen.name, option.name) == ("chosen", "sentiment 0.3")
    assert option.differences[1].value == pytest.approx(-100), "of fear"
    text = page(reading, TRUTH)
    assert "## One option alone, on top of what was chosen, with 5 turns before" in text
