"""Corrupt media of each kind: masked with a reason, and made alone once they are mended."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.corpora.meld import FOLDERS
from pipeline.records.features import read_features
from pipeline.records.frames import read_frames
from pipeline.records.ledger import read_ledger
from tests.features.small_corpus import CLIPS, CORPUS, entries, lay_out, results, run
from tests.media.make_media import tone, write_media

pytestmark = pytest.mark.slow

MEDIA_STAGES = ("frames", "audio")


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def cut_behind_its_index(path: Path) -> None:
    """An index at the front promises frames that are no longer there."""
    sound = tone(0.5, 48000)[None].repeat(2, 0)
    options = {"movflags": "faststart"}
    write_media(path, stamps=range(12), rate=Fraction(24), sound=sound, container_options=options)
    cut(path, 0.7)


KINDS: dict[str, Callable[[Path], object]] = {
    "absent": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: cut(path, 0.6),
    "lfs_pointer": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
    "random bytes": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "web page": lambda path: path.write_text("<!doctype html><title>404</title>" * 20),
    "no_audio": lambda path: write_media(path, stamps=range(12), rate=Fraction(24)),
    "no_video": lambda path: write_media(path, sound=tone(0.5, 48000)[None].repeat(2, 0)),
    "cut behind its index": cut_behind_its_index,
}


def clip(folder: Path, number: int) -> Path:
    name = f"dia{number // 4}_utt{number % 4}.mp4"
    return folder / "data/raw" / CORPUS / FOLDERS["train"][0] / name


def test_every_kind_of_corrupt_clip_is_masked_and_mended_alone(tmp_path: Path) -> None:
    folder, cache = tmp_path / "work", tmp_path / "cache"
    folder.mkdir()
    lay_out(folder)
    stages = ("manifest", *MEDIA_STAGES)
    run(folder, "weights", "faces", cache=cache)
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    for stage in stages:
        run(whole, stage, cache=tmp_path / "its own cache")

    for number, damage in enumerate(KINDS.values()):
        damage(clip(folder, number))
    for stage in stages:
        run(folder, stage, cache=cache)
    told = {
        f"{p.utterance} {p.modality} {p.kind}"
        for stage in stages
        for p in read_ledger(folder / f"data/ledgers/{CORPUS}/{stage}.parquet")
        if p.kind != "no_face"
    }
    frame_store = folder / f"data/frames/{CORPUS}.parquet"
    masked = {
        "visual": [name for name, pictures in read_frames(frame_store) if not pictures],
        "audio": without_audio(folder),
    }
    for number, kind in enumerate(KINDS):
        utterance = f"train/dia{number // 4}_utt{number % 4}"
        lacking = {"no_audio": ["audio"], "no_video": ["visual"]}.get(kind, ["audio", "visual"])
        kinds = {"random bytes": "unreadable", "web page": "unreadable"}
        for modality in lacking if kind != "cut behind its index" else []:
            assert utterance in masked[modality], (kind, modality)
            assert f"{utterance} {modality} {kinds.get(kind, kind)}" in told
    for good in range(len(KINDS), CLIPS):
        assert f"train/dia{good // 4}_utt{good % 4}" not in {*masked["visual"], *masked["audio"]}

    before = {stage: entries(cache, stage) for stage in MEDIA_STAGES}
    for number in range(len(KINDS)):
        shutil.copy(clip(whole, number), clip(folder, number))
    for stage in stages:
        run(folder, stage, cache=cache)
    for stage in MEDIA_STAGES:
        assert results(folder, stage) == results(whole, stage)
        after = entries(cache, stage)
        assert after.items() >= before[stage].items(), "what was whole is not made again"


def without_audio(folder: Path) -> list[str]:
    found = read_features(folder / f"data/features/{CORPUS}/audio.parquet")
    return [u for u, there in zip(found.utterances, found.present, strict=True) if not there]
