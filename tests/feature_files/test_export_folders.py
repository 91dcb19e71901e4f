"""Exports that are no tuples, read as the repositories read them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.base.errors import PipelineError
from pipeline.feature_files.export import README, export
from pipeline.records.manifest import Segment
from pipeline.records.protocol import Protocol
from tests.feature_files.foreign_loaders import load_labels, load_lines, unpickled
from tests.feature_files.small_corpora import CLASSES, corpus


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_mmsa_pads_with_zeros_at_the_end_and_gives_lengths(tmp_path):
    export("mmsa", corpus("meld"), tmp_path / "out")
    found = unpickled(tmp_path / "out" / "unaligned_50.pkl")
    assert list(found) == ["train", "valid", "test"]
    train = found["train"]
    assert train["id"] == ["train/dia0$_$0", "train/dia0$_$1", "train/dia61$_$0"]
    assert found["test"]["raw_text"][1] == "“Well”, said Ross,\r\n1 times"
    assert train["text"].shape == (3, 1, 3) and train["vision"].shape == (3, 3, 4)
    assert train["vision"][:, :, 0].tolist() == [[0, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert train["vision_lengths"] == [1, 2, 1] and train["audio_lengths"] == [1, 1, 1]
    assert found["valid"]["vision"].dtype == np.float32
    assert train["regression_labels"].tolist() == [1, 0, -1]
    assert found["test"]["regression_labels"].tolist() == [-1, 1]


def test_mmsa_takes_iemocaps_emotions_or_a_valence_for_sentiment(tmp_path):
    export("mmsa", corpus("iemocap"), tmp_path / "iemocap")
    found = unpickled(tmp_path / "iemocap" / "unaligned_50.pkl")
    labels = {split: found[split]["regression_labels"].tolist() for split in found}
    assert labels == {"train": [1, 1, 0], "valid": [-1, -1], "test": [-1, 1]}
    whole = corpus("other")
    with pytest.raises(PipelineError, match=r"no sentiment .* and no valence"):
        export("mmsa", whole, tmp_path / "other")
    rated = [replace(u, valence=-2.5, utterance=u.utterance) for u in whole.utterances]
    rated[1] = replace(rated[1], valence=None)
    export("mmsa", replace(whole, utterances=rated), tmp_path / "rated")
    found = unpickled(tmp_path / "rated" / "unaligned_50.pkl")
    assert found["train"]["regression_labels"].tolist() == [-2.5]
    page = (tmp_path / "rated" / README).read_text("utf-8")
    assert "1 labelled utterances have no sentiment" in page


def test_mmsa_keeps_ids_that_are_its_own(tmp_path):
    whole = corpus(
        "other", [("v", s, [(f"$_${s}", "v", "calm")]) for s in ("train", "valid", "test")]
    )
    rated = [replace(u, valence=1.0) for u in whole.utterances]
    export("mmsa", replace(whole, utterances=rated), tmp_path / "out")
    assert unpickled(tmp_path / "out" / "unaligned_50.pkl")["test"]["id"] == ["v$_$test"]


def test_mertools_has_its_own_names_and_order_of_melds_classes(tmp_path):
    export("mertools", corpus("meld"), tmp_path / "out")
    labels = load_labels(tmp_path / "out" / "label.npz")
    assert labels["train_corpus"] == {
        "train_dia0_utt0": {"emo": 1, "val": -10},
        "train_dia0_utt2": {"emo": 3, "val": -10},
        "train_dia61_utt1": {"emo": 0, "val": -10},
    }
    assert list(labels["val_corpus"]) == ["val_dia3_utt0", "val_dia3_utt1"]
    names = [name for part in labels.values() for name in part]
    for modality, width in (("text", 3), ("audio", 2), ("visual", 4)):
        folder = tmp_path / "out" / "features" / f"{modality}-UTT"
        assert sorted(p.name for p in folder.iterdir()) == sorted(f"{n}.npy" for n in names)
        assert np.load(folder / "val_dia3_utt0.npy").shape == (width,)
    assert not np.load(folder / "train_dia61_utt1.npy").any()
    rows = cells(tmp_path / "out" / "transcription-engchi-polish.csv")
    assert rows[:2] == [
        ["name", "chinese", "english"],
        ["train_dia0_utt0", "", "“Well”, said Ross,\r\n0 times"],
    ]


def test_mertools_has_iemocap_in_one_list(tmp_path):
    export("mertools", corpus("iemocap"), tmp_path / "out")
    labels = load_labels(tmp_path / "out" / "label_6way.npz")
    assert list(labels) == ["whole_corpus"] and len(labels["whole_corpus"]) == 7
    assert labels["whole_corpus"]["Ses05F_impro03_F001"] == {"emo": 3, "val": -10}


def test_names_with_slashes_commas_and_quotes_become_files(tmp_path):
    export("mertools", corpus("other"), tmp_path / "out")
    folder = tmp_path / "out" / "features" / "text-UTT"
    assert (folder / "call 1__a,1.npy").is_file() and (folder / "call 3__“c”.npy").is_file()
    said = [("/a", "Ann", "calm"), ("__a", "Ann", "angry")]
    with pytest.raises(PipelineError, match=r"would share the file x__a\.npy"):
        export("mertools", corpus("other", [("x", "train", said)]), tmp_path / "twice")


def test_emobox_has_frames_of_sound_and_lists_of_every_fold(tmp_path):
    whole = corpus("iemocap")
    sound = Segment("S1/a.wav", start=1.0, end=3.5, sha256="0" * 64)
    heard = [replace(whole.utterances[0], audio=sound), *whole.utterances[1:]]
    turned = {"train": "test", "valid": "valid", "test": "train"}
    second = [replace(e, fold=1, split=turned[e.split]) for e in whole.protocol.entries]
    both = Protocol(whole.protocol.classes, [*whole.protocol.entries, *second])
    export("emobox", replace(whole, utterances=heard, protocol=both), tmp_path / "out")
    folds = tmp_path / "out" / "data" / "iemocap"
    names = sorted(p.relative_to(folds).as_posix() for p in folds.rglob("*.jsonl"))
    assert names == [
        f"fold_{n}/iemocap_{part}_fold_{n}.jsonl" for n in (1, 2) for part in ("test", "train")
    ]
    train = load_lines(folds / "fold_1" / "iemocap_train_fold_1.jsonl")
    assert len(train) == 5 and len(load_lines(folds / "fold_2" / "iemocap_test_fold_2.jsonl")) == 3
    first = {k: train[0][k] for k in ("key", "dataset", "wav", "length", "emo")}
    assert first == {
        "key": "iemocap-Ses01F_impro01_F000",
        "dataset": "iemocap",
        "wav": "S1/a.wav",
        "length": 2.5,
        "emo": "hap",
    }
    for line in train:
        assert np.load(tmp_path / "out" / "features" / f"{line['key']}.npy").shape == (1, 2)


def test_emobox_names_melds_utterances_by_id_and_split(tmp_path):
    export("emobox", corpus("meld"), tmp_path / "out")
    valid = load_lines(tmp_path / "out" / "data/meld/fold_1/meld_valid_fold_1.jsonl")
    assert [line["key"] for line in valid] == ["meld-dia3_utt0-dev", "meld-dia3_utt1-dev"]
    zeros = np.load(tmp_path / "out" / "features" / "meld-dia0_utt2-train.npy")
    assert zeros.shape == (1, 2) and not zeros.any()


def test_the_neutral_folder_keeps_every_utterance_frame_and_code(tmp_path):
    export("neutral", corpus("iemocap"), tmp_path / "out")
    head, first, second, *rest = cells(tmp_path / "out" / "utterances.csv")
    row = dict(zip(head, second, strict=True))
    assert len(rest) == 6 and dict(zip(head, first, strict=True))["turn"] == "0"
    assert row == {
        "utterance": "Ses01F_impro01_M000",
        "dialogue": "Ses01F_impro01",
        "turn": "1",
        "speaker": "Ses01M",
        "text": "“Well”, said Ses01M,\r\n1 times",
        "sentiment": "",
        "session": "1",
        "emotion": "xxx",
        "split": "",
    }
    with np.load(tmp_path / "out" / "visual.npz") as visual:
        assert "Ses02M_script01_1_M000" not in visual["ids"] and len(visual["ids"]) == 7
        assert visual["offsets"].tolist() == [0, 1, 3, 4, 6, 9, 10, 12]
        assert visual["values"][:3, 0].tolist() == [0, 1, 2]
    with np.load(tmp_path / "out" / "audio.npz") as audio:
        assert sorted(audio.files) == ["ids", "values"] and audio["values"].dtype == np.float32
        assert audio["values"].shape == (7, 2)
    about = yaml.safe_load((tmp_path / "out" / "about.yaml").read_text("utf-8"))
    assert about["corpus"] == "iemocap" and about["classes"] == [*CLASSES["iemocap"]]
    assert about["modalities"]["visual"]["granularity"] == "frame"
    assert about["modalities"]["audio"]["trained_on"] == "none"


def test_the_neutral_folder_has_what_the_label_policy_makes_of_a_code(tmp_path):
    whole = corpus("iemocap")
    emotions = ["hap" if code == "xxx" else code for code in whole.emotions]
    export("neutral", replace(whole, emotions=emotions, label_policy="erc7433"), tmp_path / "out")
    rows = cells(tmp_path / "out" / "utterances.csv")
    assert [row[rows[0].index("emotion")] for row in rows[1:3]] == ["hap", "hap"]
    assert "label_policy: erc7433" in (tmp_path / "out" / "about.yaml").read_text("utf-8")
