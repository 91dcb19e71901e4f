"""`audio`: how the sound of an utterance becomes one vector."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.base.settings import Section

# opensmile.FeatureSet's names, written out because every stage reads every setting.
FeatureSet = Literal[
    "ComParE_2016",
    "GeMAPS",
    "GeMAPSv01a",
    "GeMAPSv01b",
    "IS09",
    "IS10",
    "IS11",
    "IS12",
    "IS13",
    "eGeMAPS",
    "eGeMAPSv01a",
    "eGeMAPSv01b",
    "eGeMAPSv02",
    "emobase",
]


class AudioSettings(Section):
    """The acoustic features, computed at 16 kHz mono; each extractor ignores the other's keys."""

    extractor: Literal["opensmile", "speech"] = Field(
        description="opensmile: an openSMILE feature set; speech: a network, `encoder`."
    )
    feature_set: FeatureSet = Field(description="Of opensmile.")
    level: Literal["functionals", "lld_pooled"] = Field(
        description="Of opensmile. functionals: the feature set's own; lld_pooled: mean and "
        "standard deviation over time of each low-level descriptor."
    )
    encoder: str | None = Field(
        description="Of speech: OWNER/NAME@COMMIT of huggingface.co or a folder; else null."
    )
    layers: Literal["last", "last4"] = Field(
        description="Of speech, then the mean over time. last: the network's output; last4: the "
        "mean of its last four blocks."
    )

    @model_validator(mode="after")
    def _has_its_encoder(self) -> "AudioSettings":
        if self.extractor == "speech" and self.encoder is None:
            raise ValueError(
                "extractor speech needs an encoder: OWNER/NAME@COMMIT of huggingface.co with the "
                "commit's 40 hex digits, or a folder such as ./my/encoder"
            )
        return self
