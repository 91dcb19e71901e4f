"""Write the raw tree of a demo corpus."""

from pipeline.base import paths
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.demo.settings import DemoSettings
from pipeline.demo.tree import write_tree


def work(params: Params, corpus: str) -> None:
    """Generate media and annotation of `data/raw/CORPUS`."""
    write_tree(params.of(DemoSettings, corpus), paths.raw(corpus))


if __name__ == "__main__":
    run(work)
