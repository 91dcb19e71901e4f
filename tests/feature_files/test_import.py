"""Published feature files become a corpus: manifest, protocol and stores, by the stages of any."""

import io
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, read_params
from pipeline.corpora.meld import LABEL_SETS
from pipeline.doctor.inspect import inspect
from pipeline.export import carry_out
from pipeline.features.imported import import_features
from pipeline.prediction.features import check_encoders, places_of
from pipeline.records.epochs import read_epochs
from pipeline.records.features import read_features
from pipeline.records.manifest import read_manifest, read_origin
from pipeline.records.protocol import counts, read_protocol
from pipeline.systems.registry import SYSTEMS
from pipeline.weights.names import wanted
from stages import audio, finetune, frames, manifest, protocol, text, train, visual
from tests.conftest import PARAMS
from tests.feature_files.published import mmsa, pickled

CLASSES = LABEL_SETS["emotion"].classes
# Keys by MELD's rule: train, dev from 1039, test from 1153; two of them lie in trainVid as train.
TURNS = {0: 5, 1: 4, 2: 3, 59: 4, 61: 4, 1039: 4, 1041: 3, 1153: 4, 1432: 3}
WIDTHS = {"text": 6, "audio": 5, "visual": 3}
FILE = "MELD_features_raw1.pkl"
STAGES = (manifest, protocol, frames, visual, audio, finetune, text)


def vectors(modality: str, key: int) -> np.ndarray:
    """[turn, feature] in which the class shows."""
    generator = np.random.default_rng([key, len(modality)])
    rows = generator.normal(size=(TURNS[key], WIDTHS[modality])).astype(np.float32)
    rows[np.arange(TURNS[key]), np.array(labels(key)) % WIDTHS[modality]] += 3
    return rows


def labels(key: int) -> list[int]:
    return [(3 * key + turn) % len(CLASSES) for turn in range(TURNS[key])]


def mmgcn(change: Callable[[list[Any]], None] = lambda parts: None) -> bytes:
    """A file of MMGCN's layout for MELD, of ten elements."""
    parts: list[Any] = [
        {key: list(range(count)) for key, count in TURNS.items()},
        {k: [[int(n == t % 2) for n in range(9)] for t in range(m)] for k, m in TURNS.items()},
        {key: labels(key) for key in TURNS},
        *({key: vectors(modality, key) for key in TURNS} for modality in WIDTHS),
        {k: [f"turn {turn} of {k}, well" for turn in range(t)] for k, t in TURNS.items()},
        [key for key in TURNS if key < 1153],
        [key for key in TURNS if key >= 1153],
        None,
    ]  # fmt: skip
    change(parts)
    return pickle.dumps(tuple(parts), 4)


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A working folder with params.yaml, and a file of features that lies outside data/raw."""
    (workspace / "params.yaml").write_text(PARAMS.read_text("utf-8"), "utf-8")
    (workspace / FILE).write_bytes(mmgcn())
    return workspace


def imported(files: Sequence[Path], name: str = "mine") -> Params:
    """The params with a corpus of feature files, all of whose stages up to training have run."""
    inspect(files, add=name)
    text_ = Path("params.yaml").read_text("utf-8")
    chosen = re.sub("^corpora: .*$", f"corpora: [{name}]", text_, flags=re.M)
    Path("params.yaml").write_text(chosen, "utf-8")
    params = read_params()
    for stage in STAGES:
        stage.work(params, name)
    return params


def edit(old: str, new: str) -> Params:
    text_ = Path("params.yaml").read_text("utf-8")
    assert old in text_
    Path("params.yaml").write_text(text_.replace(old, new), "utf-8")
    return read_params()


def test_the_manifest_comes_from_the_file(folder: Path) -> None:
    imported([folder / FILE])
    rows = read_manifest(paths.manifest("mine"))
    assert [u.dialogue for u in rows if u.turn == 0] == [
        *(f"train/dia{n}" for n in (0, 1, 2, 59, 61)),
        *("dev/dia0", "dev/dia2", "test/dia0", "test/dia279"),
    ]
    first = rows[0]
    assert (first.utterance, first.speaker, first.text) == (
        *("train/dia0_utt0", "train/dia0#0", "turn 0 of 0, well"),
    )
    assert first.video is None and first.audio is None
    assert read_origin(paths.manifest("mine")).reader == "meld"


def test_dev_comes_back_out_of_the_training_list(folder: Path) -> None:
    imported([folder / FILE])
    by_split = counts(read_protocol(paths.protocol("mine")))
    assert {split: sum(c.values()) for split, c in by_split.items()} == {
        "train": 20, "valid": 7, "test": 7,
    }  # fmt: skip


def test_stores_hold_the_vectors_of_the_file(folder: Path) -> None:
    imported([folder / FILE])
    for modality in WIDTHS:
        store = read_features(paths.features("mine", modality))
        assert store.present.all()
        np.testing.assert_array_equal(
            store.values, np.concatenate([vectors(modality, key) for key in TURNS])
        )
        about = store.provenance
        assert (about["extractor"], about["layout"], about["file"]) == ("imported", "mmgcn", FILE)
        assert len(about["sha256"]) == 64


def test_rows_of_zeros_are_missing_unless_they_are_kept(folder: Path) -> None:
    def nothing_seen(parts: list[Any]) -> None:
        parts[5][59][2] = 0

    (folder / FILE).write_bytes(mmgcn(nothing_seen))
    params = imported([folder / FILE])
    store = read_features(paths.features("mine", "visual"))
    assert [u for u, there in zip(store.utterances, store.present, strict=True) if not there] == [
        "train/dia59_utt2"
    ]
    params = edit("imported: {text:", "zeros: keep, imported: {text:")
    import_features(params, "mine", paths.places("mine"), "visual")
    assert read_features(paths.features("mine", "visual")).present.all()


def test_nan_is_refused_unless_it_is_to_be_masked(folder: Path) -> None:
    def broken(parts: list[Any]) -> None:
        parts[4][1153][1, 2] = np.nan

    (folder / FILE).write_bytes(mmgcn(broken))
    with pytest.raises(PipelineError, match=r"audio of test/dia0_utt1 holds NaN.*nonfinite: miss"):
        imported([folder / FILE])
    params = edit("imported: {text:", "nonfinite: missing, imported: {text:")
    import_features(params, "mine", paths.places("mine"), "audio")
    assert read_features(paths.features("mine", "audio")).present.sum() == sum(TURNS.values()) - 1


def cosmic(
    labels_of: Callable[[int], list[int]] = labels, wide: dict[int, np.ndarray] | None = None
) -> bytes:
    """A file of COSMIC's layout for MELD: four layers of text, and no ids."""
    rows = wide or {k: vectors("text", k) for k in TURNS}
    layers = [{k: [row + n for row in rows[k]] for k in TURNS} for n in range(4)]
    split = ([k for k in TURNS if k < 1039], [1153, 1432], [1039, 1041])
    one_hot = {k: [[1] + [0] * 8 for _ in range(n)] for k, n in TURNS.items()}
    words = {k: [f"turn {t} of {k}, well" for t in range(n)] for k, n in TURNS.items()}
    emotions = {k: labels_of(k) for k in TURNS}
    sentiments = {k: [label % 3 for label in labels_of(k)] for k in TURNS}
    return pickle.dumps([one_hot, emotions, sentiments, *layers, words, *split], 4)


def test_sources_of_several_repositories_make_one_corpus(folder: Path) -> None:
    """M3NET's way: COSMIC's text, whose four layers are averaged, with MMGCN's sound and faces."""
    imported([folder / FILE])
    (paths.raw("mine") / "cosmic.pkl").write_bytes(cosmic())
    params = edit(f"imported: {{text: '{FILE}'", "layers: mean, imported: {text: cosmic.pkl")
    text.work(params, "mine")
    store = read_features(paths.features("mine", "text"))
    np.testing.assert_allclose(
        store.values, np.concatenate([vectors("text", key) + 1.5 for key in TURNS]), rtol=1e-6
    )
    assert store.provenance["trained_on"] == "unknown", "six features are no published file"


def test_a_source_with_other_labels_is_refused(folder: Path) -> None:
    def one_off(key: int) -> list[int]:
        return (
            labels(key + 1 if key == 61 else key)[: TURNS[key]] if key != 61 else labels(61)[::-1]
        )

    imported([folder / FILE])
    (paths.raw("mine") / "cosmic.pkl").write_bytes(cosmic(one_off))
    params = edit(f"imported: {{text: '{FILE}'", "imported: {text: cosmic.pkl")
    with pytest.raises(PipelineError, match="labels are not those of this corpus: 4 differ"):
        text.work(params, "mine")


def test_nothing_is_downloaded_or_extracted_for_imported_modalities(folder: Path) -> None:
    params = imported([folder / FILE])
    assert [wanted(params, "mine", role) for role in ("faces", "visual", "text", "audio")] == [
        *(None, None, None, None),
    ]


def test_predict_refuses_features_that_others_computed(folder: Path) -> None:
    params = imported([folder / FILE])
    where = places_of("mine", folder, folder / "stores")
    with pytest.raises(PipelineError, match=f"others computed: text \\({FILE}\\)"):
        check_encoders(params, "mine", where, ["text"])


def test_splits_that_test_on_what_an_encoder_may_have_learnt_are_refused(folder: Path) -> None:
    inspect([folder / FILE], add="mine")
    edit("corpora: [demo_meld, demo_iemocap]", "corpora: [mine]")
    speakers = "{<<: *protocol, splits: speakers, valid_fraction: 0.2, test_fraction: 0.2}"
    block = Path("params.yaml").read_text("utf-8").split("\nmine:\n")[1]
    changed_block = block.replace("protocol: {<<: *protocol}", f"protocol: {speakers}")
    with pytest.raises(PipelineError, match=r"the encoder of imported .*text.* may have seen"):
        edit(block, changed_block)
    frozen = "trained_on: {text: none, audio: none, visual: none}, imported: {text:"
    edit("imported: {text:", frozen)


def test_what_is_known_of_a_file_cannot_be_denied(folder: Path) -> None:
    params = imported([folder / FILE])
    wide = {k: np.pad(vectors("text", k), ((0, 0), (0, 1018))) for k in TURNS}
    (paths.raw("mine") / "cosmic.pkl").write_bytes(cosmic(wide=wide))
    params = edit(f"imported: {{text: '{FILE}'", "imported: {text: cosmic.pkl")
    text.work(params, "mine")
    store = read_features(paths.features("mine", "text"))
    assert store.provenance["trained_on"] == "train", "RoBERTa's 1024 were tuned on labels"
    params = edit("imported: {text:", "trained_on: {text: none}, imported: {text:")
    with pytest.raises(PipelineError, match=r"seen the labels of train, and .* is 'none'"):
        text.work(params, "mine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("neutral", ""),
        ("mmgcn", "MELD_features_raw1.pkl"),
        ("sdt", "meld_multimodal_features.pkl"),
    ],
)
def test_what_is_exported_comes_back_with_equal_stores_protocol_and_predictions(
    folder: Path, layout: str, file: str
) -> None:
    params = imported([folder / FILE])
    carry_out(params, "mine", layout, folder / "out", Console(file=io.StringIO()))
    params = imported([folder / "out" / file], "again")
    for modality in WIDTHS:
        one, other = (read_features(paths.features(name, modality)) for name in ("mine", "again"))
        assert one.digest == other.digest
    assert paths.protocol("mine").read_bytes() == paths.protocol("again").read_bytes()
    predictions = []
    for name in ("mine", "again"):
        train.work(params, name, "logistic_regression")
        rows, _ = read_epochs(paths.epochs(name, "logistic_regression"))
        predictions.append([row.probabilities.tobytes() for row in rows])
    assert predictions[0] == predictions[1]


@pytest.mark.parametrize(
    ("sims", "label_set", "classes"), [(False, "two", 2), (False, "seven", 7), (True, "three", 3)]
)
def test_mcihn_trains_on_files_of_the_corpora_of_its_own_paper(
    folder: Path, sims: bool, label_set: str, classes: int
) -> None:
    """CMU-MOSI and CH-SIMS as MMSA's files: single utterances, whose ratings are binned."""
    content = mmsa(clips=24, sims=sims)
    for split in content.values():
        split["regression_labels"] = np.linspace(-1 if sims else -3, 1 if sims else 3, 24)
    (folder / "unaligned.pkl").write_bytes(pickled(content))
    params = imported([folder / "unaligned.pkl"])
    name = "sims" if sims else "mosi"
    params = edit(
        f"label_set: {'five' if sims else 'seven'}}}\n  extract",
        f"label_set: {label_set}}}\n  extract",
    )
    protocol.work(params, "mine")
    assert len(read_protocol(paths.protocol("mine")).classes) == classes
    assert read_origin(paths.manifest("mine")).reader == name
    params.blocks["mine"]["mcihn"].update(seeds=[1], epochs=2, patience=2, workers=1)  # type: ignore[attr-defined]
    train.work(params, "mine", "mcihn")
    assert list(paths.checkpoints("mine", "mcihn").glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_trains_on_an_imported_file(folder: Path, name: str) -> None:
    """Those that say of themselves that they are left out, without a fine-tuned head, do so."""
    params = imported([folder / FILE])
    settings = params.system("mine", name)
    short = {"seeds": (1,), "epochs": 2, "patience": 2, "workers": 1, "threads": 1}
    known = {k: v for k, v in short.items() if k in type(settings).model_fields}
    params.blocks["mine"][name].update(known)  # type: ignore[attr-defined]
    train.work(params, "mine", name)
    left_out = paths.epochs("mine", name)
    assert left_out.is_file()
    assert name == "finetuned_head" or list(paths.checkpoints("mine", name).glob("*.safetensors"))
