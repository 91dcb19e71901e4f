"""Corrupted content to features: as the stages make them, kept apart from clean ones, once."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.base import paths
from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.base.files import sha256_file
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.base.settings import Modality
from pipeline.corruption.corrupted import CorruptedPictures, Extract, Row, extractors
from pipeline.corruption.corruptions import CORRUPTIONS, Corruption
from pipeline.features.text import extract as text_stage
from pipeline.features.text.extract import Encode
from pipeline.features.text.turns import Turn
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS, Features, read_features
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from stages import audio, finetune, text, weights
from tests.conftest import PARAMS
from tests.dag.clone import with_corpora, with_values
from tests.features.audio.test_speech import MAKERS, save
from tests.features.text.test_encoder import bert
from tests.features.visual.test_extract import CountingEncoder, row
from tests.media.make_media import tone, write_wav

CORPUS = "demo_meld"
TEXTS = ["Oh my God!", "No.", "you have lost it all", "", "I am so happy to see you!"]


def called(modality: str, name: str) -> Corruption:
    (one,) = (c for c in CORRUPTIONS if (c.modality, c.name) == (modality, name))
    return one


def set_to(section: str, **values: object) -> None:
    """Writes params.yaml with some settings of a section."""
    named = {f"{section}.{key}": value for key, value in values.items()}
    changed = with_values(PARAMS.read_text(), named, CORPUS)
    Path("params.yaml").write_text(with_corpora(changed, CORPUS))


@pytest.fixture
def utterances(workspace: Path) -> list[Utterance]:
    """A dialogue of five turns, the fourth without sound or words."""
    raw = paths.raw(CORPUS)
    raw.mkdir(parents=True)
    rows = []
    for turn, said in enumerate(TEXTS):
        clip = write_wav(raw / f"{turn}.wav", tone(0.5, 16000, 200.0 + 100 * turn))
        missing = None if said else "absent"
        segment = Segment(f"{turn}.wav", end=0.5, sha256=sha256_file(clip), missing=missing)
        rows.append(Utterance(f"u{turn}", "d", turn, "s", said, segment, segment))
    write_manifest(paths.manifest(CORPUS), rows, Origin("meld", False))
    return rows


def clean_store(modality: str) -> Features:
    """What the stages make."""
    params = read_params()
    weights.work(params, CORPUS, modality)
    if modality == "text":
        finetune.work(params, CORPUS)
    {"audio": audio, "text": text}[modality].work(params, CORPUS)
    return read_features(paths.features(CORPUS, modality))


def extract(modality: Modality) -> Extract:
    return extractors(read_params(), CORPUS, places(CORPUS), [modality])[modality]


def vectors(rows: Iterable[Row]) -> dict[str, list[float] | None]:
    return {utterance: None if v is None else v[0].tolist() for utterance, v in rows}


def stored(store: Features) -> dict[str, list[float]]:
    names = [u for u, there in zip(store.utterances, store.present, strict=True) if there]
    return dict(zip(names, store.values.tolist(), strict=True))


def known(found: dict[str, list[float] | None]) -> dict[str, list[float]]:
    return {utterance: vector for utterance, vector in found.items() if vector is not None}


def made(folder: Path) -> dict[Path, int]:
    """Entries of the cache below the working folder, with the time of their writing."""
    files = (path for path in folder.glob("cache/*/*/*/*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("extractor", ["opensmile", "speech"])
def test_sounds(utterances: list[Utterance], workspace: Path, extractor: str) -> None:
    torch.manual_seed(0)
    save(MAKERS["hubert"](), workspace / "tiny")
    set_to("audio", extractor=extractor, feature_set="eGeMAPSv02", encoder="./tiny")
    store = clean_store("audio")
    having = [u for u in utterances if u.audio.missing is None]
    ours = extract("audio")
    silence, noise = called("audio", "silence"), called("audio", "noise")

    assert vectors(ours(having, silence, 0.0)) == stored(store), "the very same features"
    quiet = vectors(ours(having, silence, 100.0))
    assert list(quiet) == [u.utterance for u in having]
    first, *others = quiet.values()
    assert all(other == first for other in others), "no sound is like another silence"
    loud = vectors(ours(having, noise, 0.0))
    assert loud != vectors(ours(having, noise, 40.0)) != stored(store)
    known_by = [file.read_text() for file in workspace.glob("cache/audio/*.json")]
    assert len(known_by) == 5, "the clean one, and one for each step: entries never mix"
    for step in ("0 dB", "40 dB", "0 % of the sound", "100 % of the sound"):
        assert len([text for text in known_by if f'"{step}"' in text]) == 1

    entries = made(workspace)
    for file in paths.raw(CORPUS).iterdir():
        file.unlink()
    again = extract("audio")
    assert vectors(again(having, noise, 0.0)) == loud
    assert made(workspace) == entries, "nothing was computed"
    with pytest.raises(PipelineError, match="u0 has features in the audio store, but its sound"):
        vectors(again(having, noise, 10.0))


def test_texts_and_the_turns_before_them(
    utterances: list[Utterance], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    (workspace / "tiny").mkdir()
    bert(workspace / "tiny")
    set_to("text", encoder="./tiny", context_turns=2)
    store = clean_store("text")
    ours = extract("text")
    dropout = called("text", "word dropout")
    entries = made(workspace)
    assert known(vectors(ours(utterances, dropout, 0.0))) == stored(store)
    assert made(workspace) == entries, "clean texts are in the cache already"

    read: list[Turn] = []
    encoding = text_stage.encoding

    def noting(*words: Any) -> Encode:
        encode = encoding(*words)

        def noted(turns: Sequence[Turn]) -> Iterable[tuple[int, np.ndarray]]:
            read.extend(turns)
            return encode(turns)

        return noted

    monkeypatch.setattr(text_stage, "encoding", noting)
    last = [utterances[-1]]
    thinned = [dropout.at(50.0)(u).text for u in utterances]
    assert list(vectors(ours(last, dropout, 50.0))) == ["u4"]
    assert Turn(thinned[4], (thinned[2], thinned[3])) in read, "its dialogue is thinned with it"
    nothing = vectors(ours(utterances, dropout, 100.0))
    assert Turn("", ("", "")) in read
    assert set(nothing.values()) == {None}, "what has no words has no text"

    read.clear()
    assert vectors(ours(utterances, dropout, 100.0)) == nothing
    assert not read, "nothing is computed twice"


def darker(picture: np.ndarray, level: float) -> np.ndarray:
    return picture - np.uint8(level)


def test_pictures_are_corrupted_on_their_way_to_the_network(tmp_path: Path) -> None:
    rows = [row("u0", 90, 91), ("u1", None), row("u2", 91, 92, 93)]
    encoder = CountingEncoder(batch_size=3)

    def found(level: float, network: CountingEncoder) -> list[list[float] | None]:
        cache = ClipCache("visual", level, VECTORS, tmp_path)
        corrupted = CorruptedPictures(partial(darker, level=level), network)
        pairs = visual_of(lambda: iter(rows), corrupted, cache)
        return [None if v is None else v[:, 0].tolist() for _, v in pairs]

    assert found(0.0, encoder) == [[90, 91], None, [91, 92, 93]]
    assert found(20.0, encoder) == [[70, 71], None, [71, 72, 73]]
    fresh = CountingEncoder(batch_size=3)
    assert found(20.0, fresh) == [[70, 71], None, [71, 72, 73]]
    assert fresh.counts == [], "all was in the cache"
