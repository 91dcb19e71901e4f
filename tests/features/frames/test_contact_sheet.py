"""`python -m pipeline contact-sheet`: what the network sees, drawn."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.cli import app
from pipeline.features.common.images import decode_image, encode_image
from pipeline.features.frames.contact_sheet import FRAMES, GAP, LINE, SIDE
from pipeline.records.frames import Pictures, write_frames
from pipeline.records.manifest import Origin, Segment, Utterance, write_manifest
from pipeline.records.protocol import Entry, Protocol, write_protocol


def store(*levels: int | None) -> None:
    """A frame store of plain utterances, five frames of one grey each; None is missing."""
    rows = []
    for number, level in enumerate(levels):
        image = encode_image(np.full((224, 224, 3), level or 0, np.uint8), "png", 90)
        pictures = Pictures([0.1] * 5, [[0, 0, 1, 1]] * 5, "one", [image] * 5)
        rows.append((f"u{number}", None if level is None else pictures))
    write_frames(paths.frames("toy"), rows, {"extractor": "frames"})


def drawn(*options: str) -> Result:
    return CliRunner().invoke(app, ["contact-sheet", "toy", *options])


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """Caption and pictures of one utterance."""
    top = GAP + row * (LINE + SIDE + GAP)
    left = GAP + column * (FRAMES * SIDE + GAP)
    return sheet[top : top + LINE + SIDE, left : left + FRAMES * SIDE]


def test_utterances_stand_row_by_row_under_their_captions(workspace: Path) -> None:
    store(90, None, 120, 150)
    assert drawn("--out", "sheet.png").output == "sheet.png: 3 of 3 utterances\n"
    sheet = decode_image((workspace / "sheet.png").read_bytes())
    assert sheet.shape == (2 * (LINE + SIDE + GAP) + GAP, 2 * (FRAMES * SIDE + GAP) + GAP, 3)
    for place, level in (((0, 0), 90), ((0, 1), 120), ((1, 0), 150)):
        assert (tile(sheet, *place)[LINE:] == level).all()
        assert tile(sheet, *place)[:LINE].max() > 200, "a caption"
    assert (tile(sheet, 1, 1) == sheet[0, 0]).all(), "nothing there"


def test_the_caption_tells_id_label_and_record(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    plain = cv2.putText

    def put(image: np.ndarray, text: str, *how: Any) -> Any:
        written.append(text)
        return plain(image, text, *how)

    monkeypatch.setattr(cv2, "putText", put)
    store(90, 90, None, 90)
    drawn()
    assert written == ["u0  -  face: one", "u1  -  face: one", "u3  -  face: one"]

    clip = Segment("a.mp4", end=1.0, sha256="a" * 64)
    rows = [
        Utterance(f"u{n}", "d", n, "s", "text", clip, clip, emotion=emotion)
        for n, emotion in enumerate(["ang", "xxx", "hap", None])
    ]
    write_manifest(paths.manifest("toy"), rows, Origin("meld", False))
    written.clear()
    drawn()
    assert written == ["u0  ang  face: one", "u1  xxx  face: one", "u3  -  face: one"]

    entries = [Entry(0, "train", "d", "u0", "s", 1), Entry(0, "train", "d", "u1", "s", None)]
    write_protocol(paths.protocol("toy"), Protocol(("joy", "anger"), entries))
    written.clear()
    drawn()
    assert written == ["u0  anger  face: one", "u1  xxx  face: one", "u3  -  face: one"]


def test_it_is_the_same_each_time_and_evenly_spaced(workspace: Path) -> None:
    store(*range(60, 160, 2))
    assert drawn("--count", "5").output == "data/contact_sheets/toy.png: 5 of 50 utterances\n"
    first = (workspace / "data/contact_sheets/toy.png").read_bytes()
    drawn("--count", "5")
    assert (workspace / "data/contact_sheets/toy.png").read_bytes() == first
    sheet = decode_image(first)
    levels = [tile(sheet, n // 2, n % 2)[-1, 0, 0] for n in range(5)]
    assert levels == [70, 90, 110, 130, 150], "rows 5, 15, 25, 35 and 45"


def test_what_a_user_can_mend_is_told(workspace: Path) -> None:
    """`python -m pipeline` turns a PipelineError into its message."""

    def told(*options: str) -> str:
        error = drawn(*options).exception
        assert isinstance(error, PipelineError)
        return str(error)

    assert "dvc repro frames@toy" in told()
    store(None, None)
    error = CliRunner().invoke(app, ["contact-sheet", "tyo"]).exception
    assert "There are stores of ['toy']" in str(error)
    assert "holds no pictures" in told()
    store(90)
    (workspace / "file").write_text("")
    assert "cannot be written" in told("--out", "file/a.png")
