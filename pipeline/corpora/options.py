"""What every corpus reader's options hold; each reader adds its own."""

from pydantic import Field

from pipeline.settings.base import Section


class ReaderOptions(Section):
    """The common part of the block `corpus.NAME`."""

    reader: str = Field(description="A name of pipeline/corpora/registry.py.")
    full: bool = Field(
        description="Whether the folder is meant to hold the whole release: its counts are then "
        "compared with the published ones."
    )
    max_seconds: float = Field(gt=0, description="Longer segments are cut here, and noted.")
