"""The paper's rows are as printed, and are compared with ours where corpus and classes agree."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.params import read_params
from pipeline.base.settings import MODALITIES
from pipeline.corpora.registry import READERS
from pipeline.evaluation.figures import published
from pipeline.report.paper import (
    agreement,
    beside,
    read_paper,
    sources,
    variant,
    weighted_f1_of,
)
from pipeline.report.read import SystemResults, read_results
from pipeline.systems.registry import SYSTEMS, title
from tests.report.small import Corpus, lay_out
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
    lines = []
    for line in table.rows:
        cited = f" [{line.citation}]" if line.citation else ""
        lines.append([f"{line.method}{cited}", *map(cell, (*line.f1, line.weighted_f1))])
    assert lines == expected


@pytest.mark.parametrize("number", [1, 2])
def test_every_method_beside_the_papers_has_a_system_here(number: int) -> None:
    systems = [line.system for line in TABLES[number].rows]
    assert {*systems} <= {*SYSTEMS} and len({*systems}) == len(systems)


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


def test_the_papers_f1_by_class_give_a_different_weighted_f1() -> None:
    assert sum(READERS["meld"].test_support[name] for name in TABLES[2].classes) == 2610
    assert sum(READERS["iemocap"].test_support[name] for name in TABLES[1].classes) == 1623
    assert weighted_f1_of(TABLES[2], TABLES[2].rows[-1]) == pytest.approx(73.33, abs=0.005)
    assert weighted_f1_of(TABLES[1], TABLES[1].rows[-1]) == pytest.approx(73.94, abs=0.005)
    assert weighted_f1_of(TABLES[3], TABLES[3].rows[1]) == pytest.approx(51.4, abs=0.05)


def test_melds_tables_stand_beside_a_run_on_its_emotions(workspace: Path) -> None:
    page = markdown(Corpus("meld"))
    assert "Table 2 of the paper (MELD" in page and "Table 4 of the paper (MELD" in page
    assert "Table 1 of" not in page and "Not comparable" not in page
    mm_dfn = ["77.76", "50.69", "-", "22.93", "54.78", "-", "47.82", "58.65", "as published"]
    assert row(page, "MM-DFN [10]") == mm_dfn
    assert row(page, "Ours (MCN-CL)")[-2:] == ["73.1", "as published"]
    page = page.partition("## Comparison with published figures")[2]
    ours = row(page, "MCN-CL on text and visual alone")
    assert ours[0] == "41.11" and ours[-1] == "measured here, paper"
    assert ours[-2] == "51.51 ± 1.25<br>[48.51, 58.51]"
    on_test = row(page, "MCN-CL on text and visual alone, epoch chosen on test")
    assert on_test[-2:] == ["71.71 ± 1.25", "measured here, paper"]
    floor = row(page, "majority class on text and visual alone")
    assert floor[0] == "3.33" and floor[-1] == "measured here, our reading"
    ablation = page.partition("Table 4 of the paper")[2].partition("## Each system")[0]
    assert "measured here" in ablation and "| majority" not in ablation
    assert "states no validation protocol, no number of seeds and no rule" in page
    assert f"Text: in the paper RoBERTa-base; here roberta-base ({'r' * 40}), cls." in page
    assert "Visual: in the paper ResNet-101, 1000 values per frame; here resnet101 (r1), l" in page
    assert "Audio: in the paper openSMILE, feature set not named; here not used." in page
    assert "The corpus here is part of a release" in page


def test_a_demo_corpus_is_not_comparable(workspace: Path) -> None:
    page = markdown(Corpus("demo_iemocap", "six", "iemocap"))
    assert (
        "> **Not comparable: `demo_iemocap` is a generated corpus with the classes of IEMOCAP."
        in page
    )
    assert "its signal is planted" in page
    assert row(page, "w/o MCN-CL") == [
        *("2.41", "11.03", "57.49", "63.54", "69.4", "70.26", "53.05", "as published")
    ]


def test_other_classes_have_no_published_table(workspace: Path) -> None:
    page = markdown(Corpus("meld", "sentiment"))
    assert "No published table fits: table 1 is of IEMOCAP" in page
    assert "classes neutral, positive, negative of a corpus read as `meld`" in page
    assert "BC-LSTM" not in page


def on_board(**measured: float) -> pd.DataFrame:
    """A leaderboard of these systems."""
    return pd.DataFrame(
        {
            "system": system,
            "title": title(system),
            "fidelity": "our reading" if system == "emocaps" else "code",
            "weighted_f1": figure,
            "weighted_f1_low": figure - 2,
            "weighted_f1_high": figure + 2,
        }
        for system, figure in measured.items()
    )


def test_systems_stand_by_what_is_published_of_them(workspace: Path) -> None:
    lay_out(Corpus("meld"))
    results = read_results(read_params(), "meld")
    board = on_board(sdt=58.0, mm_dfn=59.5, tfidf=55.0, m3net=57.0, bc_lstm=60.0, emocaps=50.0)
    table = beside(read_paper(), replace(results, leaderboard=board))
    # SDT and MM-DFN by their authors, bc-LSTM as the paper quotes it, M3NET by another's run alone.
    titles = ["SDT", "EmoCaps (our reading)", "MM-DFN", "bc-LSTM", "M3NET"]
    assert table["title"].tolist() == titles
    assert table["published"].tolist()[:4] == [66.6, 64, 59.46, 55.9]
    assert table["weighted_f1"].tolist() == [58.0, 50.0, 59.5, 60.0, 57.0]
    assert sources(table)[0] == "as MCN-CL's paper has it"
    quoted = table[sources(table)[0]].tolist()
    assert quoted[1:4] == [64, 58.65, 55.9] and np.isnan([quoted[0], quoted[4]]).all()
    assert table["run again for ECERC"].tolist()[4] == 64.84
    assert agreement(table) == (3, -1.0), "in the opposite order, our reading left out"
    assert agreement(table.head(3)) is None
    without = beside(read_paper(), replace(results, leaderboard=on_board(mmgcn=58.0)))
    assert "their own authors" not in sources(without), "a source that has none of them"
    again = beside(read_paper(), replace(results, leaderboard=on_board(m3net=58.0)))
    assert sources(again) == ["run again for ECERC"] and again["published"].isna().all()
    assert beside(read_paper(), replace(results, leaderboard=on_board(majority=31.0))).empty
    settings = results.protocol_settings.model_copy(update={"control": "within_dialogues"})
    assert beside(read_paper(), replace(results, protocol_settings=settings)).empty
    drawn = published(table, sources(table))
    assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == [*table["title"]]


def test_a_generated_corpus_stands_beside_no_published_figure(workspace: Path) -> None:
    assert "**Published and measured**" in markdown(Corpus("meld"))
    for corpus in (Corpus("demo_meld"), Corpus("meld", "sentiment")):
        assert "published.png" not in markdown(corpus)


def test_what_others_print_is_of_systems_here() -> None:
    for source in read_paper().elsewhere:
        assert source.weighted_f1.keys() <= {"iemocap", "meld"}
        for figures in source.weighted_f1.values():
            assert figures.keys() <= {*SYSTEMS}
            assert all(50 < figure < 80 for figure in figures.values())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> SystemResults:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("results"))
        lay_out(Corpus())
        return read_results(read_params(), "demo_meld").systems[0]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "MCN-CL"),
        ({"psa": False}, "MCN-CL w/o PSA"),
        ({"mcn": False, "contrastive": False}, "MCN-CL w/o MCN-CL"),
        ({"mcn": False}, "MCN-CL w/o MCN"),
        ({"psa": False, "mcn": False, "contrastive": False}, "MCN-CL w/o PSA and MCN-CL"),
        (
            {"contrastive": False, "modalities": ["text"]},
            "MCN-CL w/o contrastive loss on text alone",
        ),
    ],
)
def test_what_was_run_is_named_as_in_the_ablations(
    system: SystemResults, changes: dict[str, object], name: str
) -> None:
    settings = {"modalities": list(MODALITIES), "psa": True, "mcn": True, "contrastive": True}
    paper = read_paper().paper
    assert variant(paper, replace(system, settings={**settings, **changes})) == name
    other = replace(system, name="other", settings={"modalities": list(MODALITIES), "psa": False})
    assert variant(paper, other) == "MCN-CL", "a setting of that name of another system is its own"
