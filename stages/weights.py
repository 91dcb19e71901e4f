"""Brings the files of one encoder of a corpus into its encoder folder."""

from pipeline import paths
from pipeline.params import Params
from pipeline.stage import run
from pipeline.weights.install import install, install_none
from pipeline.weights.lock import Role
from pipeline.weights.store import store_root
from pipeline.weights.wanted import wanted


def work(params: Params, corpus: str, role: Role) -> None:
    """Fills `models/encoders/CORPUS/ROLE`; without files where the role is not needed."""
    folder = paths.encoder(corpus, role)
    name = wanted(params, corpus, role)
    if name is None:
        install_none(folder)
        return
    install(name, role, folder, store_root(), f"{role}.{corpus}.encoder")
    print(f"{role}: {name}")


if __name__ == "__main__":
    run(work)
