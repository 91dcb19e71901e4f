"""What is exported reads back as it was, through the reader of published files."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.feature_files.classes import MERTOOLS_MELD
from pipeline.feature_files.contents import Contents
from pipeline.feature_files.export import LAYOUTS, export
from pipeline.feature_files.exported import Exported
from pipeline.feature_files.read import read
from pipeline.records.manifest import Utterance
from tests.feature_files.foreign_loaders import FILES
from tests.feature_files.small_corpora import CLASSES, corpus

FOLDERS = {"mertools": "features", "emobox": "features", "neutral": "", "multiemo": ""}
# Files of one utterance each show a corpus by its names, which EmoryNLP has none of.
CASES = [
    *((layout, kind) for layout in LAYOUTS for kind in ("meld", "iemocap")),
    *((layout, "emorynlp") for layout in ("cosmic", "neutral")),
]
IN_FRAMES = ("mmsa", "neutral")
WITHOUT_WORDS = ("mertools", "emobox")


def read_back(tmp_path: Path, layout: str, kind: str, given: Exported) -> Contents:
    export(layout, given, tmp_path / "out")
    name = FILES[layout, kind][0] if (layout, kind) in FILES else "unaligned_50.pkl"
    classes = MERTOOLS_MELD if (layout, kind) == ("mertools", "meld") else CLASSES[kind]
    return read(tmp_path / "out" / FOLDERS.get(layout, name), classes)


def expected(given: Exported, modality: str, utterance: Utterance, layout: str) -> np.ndarray:
    """The frames, or their mean; a zero where there are none."""
    frames = given.vectors(modality, utterance)
    if layout in IN_FRAMES:
        return frames
    return given.pooled(modality, [utterance])


def written(given: Exported, layout: str) -> list[Utterance]:
    """In the order of the file."""
    if layout == "neutral":
        return list(given.utterances)
    return [turn.utterance for turn in given.first_fold]


@pytest.mark.parametrize(("layout", "kind"), CASES)
def test_vectors_come_back_as_they_were(tmp_path: Path, layout: str, kind: str) -> None:
    given = corpus(kind)
    contents = read_back(tmp_path, layout, kind, given)
    assert set(contents.vectors) & set(given.stores) == set(LAYOUTS[layout].modalities)
    turns = written(given, layout)
    assert len(contents.turns) == len(turns)
    for modality in LAYOUTS[layout].modalities:
        for row, utterance in zip(contents.vectors[modality], turns, strict=True):
            frames = expected(given, modality, utterance, layout)
            if row is None or not row.any():
                assert not frames.any(), "missing rows are None or zeros"
            else:
                assert np.array_equal(row, frames)


@pytest.mark.parametrize(("layout", "kind"), [c for c in CASES if c[0] != "mmsa"])
def test_labels_names_words_and_splits_come_back_as_they_were(
    tmp_path: Path, layout: str, kind: str
) -> None:
    given = corpus(kind)
    contents = read_back(tmp_path, layout, kind, given)
    turns = written(given, layout)
    assert contents.corpus == kind
    for fact in ("emotion", "dialogue", "session"):
        assert [getattr(t, fact) for t in contents.turns] == [getattr(u, fact) for u in turns]
    assert [t.split for t in contents.turns] == [u.official_split for u in turns]
    if layout not in ("cosmic", "multiemo"):
        assert [t.utterance for t in contents.turns] == [u.utterance for u in turns]
    if layout not in WITHOUT_WORDS:
        assert [t.text for t in contents.turns] == [u.text for u in turns]
    if kind == "iemocap":
        assert [t.speaker for t in contents.turns] == [u.speaker for u in turns]


@pytest.mark.parametrize("layout", ["cfn_esa", "cosmic", "neutral"])
def test_melds_sentiments_come_back_as_they_were(tmp_path: Path, layout: str) -> None:
    given = corpus("meld")
    contents = read_back(tmp_path, layout, "meld", given)
    found = [t.sentiment for t in contents.turns]
    numbers = {"neutral": "0", "positive": "1", "negative": "2"}
    codes = [str(u.sentiment) for u in written(given, layout)]
    assert found in (codes, [numbers[code] for code in codes]), "numbers: counts are not published"


@pytest.mark.parametrize("kind", ["meld", "iemocap"])
def test_mmsas_ratings_come_back_as_they_were(tmp_path: Path, kind: str) -> None:
    contents = read_back(tmp_path, "mmsa", kind, corpus(kind))
    of_turns = {
        "meld": [1.0, 0.0, -1.0, -1.0, -1.0, -1.0, 1.0],
        "iemocap": [1.0, 1.0, 0.0, -1.0, -1.0, -1.0, 1.0],
    }
    assert [t.valence for t in contents.turns] == of_turns[kind]
    assert contents.turns[0].split == "train" and contents.turns[-1].split == "test"


def test_what_encoders_have_seen_comes_back_from_the_neutral_folder(tmp_path: Path) -> None:
    seen = {"text": "train", "audio": "none", "visual": "unknown"}
    contents = read_back(tmp_path, "neutral", "meld", corpus("meld", trained_on=seen))
    assert contents.trained_on == seen
