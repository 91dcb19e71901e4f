"""Brings the files of one encoder of a corpus into its encoder folder."""

from pipeline import paths
from pipeline.params import Params
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.faces import FacesSettings
from pipeline.settings.frames import FramesSettings
from pipeline.settings.text import TextSettings
from pipeline.settings.visual import VisualSettings
from pipeline.stage import run
from pipeline.weights.folder import install, install_none
from pipeline.weights.lock import Role
from pipeline.weights.store import store_root

EncoderSettings = FacesSettings | VisualSettings | TextSettings
SETTINGS: dict[Role, type[EncoderSettings]] = {
    "faces": FacesSettings,
    "visual": VisualSettings,
    "text": TextSettings,
}


def work(params: Params, corpus: str, role: Role) -> None:
    """Fills `models/encoders/CORPUS/ROLE`; without files where the role is not needed."""
    folder = paths.encoder(corpus, role)
    if not _needed(params, corpus, role):
        install_none(folder)
        return
    name = params.of(SETTINGS[role], corpus).encoder
    install(name, role, folder, store_root(), f"{role}.{corpus}.encoder")
    print(f"{role}: {name}")


def _needed(params: Params, corpus: str, role: Role) -> bool:
    modality = "text" if role == "text" else "visual"
    faces = role != "faces" or params.of(FramesSettings, corpus).crop == "face"
    return faces and modality in params.of(ExtractSettings, corpus).modalities


if __name__ == "__main__":
    run(work)
