"""From trained models to curves: the clean point is evaluate's, the others are what they say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.corruption import extracting
from pipeline.corruption.curves import Curve, Robustness, measure
from pipeline.corruption.draws import drawn
from pipeline.evaluation.evaluate import labelled_test_set, selected_runs
from pipeline.records.epochs import read_epochs, write_epochs
from pipeline.records.features import Features, read_features
from pipeline.records.protocol import Entry, Protocol, read_protocol, write_protocol
from pipeline.training.checkpoint import load_checkpoint, save_checkpoint
from pipeline.training.train import train_corpus
from tests.conftest import PARAMS
from tests.corruption.toy import louder, of, read, trained
from tests.synthetic import CLASSES, lay_out
from tests.training.toy import toy_settings

TURNED = {"train": "train", "valid": "test", "test": "valid"}


@pytest.fixture
def entries(workspace: Path) -> list[Entry]:
    return lay_out("toy")


def curve(found: Robustness, modality: str, name: str) -> Curve:
    (one,) = (
        c for c in found.curves if (c.corruption.modality, c.corruption.name) == (modality, name)
    )
    return one


def recorded() -> list[float]:
    """What `evaluate` makes of the recorded probabilities: weighted F1 of each seed."""
    protocol = read_protocol(paths.protocol("toy"))
    runs = selected_runs(read_epochs(paths.epochs("toy")), protocol, "test")
    return [run.scores(protocol.classes).weighted_f1 for run in runs]


def test_the_clean_point_is_what_evaluate_says(entries: list[Entry]) -> None:
    found = measure(trained(), louder(), quick=True)
    assert found.seeds == (1, 2)
    assert np.isclose(found.clean.value, np.mean(recorded()))
    assert found.clean.std is not None and np.isclose(found.clean.std, np.std(recorded(), ddof=1))
    assert found.clean.low <= found.clean.value <= found.clean.high
    test = [e for e in entries if e.split == "test"]
    assert (found.utterances, found.dialogues, found.folds) == (len(test), 4, 1)
    train = [e.label for e in entries if e.split == "train"]
    actual = [e.label for e in test]
    most = max(range(len(CLASSES)), key=train.count)
    expected = f1_score(actual, [most] * len(actual), average="weighted", zero_division=0)
    assert np.isclose(found.majority, 100 * expected)


def without(store: Features, gone: Callable[[str], bool]) -> Features:
    """A store in which utterances lack the modality."""
    keeps = [
        there and not gone(u) for u, there in zip(store.utterances, store.present, strict=True)
    ]
    return replace(store, present=np.array(keeps))


def test_a_dropped_modality_is_masked_and_nothing_else_changes(entries: list[Entry]) -> None:
    models = trained()
    found = measure(models, louder(), quick=True)
    test = [e.utterance for e in entries if e.split == "test"]
    audio = models.stores["audio"]
    having = [u for u in test if len(of(audio, u))]
    assert 0 < len(having) < len(test), "some lack audio anyway"
    half, every = (curve(found, "audio", "drop").points[n] for n in (1, 2))
    assert (half.level, every.level) == (50, 100)
    assert half.masked == len(test) - len(having) + round(len(having) / 2)
    assert every.masked == len(test)
    gone = drawn(having, 50, "audio", "drop")
    for point, store in (
        (half, without(audio, gone.__contains__)),
        (every, without(audio, lambda _: True)),
    ):
        said = models.classes(list(models.predict({**models.stores, "audio": store})))
        actual = labelled_test_set(models.protocol).actual
        scores = [f1_score(actual, one, average="weighted", zero_division=0) for one in said]
        assert np.isclose(point.score.value, 100 * np.mean(scores))
        assert np.isclose(point.difference.value, point.score.value - found.clean.value)
        assert point.difference.low <= point.difference.value <= point.difference.high


def test_extractors_are_asked_for_test_utterances_that_have_the_modality(
    entries: list[Entry],
) -> None:
    models, extractors = trained(), louder()
    found = measure(models, extractors, quick=False)
    test = [e.utterance for e in entries if e.split == "test"]
    asked = extractors["visual"].asked
    assert [(name, level) for name, level, _ in asked] == [
        *(("blur", level) for level in (2.0, 4.0, 8.0, 16.0)),
        *(("noise", level) for level in (16.0, 32.0, 64.0, 128.0)),
    ]
    having = [u for u in test if len(of(models.stores["visual"], u))]
    assert all(utterances == having for _, _, utterances in asked)
    (blur,) = (c for c in found.curves if c.corruption.name == "blur")
    assert [point.masked for point in blur.points] == [len(test) - len(having)] * 4
    assert found.masked["visual"] == len(test) - len(having)
    assert blur.points[-1].score != blur.points[0].score, "the features did change"


def test_quick_takes_one_seed_and_few_steps(entries: list[Entry]) -> None:
    found = measure(trained(quick=True), louder(), quick=True)
    assert found.seeds == (1,) and found.clean.std is None
    assert np.isclose(found.clean.value, recorded()[0])
    assert [len(c.points) for c in found.curves] == [3] * 8


def test_folds_are_pooled_each_with_its_own_model(workspace: Path) -> None:
    """Also a turn without a label, which is context: predicted, but not scored."""
    laid = [replace(e, label=None) if n % 3 == 1 else e for n, e in enumerate(lay_out("toy"))]
    turned = [replace(e, fold=1, split=TURNED[e.split]) for e in laid]
    write_protocol(paths.protocol("toy"), Protocol(CLASSES, [*laid, *turned]))
    found = measure(trained(epochs=3), louder(), quick=True)
    assert found.folds == 2 and found.seeds == (1, 2)
    assert np.isclose(found.clean.value, np.mean(recorded()))
    tested = [e for e in [*laid, *turned] if e.split == "test" and e.label is not None]
    assert found.utterances == len(tested)


def test_a_model_of_one_modality_can_lose_it(workspace: Path) -> None:
    lay_out("toy")
    settings = toy_settings(seeds=(1,), epochs=2)
    alone = settings.model.model_copy(update={"modalities": ("audio",)})
    train_corpus("toy", replace(settings, model=alone))
    found = measure(read(), louder(), quick=True)
    assert {c.corruption.modality for c in found.curves} == {"audio"}
    assert found.left_out == ("text", "visual")
    assert np.isfinite(curve(found, "audio", "drop").points[-1].score.value)


def told(act: Callable[[], Any]) -> str:
    with pytest.raises(PipelineError) as caught:
        act()
    return str(caught.value)


def test_what_does_not_fit_is_told(entries: list[Entry]) -> None:
    models = trained()
    folder = paths.checkpoints("toy")
    rows = read_epochs(paths.epochs("toy"))

    moved = [replace(row, probabilities=row.probabilities + np.float32(1e-4)) for row in rows]
    write_epochs(paths.epochs("toy"), moved)
    message = told(lambda: measure(models, louder(), quick=True))
    assert "fold 0, seed 1" in message and "up to 1.0e-04" in message and "at most 1e-06" in message
    write_epochs(paths.epochs("toy"), [row for row in rows if row.seed == 2])
    assert "has no such run" in told(lambda: measure(models, louder(), quick=True))
    write_epochs(paths.epochs("toy"), rows)

    abouts = {m: read_features(paths.features("toy", m)).provenance for m in models.stores}
    second = folder / "fold0-seed2.safetensors"
    model, facts = load_checkpoint(second, abouts)
    save_checkpoint(second, model.state_dict(), {**facts, "classes": ["other"] * len(CLASSES)})
    assert "tells ['other', 'other'" in told(read)
    save_checkpoint(second, model.state_dict(), {**facts, "fold": 1})
    assert "these checkpoints: fold 0 seed 1, fold 1 seed 2" in told(read)
    for file in folder.iterdir():
        file.unlink()
    message = told(read)
    assert "these checkpoints: none" in message and "dvc repro train@toy" in message


def test_features_of_other_settings_are_refused(entries: list[Entry]) -> None:
    models = trained(seeds=(1,), epochs=1)

    class Other:
        def __init__(self, params: object, corpus: str, places: object) -> None:
            made = models.stores["audio"].provenance
            self.about = made | {"settings": {"feature_set": "eGeMAPS"}}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(extracting, "AudioExtractor", Other)
        message = told(
            lambda: extracting.extractors(  # no step is asked
                read_params(PARAMS),
                "toy",
                places("toy"),
                {"audio": models.stores["audio"]},
            )
        )
    assert "audio.settings.feature_set: trained on 'synthetic', got 'eGeMAPS'" in message


def test_the_same_models_give_the_same_curves(entries: list[Entry]) -> None:
    models = trained(seeds=(1,), epochs=2)
    assert measure(models, louder(), quick=True) == measure(read(), louder(), quick=True)
