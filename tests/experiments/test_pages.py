"""What is printed and written: pages begin with their command, the same results give same bytes."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from pipeline.experiments import pages, tables
from pipeline.experiments.outcomes import Comparison, compare
from pipeline.experiments.reading import Request
from pipeline.experiments.recipe import Variants
from tests.experiments.planted import BESIDE, SYSTEM, Files, outcome, plan, reader, split

RECIPE = Variants(
    about="Why.",
    corpora=("x",),
    systems=(SYSTEM,),
    beside=BESIDE,
    changes=("CORPUS.mcn_cl.workers=1",),
    others=("CORPUS.mcn_cl.epochs=4",),
    variants={"full": (), "text": ("CORPUS.mcn_cl.modalities=[text]",), "weird": ("a.b=x|y",)},
    reference="full",
    quick=("full", "text"),
)


@pytest.fixture
def files() -> Files:
    found = outcome("r-full", (0.9, 0.8), ("text", "audio"))
    found |= outcome("r-text", (0.6, 0.6))
    return found | outcome("r-weird", (0.5, 0.4), ("audio",), split(("a", "b")))


@pytest.fixture
def found(files: Files) -> Comparison:
    return compare(RECIPE, plan(list(RECIPE.variants)), "x", SYSTEM, reader(files))


def test_what_is_printed(found: Comparison, workspace: Path) -> None:
    console = Console(record=True, width=140, file=(workspace / "out").open("w"))
    tables.show([found], console)
    printed = console.export_text()
    assert "x: 240 test utterances in 40 dialogues" in printed
    assert len(tables.sentences(found)) == 2 and all(
        said in printed for said in tables.sentences(found)
    )


def test_what_is_written(found: Comparison, workspace: Path) -> None:
    written = pages.write(Request("r"), RECIPE, [found])
    assert written == [Path(f"docs/experiments/r.{end}") for end in ("md", "csv", "png")]
    page, table, plot = written
    text = page.read_text()
    assert text.startswith("# r\n\n```sh\npython -m pipeline experiment r\n```\n\nWhy.\n")
    full, _, _, majority, linear, *_ = found.rows
    best = full.figures["weighted_f1"]
    own, apart = linear.figures["weighted_f1"], linear.differences["weighted_f1"]
    worse = f"{apart.value:+.1f} [{apart.low:+.1f}, {apart.high:+.1f}] | worse |"
    for said in (
        "[experiments/r.yaml](../../experiments/r.yaml)",
        "- `CORPUS.mcn_cl.workers=1`\n- but for full: `CORPUS.mcn_cl.epochs=4`\n",
        "| full | as it is |\n| text | `CORPUS.mcn_cl.modalities=[text]` |\n",
        "| weird | `a.b=x\\|y` |\n",
        "](r.png)",
        "120 train, 30 validation and 240 test utterances in 40 dialogues, all labelled (full); "
        "seeds 1, 2.",
        f"| full | {best.value:.1f} ± {full.std():.1f} [{best.low:.1f}, ",
        f"| logistic regression | {own.value:.1f} [{own.low:.1f}, {own.high:.1f}] | "
        f"{linear.figures['macro_f1'].value:.1f} | {worse}",
        *tables.sentences(found),
    ):
        assert said in text, text
    rows = pd.read_csv(table)
    assert list(rows["variant"]) == [row.entrant.name for row in found.rows]
    assert rows["difference"].isna().tolist() == [True, False, True, False, False, True, True]
    assert rows["weighted_f1_low"][3] == pytest.approx(
        majority.figures["weighted_f1"].low, abs=0.005
    )
    assert rows["classes"].tolist() == [3, 3, 2, 3, 3, 2, 2]
    assert Image.open(plot).width > 300
    before = [file.read_bytes() for file in written]
    pages.write(Request("r"), RECIPE, [found])
    assert [file.read_bytes() for file in written] == before, "the same results, the same bytes"


def test_a_quick_page_on_other_corpora_says_so(found: Comparison, workspace: Path) -> None:
    request = Request("r", quick=True, corpora=("x", "y"))
    page, *_ = pages.write(request, RECIPE.quickened(), [found_of(found, ["full", "text"])])
    assert page == Path("docs/experiments/quick/r-x-y.md")
    text = page.read_text()
    command = "python -m pipeline experiment r --quick --corpus x --corpus y"
    assert text.startswith(f"# r, quick, x, y\n\n```sh\n{command}\n```\n")
    assert "[experiments/r.yaml](../../../experiments/r.yaml), on x, y instead of its own" in text
    assert "- `CORPUS.SYSTEM.seeds=[1]`\n" in text and "weird" not in text


def found_of(found: Comparison, names: list[str]) -> Comparison:
    rows = [row for row in found.rows if row.entrant.name in names]
    return Comparison(**{**vars(found), "rows": rows, "variants": len(names)})


AXIS = "CORPUS.mcn_cl.hard_ratio"


def test_points_on_an_axis_stand_by_number_and_null_apart(workspace: Path) -> None:
    settings = {"all": "null", "0.3": "0.3", "0.1": "1e-1"}
    recipe = Variants(
        about="Why.",
        corpora=("x",),
        systems=(SYSTEM,),
        variants={name: (f"{AXIS}={value}",) for name, value in settings.items()},
        reference="0.3",
        axis=AXIS,
    )
    files: Files = {}
    for name in settings:
        files |= outcome(f"r-{name}", (0.5, 0.7))
    found = compare(recipe, plan(["0.3", "all", "0.1"]), "x", SYSTEM, reader(files))
    marks = pages.panel(recipe, found).marks
    assert [mark.name for mark in marks] == ["0.1", "0.3", "all"]
    assert [mark.marked for mark in marks] == [False, True, False]
    assert [mark.joined for mark in marks] == [True, True, False]
    _, _, plot = pages.write(Request("r"), recipe, [found])
    assert Image.open(plot).width > 300
