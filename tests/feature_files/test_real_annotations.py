"""Feature files beside the real annotations of IEMOCAP and MELD; the vectors are made up."""

import pickle
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.corpora.iemocap import LABEL_SETS, erc7433
from pipeline.corpora.meld import LABEL_SETS as MELD_SETS
from pipeline.corpora.registry import READERS
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.imported import Found, find_features
from pipeline.records.manifest import Utterance

GEMAPS = "iemocap_gemaps.npz"


def utterances_of(reader: str, root: Path, **options: Any) -> list[Utterance]:
    known = READERS[reader]
    settings = known.options.model_validate(
        {"reader": reader, "full": True, "max_seconds": 60, **options}
    )
    return known.read(root, settings).utterances


@pytest.fixture(scope="module")
def iemocap(shared: Path) -> list[Utterance]:
    if not (shared / "iemocap_text").is_dir():
        pytest.skip("needs iemocap_text of ../shared, which is not here")
    return utterances_of("iemocap", shared / "iemocap_text", letterbox=0.2)


@pytest.fixture(scope="module")
def meld(shared: Path) -> list[Utterance]:
    return utterances_of("meld", shared / "meld_csv", test_twins="final")


def found(folder: Path, file: str, utterances: Sequence[Utterance], reader: str) -> Found:
    settings = ExtractSettings(modalities=("audio",), imported={"audio": file})
    return find_features(settings, READERS[reader], utterances, folder, "audio")


@pytest.mark.slow
def test_acoustic_values_of_all_of_iemocap_are_imported_by_their_ids(
    shared: Path, iemocap: list[Utterance]
) -> None:
    rows = found(shared, GEMAPS, iemocap, "iemocap").rows
    with np.load(shared / GEMAPS) as file:
        values = dict(zip(file["ids"].tolist(), file["values"], strict=True))
    assert len(rows) == len(values) == 10_039
    assert all((vector == values[name]).all() for name, vector in rows if vector is not None)
    assert not [name for name, vector in rows if vector is None and values[name].any()]


def six(u: Utterance) -> int | None:
    return LABEL_SETS["six"].index(erc7433(u))


def vectors_of(dialogues: Mapping[Any, Sequence[Utterance]]) -> dict[Any, np.ndarray]:
    """[turn, 2]: the digits of a turn's id, which nothing else has."""
    return {
        key: np.array([[1.0, number(u)] for u in turns], np.float32)
        for key, turns in dialogues.items()
    }


def number(u: Utterance) -> float:
    return float("".join(filter(str.isdigit, u.utterance))[-6:])


@pytest.mark.slow
def test_a_tuple_without_ids_finds_the_7433_turns_of_six_classes(
    tmp_path: Path, iemocap: list[Utterance]
) -> None:
    groups = groupby(iemocap, key=lambda u: u.dialogue)
    dialogues = {name: [u for u in turns if six(u) is not None] for name, turns in groups}
    (tmp_path / "cosmic.pkl").write_bytes(cosmic(dialogues))
    settings = ExtractSettings(modalities=("text",), imported={"text": "cosmic.pkl"})
    result = find_features(settings, READERS["iemocap"], iemocap, tmp_path, "text")
    assert sum(vector is not None for _, vector in result.rows) == 7433
    for u, (name, vector) in zip(iemocap, result.rows, strict=True):
        assert (u.utterance, vector is None) == (name, six(u) is None)
        assert vector is None or vector[0, 1] == np.float32(number(u))


def cosmic(dialogues: Mapping[str, Sequence[Utterance]]) -> bytes:
    """COSMIC's list of ten for IEMOCAP, which has no ids of turns."""
    vectors = {k: list(rows) for k, rows in vectors_of(dialogues).items()}
    labels = {k: [six(u) for u in turns] for k, turns in dialogues.items()}
    sides = {k: [u.speaker[-1] for u in turns] for k, turns in dialogues.items()}
    words = {k: [u.text for u in turns] for k, turns in dialogues.items()}
    test = [k for k in dialogues if k[4] == "5"]
    train = [k for k in dialogues if k[4] != "5"]
    return pickle.dumps([sides, labels, *[vectors] * 4, words, train[:-12], test, train[-12:]], 4)


def write_multiemo(folder: Path, dialogues: Mapping[int, Sequence[Utterance]]) -> None:
    """MultiEMO's folder for MELD: labels and words in a tuple, vectors in a dict beside it."""
    (folder / "multiemo").mkdir()
    order = MELD_SETS["emotion"]
    labels = {k: [order.index(u.emotion) for u in turns] for k, turns in dialogues.items()}
    speakers = {
        k: [[int(n == place) for n in range(9)] for place in places(turns)]
        for k, turns in dialogues.items()
    }
    zeros = {k: np.zeros((len(turns), 2), np.float32) for k, turns in dialogues.items()}
    words = {k: [u.text for u in turns] for k, turns in dialogues.items()}
    ids = {k: [official(u) for u in turns] for k, turns in dialogues.items()}
    train, test = [k for k in dialogues if k < 1153], [k for k in dialogues if k >= 1153]
    parts = (ids, speakers, labels, zeros, zeros, zeros, words, train, test, None)
    (folder / "multiemo/Speakers.pkl").write_bytes(pickle.dumps(parts, 4))
    audio = pickle.dumps(vectors_of(dialogues), 4)
    (folder / "multiemo/AudioFeatures.pkl").write_bytes(audio)


def official(u: Utterance) -> int:
    """The Utterance_ID, which has gaps."""
    return int(u.utterance.rpartition("_utt")[2])


def places(turns: Sequence[Utterance]) -> list[int]:
    known: dict[str, int] = {}
    return [known.setdefault(u.speaker, len(known)) for u in turns]


def by_key(meld: Sequence[Utterance]) -> dict[int, list[Utterance]]:
    offset = {"train": 0, "dev": 1039, "test": 1153}
    groups = groupby(meld, key=lambda u: u.dialogue)
    return {
        offset[name.partition("/")[0]] + int(name.partition("dia")[2]): list(turns)
        for name, turns in groups
    }


@pytest.mark.slow
def test_all_of_meld_is_found_by_its_keys(tmp_path: Path, meld: list[Utterance]) -> None:
    write_multiemo(tmp_path, by_key(meld))
    result = found(tmp_path, "multiemo", meld, "meld")
    for u, (name, vector) in zip(meld, result.rows, strict=True):
        assert u.utterance == name and vector is not None and vector[0, 1] == np.float32(number(u))


def test_offsets_that_close_the_gap_at_60_are_refused(
    tmp_path: Path, meld: list[Utterance]
) -> None:
    renumbered = dict(enumerate(by_key(meld).values()))
    write_multiemo(tmp_path, renumbered)
    with pytest.raises(PipelineError, match="renumbered"):
        found(tmp_path, "multiemo", meld, "meld")
