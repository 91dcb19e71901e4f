"""Which encoder a corpus needs for which role."""

from pipeline.params import Params
from pipeline.settings.audio import AudioSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.faces import FacesSettings
from pipeline.settings.frames import FramesSettings
from pipeline.settings.text import TextSettings
from pipeline.settings.visual import VisualSettings
from pipeline.weights.lock import Role


def wanted(params: Params, corpus: str, role: Role) -> str | None:
    """The encoder's name as params.yaml has it, None where nothing will use one.

    Args:
        params: The checked params.yaml.
        corpus: One of its corpora.
        role: What the encoder is for.
    """
    extracted = params.of(ExtractSettings, corpus).modalities
    if (role if role != "faces" else "visual") not in extracted:
        return None
    if role == "faces":
        crop = params.of(FramesSettings, corpus).crop
        return params.of(FacesSettings, corpus).encoder if crop == "face" else None
    if role == "visual":
        return params.of(VisualSettings, corpus).encoder
    if role == "text":
        return params.of(TextSettings, corpus).encoder
    settings = params.of(AudioSettings, corpus)
    return settings.encoder if settings.extractor == "speech" else None
