"""A check of params.yaml that names a mistyped corpus before any other stage works.

Without it DVC stops at the first stage of an unknown corpus, whose settings it does not find.
"""

from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.base.paths import PARAMS_CHECKED
from pipeline.base.stage import run


def work(params: Params) -> None:
    """Writes the same line every time, so that no other stage runs again because of it."""
    write_text(PARAMS_CHECKED, "Each corpus of `corpora` and `demos` has a block in params.yaml.\n")


if __name__ == "__main__":
    run(work)
