"""Check params.yaml, and name a mistyped corpus or system before any other stage works.

Without it DVC would look for the settings and the code of an unknown name, and delete what lies at
its outputs first.
"""

from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.base.paths import PARAMS_CHECKED
from pipeline.base.stage import run


def work(params: Params) -> None:
    """Write the same line every time, so that no other stage runs again because of it."""
    write_text(PARAMS_CHECKED, "Each corpus of `corpora` and `demos` has a block in params.yaml.\n")


if __name__ == "__main__":
    run(work)
