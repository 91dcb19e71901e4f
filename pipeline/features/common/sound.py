"""The sound of an utterance, as every audio encoder hears it."""

from pathlib import Path

import numpy as np

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.records.manifest import Segment

RATE = 16_000  # hertz


def sound_of(root: Path, segment: Segment) -> np.ndarray:
    """Decode a segment to [sample] float32, mono, 16 kHz.

    Args:
        root: The raw folder that its path is relative to.
        segment: An utterance's `audio`.

    Raises:
        MediaError: Why the segment cannot be used, or those of `load_mono`.
    """
    if segment.missing is not None:
        raise MediaError(segment.missing, "the utterance has no sound")
    assert segment.end is not None
    return load_mono(
        root / segment.path,
        rate=RATE,
        start=segment.start,
        end=segment.end,
        max_seconds=segment.end - segment.start,
    )
