"""Utterances of which there never was a sound or a video: passed over, and counted nowhere."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipeline.base.errors import PipelineError
from pipeline.base.settings import Modality
from pipeline.records.manifest import Segment, Utterance, count_utterances

# In the place of a segment that never was: no stage opens its path.
NEVER = Segment("", missing="never")


def filled(u: Utterance) -> Utterance:
    """The utterance with `NEVER` in the place of each segment that never was."""
    return replace(u, video=u.video or NEVER, audio=u.audio or NEVER)


def without(manifest: Path, modality: Modality, corpus: str) -> int:
    """Counts the utterances that never had a modality.

    Raises:
        PipelineError: None of them ever had it.
    """
    medium: Literal["video", "audio"] = "video" if modality == "visual" else "audio"
    every, having = count_utterances(manifest), count_utterances(manifest, medium)
    if every and not having:
        raise PipelineError(
            f"the corpus {corpus} has no {medium}, expected some: take {modality} out of "
            f"{corpus}.extract.modalities and of each system's, {corpus}.SYSTEM.modalities."
        )
    return every - having
