"""Raw video to pictures: evenly spaced frames, the face cut out."""

from pipeline.base.params import Params
from pipeline.base.paths import places
from pipeline.base.stage import run
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.frames import extract as frames
from pipeline.records.frames import write_frames
from pipeline.records.ledger import write_ledger


def work(params: Params, corpus: str) -> None:
    """Writes the frame store and its ledger; both empty where visual is not extracted."""
    where = places(corpus)
    if params.of(ExtractSettings, corpus).computed("visual"):
        frames.extract(params, corpus, where).check(corpus)
    else:
        write_frames(where.frames, [], {"extractor": None})
        write_ledger(where.ledgers["frames"], [])


if __name__ == "__main__":
    run(work)
