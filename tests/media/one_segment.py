"""The frames of a single segment, for tests."""

from math import inf
from pathlib import Path

from pipeline.base.errors import MediaError
from pipeline.media.packets import Window
from pipeline.media.video import Frame, Region, Wanted, sample_segments


def sample_frames(
    path: Path,
    count: int,
    *,
    start: float = 0.0,
    end: float | None = None,
    region: Region | None = None,
    max_seconds: float = 60.0,
) -> list[Frame]:
    """What `sample_segments` finds for one segment; raises what it finds wrong."""
    window = Window(start, inf if end is None else end, max_seconds)
    ((_, found),) = sample_segments(path, count, [Wanted(window, region)])
    if isinstance(found, MediaError):
        raise found
    return found
