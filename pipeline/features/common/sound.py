"""The sound of an utterance, as every audio encoder hears it."""

from pathlib import Path

import numpy as np

from pipeline.base.errors import MediaError
from pipeline.media.audio import load_mono
from pipeline.records.manifest import Segment

RATE = 16_000  # hertz


def sound_of(root: Path, segment: Segment) -> np.ndarray:
    """Decode an utterance's `audio` to [sample] float32, mono, 16 kHz; raises as `load_mono`."""
    if segment.missing is not None:
        raise MediaError(segment.missing, "the utterance has no sound")
    assert segment.end is not None
    start, end = segment.start, segment.end
    return load_mono(root / segment.path, rate=RATE, start=start, end=end, max_seconds=end - start)
