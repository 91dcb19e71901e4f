"""`audio`: openSMILE functionals."""

from pydantic import Field

from pipeline.settings.base import Section


class AudioSettings(Section):
    """The acoustic features, computed at 16 kHz mono."""

    feature_set: str = Field(
        pattern=r"^\w+$",
        description="An openSMILE feature set: ComParE_2016, eGeMAPSv02, GeMAPSv01b, emobase, ...",
    )
