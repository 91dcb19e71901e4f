"""The neutral folder: vectors that somebody made, beside a table of utterances."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import PipelineError
from pipeline.feature_files.contents import Contents
from pipeline.feature_files.known import KNOWN, fingerprints
from pipeline.feature_files.read import read

IDS = ["a/0", "a/1", "b/0", "b/1"]
VALUES = np.arange(12, dtype="f4").reshape(4, 3)


def lay_out(folder: Path, **columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "utterance": IDS,
            "dialogue": ["a", "a", "b", "b"],
            "speaker": ["Ann", "Bob", "Ann", "Cid"],
            "text": ["One.", "Two, three.", "", "Four."],
            "emotion": ["happy", "", "sad", "happy"],
            "split": ["train", "train", "valid", "valid"],
        }
        | columns
    )
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / "utterances.csv", index=False)
    return table


def refusal(folder: Path, **given: Any) -> str:
    with pytest.raises(PipelineError) as error:
        read(folder, **given)
    assert "next:" in str(error.value) or "utterances.csv" in str(error.value)
    return str(error.value)


def flat(contents: Contents, name: str) -> list[Any]:
    return [None if rows is None else rows.tolist() for rows in contents.vectors[name]]


def as_npz(folder: Path) -> None:
    np.savez(folder / "text.npz", ids=np.array(IDS), values=VALUES)


def as_bytes(folder: Path) -> None:
    np.savez(folder / "text.npz", ids=np.array([i.encode() for i in IDS]), values=VALUES)


def as_offsets(folder: Path) -> None:
    np.savez(folder / "text.npz", ids=np.array(IDS), values=VALUES, offsets=np.arange(5))


@pytest.mark.parametrize("write", [as_npz, as_bytes, as_offsets])
def test_vectors_may_come_in_any_of_the_forms(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    lay_out(tmp_path)
    write(tmp_path)
    contents = read(tmp_path)
    assert flat(contents, "text") == [[row] for row in VALUES.tolist()]
    assert (contents.layout, contents.corpus) == ("neutral", "other")
    assert contents.trained_on == {"text": "unknown"}


def test_the_table_gives_turns_in_dialogue_order(tmp_path: Path) -> None:
    lay_out(tmp_path, turn=["1", "0", "0", "1"])
    as_npz(tmp_path)
    contents = read(tmp_path)
    assert [turn.utterance for turn in contents.turns] == ["a/1", "a/0", "b/0", "b/1"]
    assert flat(contents, "text")[0] == [VALUES[1].tolist()]
    turn = contents.turns[1]
    assert (turn.speaker, turn.text, turn.emotion, turn.split) == ("Ann", "One.", "happy", "train")
    assert contents.turns[0].emotion is None and contents.turns[2].split == "dev"


@pytest.mark.slow
def test_about_names_corpus_classes_and_what_encoders_have_seen(tmp_path: Path) -> None:
    lay_out(tmp_path, emotion=["0", "1", "", "0"])
    as_npz(tmp_path)
    contents = read(tmp_path)
    assert contents.turns[0].emotion == "0" and "corpus.classes" in contents.remarks[-1]
    assert read(tmp_path, classes=["fru", "neu"]).turns[0].emotion == "fru"
    (tmp_path / "about.yaml").write_text(
        "corpus: iemocap\nlabel_policy: erc7433\nclasses: [happy, sad]\n"
        "modalities: {text: {encoder: x, trained_on: train}}\n"
    )
    contents = read(tmp_path)
    assert contents.corpus == "iemocap" and contents.trained_on == {"text": "train"}
    assert contents.label_sets == ("four",), "nothing shows that excited is not among the happy"
    assert [turn.emotion for turn in contents.turns] == ["hap", "sad", None, "hap"]
    wrong = [
        "corpus: ravdess",
        "[1",
        "modalities: {smell: {}}",
        "modalities: 3",
        "x: " + "[" * 9000,
        "a: &a [x]\ncorpus: *a",
        "label_policy: mine",
    ]
    for text in (*wrong, "modalities: {text: {trained_on: all}}", "a" * 70_000):
        (tmp_path / "about.yaml").write_text(text)
        assert "about.yaml" in refusal(tmp_path)


def test_utterances_without_vectors_are_missing(tmp_path: Path) -> None:
    lay_out(tmp_path)
    values = np.array([[1, 2], [3, 4], [np.nan, np.nan]], "f4")
    np.savez(tmp_path / "text.npz", ids=np.array(IDS[:3]), values=values)
    np.savez(
        tmp_path / "visual.npz", ids=np.array(IDS), values=values, offsets=np.array([0, 2, 2, 3, 3])
    )
    contents = read(tmp_path)
    assert flat(contents, "text") == [[[1, 2]], [[3, 4]], None, None]
    assert flat(contents, "visual") == [[[1, 2], [3, 4]], None, None, None]


def npz(**members: Any) -> Callable[[Path], None]:
    content = {"ids": np.array(IDS), "values": VALUES} | members
    return lambda folder: np.savez(folder / "text.npz", **content)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (npz(ids=np.array(["x", *IDS[1:]])), "1 utterances that the table lacks: x"),
        (npz(ids=np.array(["a/0", "a/0", *IDS[2:]])), "more than once: a/0"),
        (npz(ids=np.array(IDS, object)), "ids: list"),
        (npz(values=VALUES.astype(object)), "expected texts"),
        (npz(values=VALUES[:3]), "4 ids, 3 values"),
        (npz(values=VALUES[0]), "expected texts"),
        (npz(offsets=np.array([0, 3, 2, 3, 4])), "offsets"),
        (npz(offsets=np.array([1, 2, 3, 3, 4])), "offsets"),
        (npz(offsets=np.arange(4)), "offsets"),
        (npz(more=VALUES), "expected ids, values"),
        (lambda folder: np.save(folder / "text.npy", VALUES), "text.npy, expected text.npz"),
        (lambda folder: (folder / "text.h5").write_bytes(b"x"), "text.h5, expected text.npz"),
    ],
)
def test_vectors_that_do_not_fit_the_table_are_refused(
    tmp_path: Path, write: Callable[[Path], Any], words: str
) -> None:
    lay_out(tmp_path)
    write(tmp_path)
    assert words in refusal(tmp_path)


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, label=["x"] * 4)
    assert "label" in refusal(tmp_path)


def test_a_folder_of_nothing_known_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert "holds notes.txt" in refusal(tmp_path)


def test_fingerprints_are_those_of_git_and_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")
    sha256, blob = fingerprints(tmp_path / "x")
    assert blob == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert {len(digest) for digest in KNOWN} == {40, 64}
