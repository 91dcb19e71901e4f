"""Writes the raw tree of a demo corpus."""

from pipeline import paths
from pipeline.demo.tree import write_tree
from pipeline.params import Params
from pipeline.settings.demo import DemoSettings
from pipeline.stage import run


def work(params: Params, corpus: str) -> None:
    """Generates the media and annotation of `data/raw/CORPUS`."""
    write_tree(params.of(DemoSettings, corpus), paths.raw(corpus))


if __name__ == "__main__":
    run(work)
