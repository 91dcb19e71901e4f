"""Raw video to pictures: evenly spaced frames, the face cut out."""

from pipeline.frames import write_frames
from pipeline.ledger import write_ledger
from pipeline.params import Params
from pipeline.places import places
from pipeline.settings.extract import ExtractSettings
from pipeline.stage import run
from pipeline.steps import frames


def work(params: Params, corpus: str) -> None:
    """Writes the frame store and its ledger; both empty where visual is not extracted."""
    where = places(corpus)
    if "visual" in params.of(ExtractSettings, corpus).modalities:
        frames.extract(params, corpus, where).check(corpus)
    else:
        write_frames(where.frames, [], {"extractor": None})
        write_ledger(where.ledgers["frames"], [])


if __name__ == "__main__":
    run(work)
