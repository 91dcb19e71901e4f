"""Brings the files of one encoder of a corpus into its encoder folder."""

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.params import Params
from pipeline.base.settings import Role
from pipeline.base.stage import run
from pipeline.weights.fetch import install, store_root
from pipeline.weights.folder import write_none
from pipeline.weights.names import wanted


def work(params: Params, corpus: str, role: Role) -> None:
    """Fills `models/pretrained/CORPUS/ROLE`; without files where the role is not needed."""
    folder = paths.pretrained(corpus, role)
    name = wanted(params, corpus, role)
    if name is None:
        write_none(folder)
        return
    install(name, role, folder, store_root(), f"{corpus}.{role}.encoder")
    say(f"{role}: {name}")


if __name__ == "__main__":
    run(work)
