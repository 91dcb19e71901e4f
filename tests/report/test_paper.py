"""The paper's rows are what it prints, and they stand beside ours where they fit, with words."""

import re
from pathlib import Path

import pytest

from pipeline.base.params import read_params
from pipeline.corpora.registry import READERS
from pipeline.report.comparison import variant
from pipeline.report.paper import by_class, read_paper
from pipeline.systems.settings import ModelSettings
from tests.report.small import Corpus
from tests.report.test_write import markdown, row

TABLES = {table.number: table for table in read_paper().tables}


@pytest.fixture(scope="module")
def printed(shared: Path) -> str:
    """The paper's text."""
    path = shared.parent / "reference/paper.txt"
    if not path.is_file():
        pytest.skip(f"needs {path}, which is not here")
    return path.read_text(encoding="utf-8")


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_rows_are_those_of_the_paper(printed: str, number: int) -> None:
    table = TABLES[number]
    there = re.search(rf"^Table {number}\.(.*)\n\n((?:.*\t.*\n)+)", printed, re.M)
    assert there and table.corpus in there[1]
    head, *rows = there[2].splitlines()
    names = [name.lower()[:3] for name in head.split("\t")[1:-1]]
    assert [name[:3] for name in table.classes] == names
    expected = [line.split("\t") for line in rows]
    found = []
    for line in table.rows:
        cited = f" [{line.citation}]" if line.citation else ""
        found.append([f"{line.method}{cited}", *map(cell, (*line.f1, line.weighted_f1))])
    assert found == expected


def test_the_source_is_the_paper(printed: str) -> None:
    paper = read_paper()
    assert paper.paper.title in printed
    for table in paper.tables:
        for line in table.rows:
            assert line.citation is None or line.citation in paper.references
    for number, short in paper.references.items():
        entry = re.search(rf"^{number}\. (.*)", printed, re.M)
        author, year = short.split(" et al., ")
        assert entry and entry[1].split(",")[0].endswith(f" {author}") and f"({year})" in entry[1]


def test_the_papers_f1_by_class_give_another_weighted_f1() -> None:
    assert sum(READERS["meld"].test_support[name] for name in TABLES[2].classes) == 2610
    assert sum(READERS["iemocap"].test_support[name] for name in TABLES[1].classes) == 1623
    assert by_class(TABLES[2], TABLES[2].rows[-1]) == pytest.approx(73.33, abs=0.005)
    assert by_class(TABLES[1], TABLES[1].rows[-1]) == pytest.approx(73.94, abs=0.005)
    assert by_class(TABLES[3], TABLES[3].rows[1]) == pytest.approx(51.4, abs=0.05)


def test_melds_tables_stand_beside_a_run_on_its_emotions(workspace: Path) -> None:
    page = markdown(Corpus("meld"))
    assert "Table 2 of the paper (MELD" in page and "Table 4 of the paper (MELD" in page
    assert "Table 1 of" not in page and "Not comparable" not in page
    mm_dfn = ["77.76", "50.69", "-", "22.93", "54.78", "-", "47.82", "58.65", "as published"]
    assert row(page, "MM-DFN [10]") == mm_dfn
    assert row(page, "Ours (MCN-CL)")[-2:] == ["73.1", "as published"]
    ours = row(page, "MCN-CL, validation-selected")
    assert ours[0] == "41.11" and ours[-1] == "measured here"
    assert ours[-2] == "51.51 ± 1.25<br>[48.51, 58.51]"
    assert row(page, "MCN-CL, test-selected")[-2:] == ["71.71 ± 1.25<br>[68.71, 78.71]", ours[-1]]
    assert "names no validation protocol, no number of seeds and no rule" in page
    assert "text: in the paper RoBERTa-base; here roberta-base (cls)." in page
    assert (
        "visual: in the paper ResNet-101, 1000 values per frame; here resnet101 (logits)." in page
    )
    assert "audio: in the paper openSMILE, feature set not named; here not used." in page
    assert "The corpus here is a part of a release" in page


def test_a_demo_corpus_is_not_comparable(workspace: Path) -> None:
    page = markdown(Corpus("demo_iemocap", "six", "iemocap"))
    assert "**Not comparable: `demo_iemocap` is a generated corpus with the classes" in page
    assert "its signal is planted" in page
    assert row(page, "w/o MCN-CL") == [
        *("2.41", "11.03", "57.49", "63.54", "69.4", "70.26", "53.05", "as published")
    ]


def test_other_classes_have_no_published_table(workspace: Path) -> None:
    page = markdown(Corpus("meld", "sentiment"))
    assert "No published table fits: tables 1 and 3 are of IEMOCAP" in page
    assert "classes neutral, positive, negative of a corpus read as `meld`" in page
    assert "BC-LSTM" not in page


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "MCN-CL"),
        ({"psa": False}, "w/o PSA"),
        ({"mcn": False, "contrastive": False}, "w/o MCN-CL"),
        ({"mcn": False}, "w/o MCN"),
        ({"psa": False, "mcn": False, "contrastive": False}, "w/o PSA and MCN-CL"),
        ({"contrastive": False, "modalities": ("text",)}, "w/o contrastive loss on text alone"),
    ],
)
def test_what_was_run_is_named_as_in_the_ablations(changes: dict[str, object], name: str) -> None:
    model = read_params().of(ModelSettings, "meld")
    assert variant(model.model_copy(update=changes)) == name
