"""The fine-tuning benchmark: validation alone chooses, and what was done is not done again."""

from dataclasses import replace

import numpy as np

from benchmarks.finetune_found import Results
from benchmarks.finetune_memory import SHAPES, bytes_of
from benchmarks.finetune_options import BASE, OPTIONS, SEEDS, Variant, plan
from benchmarks.finetune_runs import Found, Job, Where, run, task_for
from pipeline.features.text.settings import TextSettings
from pipeline.finetuning.settings import FinetuneSettings
from tests.finetuning.tiny import pretrained

GAINS = {
    ("finetune", "learning_rate", 4e-4): 2.0,
    ("text", "context_turns", 5): 1.0,
    ("text", "speaker_marks", "names"): -1.0,
    ("finetune", "sentiment", 0.3): 0.5,
    ("finetune", "sentiment", 1.0): 0.7,
    ("finetune", "ema", 0.99): 0.2,
    ("finetune", "label_smoothing", 0.1): -0.1,
}


class Made:
    """Scores that are sums of what each setting is worth."""

    def __init__(self) -> None:
        self.asked: list[Variant] = []

    def validation(self, variant):
        self.asked.append(variant)
        values = {"text": variant.text, "finetune": variant.finetune}
        found = [g for (s, key, value), g in GAINS.items() if values[s].get(key) == value]
        return dict.fromkeys(SEEDS, 50 + sum(found))

    def final(self):
        return None


def test_each_phase_goes_on_from_the_best_of_the_one_before():
    phases = {phase.name: phase for phase in plan(Made())}
    assert list(phases)[-2:] == ["final", "no context"]
    for variant in phases["options"].variants:
        assert variant.text["context_turns"] == 5 and variant.text["speaker_marks"] == "none"
        if variant.kind != "lora":
            assert variant.finetune["learning_rate"] == 4e-4
    (together,) = phases["together"].variants
    assert together.name == "sentiment 1 + running mean of weights 0.99"
    (final,) = phases["final"].variants
    assert (final.finetune["sentiment"], final.finetune["ema"]) == (1.0, 0.99)
    (alone,) = phases["no context"].variants
    assert alone.finetune == final.finetune and alone.text["context_turns"] == 0


def test_variants_are_compared_over_the_seeds_that_all_have():
    """Where time was up, some have a seed more."""
    made = Made()
    values = made.validation

    def fewer(variant):
        found = values(variant)
        if variant.finetune.get("learning_rate") == 5e-5:
            found = {1: 49, 2: 99}
        elif variant.finetune.get("learning_rate") == 1e-4:
            found = {}
        else:
            found.pop(2)
        return found

    made.validation = fewer
    phases = {phase.name: phase for phase in plan(made)}
    assert phases["options"].variants[0].finetune["learning_rate"] == 4e-4


def test_a_final_setting_stays_once_test_was_predicted():
    made, before = Made(), Variant("final", "final", {"context_turns": 1}, {"seed": 1})
    made.final = lambda: before
    assert [p.variants for p in plan(made) if p.name == "final"] == [[before]]


def test_all_variants_are_valid_settings():
    where = Where(None, "cpu", "float32")
    for phase in plan(Made()):
        for variant in phase.variants:
            names = set(variant.text) - set(TextSettings.model_fields)
            names |= set(variant.finetune) - set(FinetuneSettings.model_fields)
            assert not names, variant.name
    assert len({variant.name for variant in OPTIONS}) == len(OPTIONS)
    assert where.dialogues == 0


def row(variant, seed, score, phase="rate"):
    job = Job(phase, variant, seed)
    found = {"run": job.key, "phase": phase, "name": variant.name, "kind": variant.kind}
    found |= {"seed": seed, "text": dict(variant.text), "finetune": dict(variant.finetune)}
    return job, Found({**found, "validation": {"weighted_f1": score}}, {"valid": np.eye(2)})


def test_results_survive_and_further_seeds_choose_nothing(tmp_path):
    results = Results(tmp_path)
    assert results.validation(BASE) == {} and results.final() is None
    for seed, score in zip((*SEEDS, 4), (50, 51, 55, 99), strict=True):
        job, found = row(BASE, seed, score)
        assert not results.has(job)
        results.add(job, found)
    results.save()
    again = Results(tmp_path)
    assert again.has(job) and again.validation(BASE) == {1: 50, 2: 51, 3: 55}
    known = again.of_same_settings(Job("context", replace(BASE, name="3 turns before"), 2))
    assert known.row["run"].startswith("context|3 turns before|2|")
    assert known.row["validation"] == {"weighted_f1": 51}
    assert again.of_same_settings(Job("final", BASE, 2, test=True)) is None
    other = replace(BASE, finetune={**BASE.finetune, "ema": 0.9})
    assert not again.has(Job("rate", other, 4)), "the same name with other settings is another run"
    assert again.arrays[f"{job.key}|valid"].tolist() == np.eye(2).tolist()
    again.add(*row(replace(other, name="final"), 1, 50, "final"))
    assert Results(tmp_path).final().finetune["ema"] == 0.9


def test_a_run_on_real_csvs(tmp_path, shared):
    pretrained(tmp_path / "encoder")
    (tmp_path / "csv").symlink_to(shared / "meld_csv")
    where = Where(tmp_path, "cpu", "float32", dialogues=3)
    tried = replace(BASE, finetune={**BASE.finetune, "epochs": 2, "batch_size": 8})
    job = Job("final", tried, 1, test=True, vectors=True)
    known = task_for(job, where)
    assert {e.dialogue for e in known.train} == {f"train/dia{n}" for n in range(3)}
    found = run(job, where)
    assert len(found.row["history"]) == 2
    assert set(found.row["validation"]["f1"]) >= {"fear", "disgust"}
    epochs, test, classes = found.arrays["test"].shape
    assert (epochs, classes) == (2, 7)
    assert found.arrays["valid"].shape == (len(known.valid), 7)
    every = len(known.train) + len(known.valid) + test
    assert found.arrays["vectors"].shape == (every, 32)
    part = replace(job, left_out=("train/dia1",), epochs=1, test=False, vectors=False)
    left = run(part, where)
    own = [e for e in known.train if e.dialogue == "train/dia1"]
    assert left.arrays["vectors"].shape == (len(own), 32) and "validation" not in left.row


def test_memory_by_hand():
    base = SHAPES[0]
    assert base.weights() == 124_055_040
    with_heads = base.weights() * (16 + 2)
    assert bytes_of(base, 1, True, 0) > with_heads
    assert bytes_of(base, 32, True, 0) < bytes_of(base, 32, False, 0)
    assert base.lora_weights(16) == 12 * 16 * (4 * 2 * 768 + 2 * (768 + 3072))
