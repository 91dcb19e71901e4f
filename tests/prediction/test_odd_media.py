"""Hundreds of odd and damaged files through MELD's stages and `predict`: all losses are told."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base import paths
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.cli import main
from pipeline.corpora.meld import FOLDERS
from pipeline.prediction import predict as command
from pipeline.records.features import read_features
from pipeline.records.frames import read_frames
from pipeline.records.ledger import read_ledger
from stages import audio, frames, manifest
from tests.corpora.meld_tree import LINE, csv_bytes
from tests.media.odd_media import damaged, formats
from tests.prediction.small_model import CORPUS, checkpoint, prepare

DAMAGED = 400
# A dialogue is as long as MELD's.
TURNS = 10
# What befalls a process and not a file.
ENDED = {"crashed", "hung"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("media")
    for name in ("odd", "damaged"):
        (folder / name).mkdir()
    odd = formats(folder / "odd")
    assert len(odd) >= 200
    return [*odd, *damaged(folder / "damaged", DAMAGED)]


def lay_out(root: Path, clips: Sequence[Path]) -> None:
    """A MELD tree whose clips are links to media, all with MELD's ending."""
    for split, names in FOLDERS.items():
        (root / names[0]).mkdir(parents=True)
        count = len(clips) if split == "train" else 0
        turns = [divmod(number, TURNS) for number in range(count)]
        lines = [LINE.format(text="words", dialogue=d, utterance=u) for d, u in turns]
        (root / f"{split}_sent_emo.csv").write_bytes(csv_bytes(*lines))
        for clip, (dialogue, turn) in zip(clips[:count], turns, strict=True):
            (root / names[0] / f"dia{dialogue}_utt{turn}.mp4").symlink_to(clip)


@pytest.mark.slow
def test_every_loss_of_odd_and_damaged_media_is_told(
    clips: list[Path],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    prepare(workspace, monkeypatch, processes=True)
    monkeypatch.setattr(command, "draw_timelines", lambda *_: [])
    lay_out(paths.raw(CORPUS), clips)
    _check_stages(len(clips))
    _check_predict(clips, monkeypatch)
    printed = "".join(capfd.readouterr())
    for word in ("Traceback", "Warning", "double free", "corrupt", "Aborted"):
        assert word not in printed, printed[-3000:]


def _check_stages(count: int) -> None:
    """A modality is there, or one line of a ledger says why not."""
    params, where = read_params(), places(CORPUS)
    for stage in (manifest, audio, frames):
        stage.work(params, CORPUS)
    ledgers = ("manifest", "audio", "frames")
    lines = [line for name in ledgers for line in read_ledger(paths.ledger(CORPUS, name))]
    assert not ENDED & {line.kind for line in lines}
    told = {(line.utterance, line.modality) for line in lines}
    sound = read_features(where.stores["audio"])
    present = dict(zip(sound.utterances, sound.present, strict=True))
    seen = {name: pictures is not None for name, pictures in read_frames(where.frames)}
    assert len(present) == len(seen) == count
    for modality, has in (("audio", present), ("visual", seen)):
        assert {name for name, there in has.items() if not there} <= {
            u for u, m in told if m == modality
        }
        assert sum(has.values()) > 200


def _check_predict(clips: Sequence[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("talk")
    folder.mkdir()
    for clip in clips:
        (folder / clip.name).symlink_to(clip)
    with (folder / "utterances.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip", "speaker", "text"])
        rows.writerows([clip.name, "Ann", "Hello"] for clip in clips)
    words = ["predict", "--model", str(checkpoint(1)), "--input", str(folder)]
    monkeypatch.setattr(sys, "argv", ["pipeline", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    table = pd.read_parquet(folder / "predictions/predictions.parquet")
    ledger = pd.read_csv(folder / "predictions/ledger.csv")
    assert len(table) == len(clips) and not ENDED & set(ledger["kind"])
    told = set(zip(ledger["utterance"], ledger["modality"], strict=True))
    for name, present in zip(table["utterance"], table["modalities present"], strict=True):
        for modality in ("audio", "visual"):
            assert modality in present or (name, modality) in told, name
