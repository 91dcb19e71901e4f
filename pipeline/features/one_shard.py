"""`python -m pipeline extract CORPUS STAGE --shard K/N`: for schedulers that know no Ray.

Fills the clip cache for one of N parts of a corpus. When all have ended, `dvc repro` finds
everything there.
"""

import re

from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, hint
from pipeline.base.paths import places
from pipeline.base.progress import track
from pipeline.base.settings import Modality
from pipeline.features.audio import extract as audio
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.common.shards import Make, shards
from pipeline.features.frames import extract as frames
from pipeline.features.text import extract as text
from pipeline.features.visual import extract as visual

STEPS: dict[str, tuple[Modality, Make]] = {
    "frames": ("visual", frames.step_of),
    "visual": ("visual", visual.step_of),
    "audio": ("audio", audio.step_of),
    "text": ("text", text.step_of),
}


def carry_out(params: Params, corpus: str, stage: str, shard: str) -> None:
    """Fill the cache for a shard, `K/N` with K from 1.

    Raises:
        PipelineError: There is no such stage or shard, what the stage reads is missing, or the
            corpus' settings do not extract the modality.
    """
    params.check(corpus)
    if stage not in STEPS:
        raise PipelineError(f"extract: got the stage {stage!r}{hint(stage, STEPS)}")
    modality, make = STEPS[stage]
    if not params.of(ExtractSettings, corpus).computed(modality):
        raise PipelineError(f"{corpus}.extract does not extract {modality}: nothing to do.")
    where = places(corpus)
    rows = part(shards(where.manifest), shard)
    step = make(params, corpus, where)
    for _ in track(step.rows(rows), f"{stage} {corpus}, shard {shard}", len(rows)):
        pass
    failed = f", {len(step.failed)} clips could not be used" * bool(step.failed)
    say(f"{stage} {corpus}, shard {shard}: rows {rows.start + 1} to {rows.stop} are done{failed}")


def part(shards: list[range], shard: str) -> range:
    """The rows of one of N parts, which consist of whole shards; none where N is too large.

    Raises:
        PipelineError: It is not K/N with K from 1 to N.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise PipelineError(f"--shard: got {shard!r}, expected K/N with K from 1 to N, as in 3/16")
    cuts = [len(shards) * place // count for place in (number - 1, number)]
    ends = [0, *(rows.stop for rows in shards)]
    return range(ends[cuts[0]], ends[cuts[1]])
