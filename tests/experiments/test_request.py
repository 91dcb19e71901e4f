"""What the user asks for: names of pages and experiments, quick runs, other corpora."""

from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.experiments.reading import Request

RECIPE = """\
about: Why.
corpora: [m, i]
changes: [m.train.epochs=3, CORPUS.SYSTEM.workers=1]
variants: {full: [], text: [a.CORPUS.b=1], audio: [a.CORPUS.b=2]}
reference: full
"""


@pytest.fixture
def recipes(workspace: Path) -> Path:
    folder = workspace / "experiments"
    folder.mkdir()
    (folder / "slow.yaml").write_text(RECIPE)
    (folder / "both.yaml").write_text(RECIPE + "quick: [full, audio]\n")
    return folder


@pytest.mark.parametrize(
    ("request_", "label", "page", "options"),
    [
        (Request("r"), "r", "r.md", ""),
        (Request("r", quick=True), "r-quick", "quick/r.md", " --quick"),
        (Request("r", corpora=("m", "i")), "r-m-i", "r-m-i.md", " --corpus m --corpus i"),
        (Request("r", systems=("a",)), "r-a", "r-a.md", " --system a"),
        (Request("r", True, ("m",)), "r-quick-m", "quick/r-m.md", " --quick --corpus m"),
    ],
)
def test_names(request_: Request, label: str, page: str, options: str) -> None:
    assert request_.label == label
    assert request_.page(".md") == Path("docs/experiments") / page
    assert request_.command == f"python -m pipeline experiment r{options}"


def test_a_quick_run_on_other_corpora(recipes: Path) -> None:
    recipe = Request("both", quick=True, corpora=("x",)).recipe("s")
    seeds = ["x.s.workers=1", "x.s.seeds=[1]"]
    assert recipe.runs() == {"full": seeds, "audio": [*seeds, "a.x.b=2"]}


def test_a_recipe_without_quick_has_no_quick_run(recipes: Path) -> None:
    assert len(Request("slow").recipe("s").runs()) == 3
    with pytest.raises(PipelineError, match=r"slow.yaml has no key `quick`.*The variants of a qui"):
        Request("slow", quick=True).recipe("s")


def test_a_corpus_cannot_be_named_twice(recipes: Path) -> None:
    with pytest.raises(PipelineError, match=r"--corpus names one twice: \['m', 'm'\]"):
        Request("both", corpora=("m", "m")).recipe("s")
