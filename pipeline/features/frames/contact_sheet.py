"""`python -m pipeline contact-sheet CORPUS`: what the network sees, for a person to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing
from pipeline.features.common.images import decode_image, encode_image
from pipeline.records.frames import Pictures, present_rows, read_frames
from pipeline.records.manifest import read_manifest
from pipeline.records.protocol import read_protocol

FRAMES = 4
SIDE = 112
COLUMNS = 2
GAP = 8
LINE = 18
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
WHITE, GREY = (255, 255, 255), (40, 40, 40)


def draw(corpus: str, out: Path, count: int) -> None:
    """Draw evenly spaced utterances of a frame store, a few evenly spaced frames each, as PNG."""
    store = paths.frames(corpus)
    if not store.is_file():
        others = sorted(path.stem for path in store.parent.glob("*.parquet"))
        raise PipelineError(
            f"{store} does not exist; `dvc repro frames@{corpus}` makes it. There are stores of "
            f"{others}."
        )
    rows = present_rows(store)
    if not rows:
        raise PipelineError(
            f"{store} holds no pictures: is visual in {corpus}.extract.modalities, and were its "
            f"clips found? `python -m pipeline doctor {corpus}` looks."
        )
    labels = _labels(corpus)
    tiles = [
        _tile(f"{utterance}  {labels.get(utterance, '-')}  face: {pictures.speaker}", pictures)
        for utterance, pictures in read_frames(store, set(spaced(rows, count)))
        if pictures is not None
    ]
    try:
        with replacing(out) as part:
            part.write_bytes(encode_image(_sheet(tiles), "png", 0))
    except OSError as error:
        raise PipelineError(f"{out} cannot be written: {error}") from error
    say(f"{out}: {len(tiles)} of {len(rows)} utterances")


def spaced(items: Sequence[int], count: int) -> list[int]:
    """The middles of `count` equal parts of a sequence, or all of a shorter one."""
    count = min(count, len(items))
    return [items[(2 * part + 1) * len(items) // (2 * count)] for part in range(count)]


def _labels(corpus: str) -> Mapping[str, str]:
    """By utterance its class, or the corpus' own emotion code where the protocol gives none."""
    labels: dict[str, str] = {}
    if paths.manifest(corpus).is_file():
        utterances = read_manifest(paths.manifest(corpus))
        labels = {u.utterance: u.emotion for u in utterances if u.emotion is not None}
    if paths.protocol(corpus).is_file():
        protocol = read_protocol(paths.protocol(corpus))
        for entry in protocol.entries:
            if entry.label is not None:
                labels[entry.utterance] = protocol.classes[entry.label]
    return labels


def _tile(caption: str, pictures: Pictures) -> np.ndarray:
    """A caption over a row of pictures, uint8 RGB [height, width, 3]."""
    tile = np.full((LINE + SIDE, FRAMES * SIDE, 3), GREY, np.uint8)
    cv2.putText(tile, caption, (2, LINE - 5), FONT, FONT_SCALE, WHITE, 1, cv2.LINE_AA)
    chosen = spaced(range(len(pictures.images)), FRAMES)
    for place, number in enumerate(chosen):
        image = decode_image(pictures.images[number])
        small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        tile[LINE:, place * SIDE : (place + 1) * SIDE] = small
    return tile


def _sheet(tiles: Sequence[np.ndarray]) -> np.ndarray:
    height, width = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    size = rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3
    sheet = np.full(size, GREY, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return sheet
