"""From trained systems to curves: the clean point is evaluate's, the others are what they say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.corruption.content import drawn, thinned
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.curves import Robustness, measure
from pipeline.corruption.tested import Tested
from pipeline.evaluation.evaluate import labelled_test_set, selected_runs
from pipeline.experiments.rows import WEIGHTED, Row
from pipeline.records.epochs import read_epochs, write_epochs
from pipeline.records.features import Features, read_features
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from tests.corruption.toy import louder, of, read, stores, train, trained
from tests.synthetic import CLASSES, lay_out

TURNED = {"train": "train", "valid": "test", "test": "valid"}


@pytest.fixture
def entries(workspace: Path) -> list[Entry]:
    return lay_out("toy")


def measured(*systems: Tested, quick: bool = True, extract: Any = None) -> Robustness:
    return measure(systems, stores(), extract or louder(), quick)


def curve(
    found: Robustness, modality: str, name: str, system: str = "mcn_cl"
) -> tuple[Corruption, Sequence[Row]]:
    ((corruption, rows),) = (
        (c, rows)
        for (of_system, c), rows in found.rows.items()
        if (of_system, c.modality, c.name) == (system, modality, name)
    )
    return corruption, rows


def f1(row: Row) -> float:
    return row.figures[WEIGHTED].value


def seeds(found: Robustness) -> dict[str, tuple[int, ...]]:
    return {system: row.entrant.predictions.seeds for system, row in found.clean.items()}


def recorded(system: str = "mcn_cl") -> list[float]:
    """What `evaluate` makes of the recorded probabilities: weighted F1 of each seed."""
    protocol = read_protocol(paths.protocol("toy"))
    rows, _ = read_epochs(paths.epochs("toy", system))
    runs = selected_runs(rows, protocol, "test")
    return [run.scores(protocol.classes).weighted_f1 for run in runs]


def texts() -> dict[str, str]:
    return {u.utterance: u.text for u in read_manifest(paths.manifest("toy"))}


@pytest.mark.slow
def test_the_clean_point_is_what_evaluate_says(entries: list[Entry]) -> None:
    found = measured(trained(), trained("majority"))
    assert seeds(found) == {"mcn_cl": (1, 2), "majority": (0,)}
    clean = found.clean["mcn_cl"]
    assert np.isclose(f1(clean), np.mean(recorded()))
    assert np.isclose(clean.std() or 0, np.std(recorded(), ddof=1))
    assert clean.figures[WEIGHTED].low <= f1(clean) <= clean.figures[WEIGHTED].high
    assert not clean.differences
    test = [e for e in entries if e.split == "test"]
    assert len(found.test_set.utterances) == len(test)
    assert len(set(found.test_set.dialogues)) == 4
    train_labels = [e.label for e in entries if e.split == "train"]
    actual = [e.label for e in test]
    most = max(range(len(CLASSES)), key=train_labels.count)
    expected = f1_score(actual, [most] * len(actual), average="weighted", zero_division=0)
    assert np.isclose(f1(found.clean["majority"]), 100 * expected)


def without(store: Features, gone: Callable[[str], bool]) -> Features:
    """A store in which utterances lack the modality."""
    keeps = [
        there and not gone(u) for u, there in zip(store.utterances, store.present, strict=True)
    ]
    return replace(store, present=np.array(keeps))


@pytest.mark.slow
def test_a_dropped_modality_is_masked_and_nothing_else_changes(entries: list[Entry]) -> None:
    models = trained()
    found = measured(models)
    test = [e.utterance for e in entries if e.split == "test"]
    audio = stores()["audio"]
    having = [u for u in test if len(of(audio, u))]
    assert 0 < len(having) < len(test), "some lack audio anyway"
    corruption, (clean, _, half, every) = curve(found, "audio", "drop")
    assert found.steps[corruption] == (25, 50, 100)
    lacking = len(test) - len(having)
    assert found.masked[corruption][::2] == [lacking, lacking + round(len(having) / 2)]
    assert found.masked[corruption][-1] == len(test)
    gone = drawn(having, 50, "audio", "drop")
    actual = labelled_test_set(models.protocol).actual
    for row, store in (
        (half, without(audio, gone.__contains__)),
        (every, without(audio, lambda _: True)),
    ):
        scores = [
            f1_score(actual, run.probabilities.argmax(1), average="weighted", zero_division=0)
            for run in models.predict({**stores(), "audio": store}, texts())
        ]
        less = row.differences[WEIGHTED]
        assert np.isclose(f1(row), 100 * np.mean(scores))
        assert np.isclose(less.value, f1(row) - f1(clean)) and less.low <= less.value <= less.high


@pytest.mark.slow
def test_extractors_are_asked_once_for_test_utterances_that_have_the_modality(
    entries: list[Entry],
) -> None:
    models, extractors = trained(), louder()
    found = measured(models, trained("linear_svm"), quick=False, extract=extractors)
    test = [e.utterance for e in entries if e.split == "test"]
    asked = extractors["visual"].asked
    assert [(name, level) for name, level, _ in asked] == [
        *(("blur", level) for level in (2.0, 4.0, 8.0, 16.0)),
        *(("noise", level) for level in (16.0, 32.0, 64.0, 128.0)),
    ], "whichever number of systems reads them"
    having = [u for u in test if len(of(stores()["visual"], u))]
    assert all(utterances == having for _, _, utterances in asked)
    for system in ("mcn_cl", "linear_svm"):
        corruption, rows = curve(found, "visual", "blur", system)
        assert found.masked[corruption] == [len(test) - len(having)] * 5
        assert f1(rows[-1]) != f1(rows[0]), "the features did change"


@pytest.mark.slow
def test_quick_takes_one_seed_and_few_steps(entries: list[Entry]) -> None:
    found = measured(trained(quick=True))
    assert seeds(found) == {"mcn_cl": (1,)} and found.clean["mcn_cl"].std() is None
    assert np.isclose(f1(found.clean["mcn_cl"]), recorded()[0])
    assert [len(rows) for rows in found.rows.values()] == [4] * 8, "the clean one too"


@pytest.mark.slow
def test_folds_are_pooled_each_with_its_own_model(workspace: Path) -> None:
    """Also a turn without a label, which is context: predicted, but not scored."""
    laid = [replace(e, label=None) if n % 3 == 1 else e for n, e in enumerate(lay_out("toy"))]
    turned = [replace(e, fold=1, split=TURNED[e.split]) for e in laid]
    write_protocol(paths.protocol("toy"), Protocol(CLASSES, [*laid, *turned]))
    found = measured(trained(epochs=3))
    assert set(found.test_set.folds) == {0, 1} and seeds(found) == {"mcn_cl": (1, 2)}
    assert np.isclose(f1(found.clean["mcn_cl"]), np.mean(recorded()))
    tested = [e for e in [*laid, *turned] if e.split == "test" and e.label is not None]
    assert len(found.test_set.utterances) == len(tested)


@pytest.mark.slow
def test_a_system_of_one_modality_can_lose_it_and_no_other(entries: list[Entry]) -> None:
    train(seeds=(1,), epochs=2, modalities=("audio",))
    found = measured(read(), trained("linear_svm"))
    assert {c.modality for _, c in found.read if _ == "mcn_cl"} == {"audio"}
    assert {c.modality for _, c in found.read if _ == "linear_svm"} == {"text", "audio", "visual"}
    _, rows = curve(found, "audio", "drop")
    assert np.isfinite(f1(rows[-1]))
    _, unmoved = curve(found, "text", "drop")
    assert len(unmoved) == 1, "the clean row alone"


def test_words_are_corrupted_for_systems_that_read_them(entries: list[Entry]) -> None:
    words = trained("tfidf")
    found = measured(words)
    test = {e.utterance: e for e in entries if e.split == "test"}
    rows = [u for u in read_manifest(paths.manifest("toy")) if u.utterance in test]

    def score(given: dict[str, str]) -> float:
        predicted = words.predict(stores(), given)[0].probabilities.argmax(1)
        actual = labelled_test_set(words.protocol).actual
        return 100 * float(f1_score(actual, predicted, average="weighted", zero_division=0))

    _, (clean, _, half, every) = curve(found, "text", "word dropout", "tfidf")
    assert np.isclose(f1(clean), score(texts()))
    assert np.isclose(f1(half), score({u.utterance: thinned(u, 50.0).text for u in rows}))
    nothing = score(dict.fromkeys(test, ""))
    assert np.isclose(f1(every), nothing) and nothing < f1(clean)
    _, (_, _, half, every) = curve(found, "text", "drop", "tfidf")
    gone = drawn(test, 50, "text", "drop")
    kept = {u.utterance: "" if u.utterance in gone else u.text for u in rows}
    assert np.isclose(f1(half), score(kept)) and np.isclose(f1(every), nothing)


def told(act: Callable[[], Any]) -> str:
    with pytest.raises(PipelineError) as caught:
        act()
    return str(caught.value)


@pytest.mark.slow
def test_what_does_not_fit_is_told(entries: list[Entry]) -> None:
    models = trained()
    folder, epochs = paths.checkpoints("toy", "mcn_cl"), paths.epochs("toy", "mcn_cl")
    rows, about = read_epochs(epochs)

    moved = [replace(row, probabilities=row.probabilities + np.float32(1e-4)) for row in rows]
    write_epochs(epochs, moved, about)
    message = told(lambda: measured(models))
    assert "train@toy-mcn_cl, fold 0, seed 1" in message
    assert "up to 1.0e-04" in message and "at most 1e-06" in message
    assert "dvc repro --force --single-item train@toy-mcn_cl" in message
    write_epochs(epochs, [row for row in rows if row.seed == 2], about)
    assert "has no such run" in told(lambda: measured(models))
    write_epochs(epochs, rows, about)

    abouts = {m: read_features(paths.features("toy", m)).provenance for m in stores()}
    second = folder / "fold0-seed2.safetensors"
    model, facts = load_checkpoint(second, abouts)
    other = {**facts, "classes": ["other"] * len(CLASSES)}
    for file in sorted(folder.glob("*.safetensors")):
        save_checkpoint(file, model.state_dict(), other)
    assert "tells ['other', 'other'" in told(read)
    trained()
    save_checkpoint(second, model.state_dict(), {**facts, "fold": 1})
    assert "these checkpoints: fold 0 seed 1, fold 1 seed 2" in told(read)
    assert "dvc repro train@toy-mcn_cl" in told(read)


@pytest.mark.slow
def test_the_same_systems_give_the_same_curves(entries: list[Entry]) -> None:
    models = trained(seeds=(1,), epochs=2)
    one, other = measured(models), measured(read())
    assert all(
        row.figures == same.figures and row.differences == same.differences
        for key, rows in one.rows.items()
        for row, same in zip(rows, other.rows[key], strict=True)
    )
