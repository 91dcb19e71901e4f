"""Both pages of a small corpus: content, escaping, same bytes, errors."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.cli import app
from pipeline.report.read import read_results
from pipeline.report.write import in_markdown, write_report
from tests.report.small import Corpus, lay_out

DEMO = Corpus()
HOSTILE = '<script>alert("1")</script> | `x` *y* $z$ & _a_ [b](c)'


def pages(corpus: Corpus) -> tuple[str, str]:
    """The Markdown and the HTML of a corpus, laid out first."""
    lay_out(corpus)
    page, sheet = write_report(read_params(), corpus.name)
    return page.read_text(encoding="utf-8"), sheet.read_text(encoding="utf-8")


def markdown(corpus: Corpus) -> str:
    """The Markdown alone, which needs no figures."""
    lay_out(corpus)
    return in_markdown(read_results(read_params(), corpus.name))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Both pages of `DEMO`, outside of a git repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("demo"))
        return pages(DEMO)


def row(page: str, head: str) -> list[str]:
    """The cells of the first row of Markdown with this head, without emphasis."""
    line = next(x for x in page.splitlines() if x.replace("*", "").startswith(f"| {head} |"))
    return [cell.strip().strip("*") for cell in re.split(r"(?<!\\)\|", line)[2:-1]]


def test_figures_stand_where_they_belong(demo: tuple[str, str]) -> None:
    page, _ = demo
    cell = "51.5 ± 1.2<br>[48.5, 58.5]"
    assert row(page, "weighted F1")[:2] == [cell, "71.7 ± 1.2<br>[68.7, 78.7]"]
    assert row(page, "unweighted average recall")[2] == "24.2 ± 1.2<br>[18.2, 28.2]"
    assert "at the epochs chosen on it: weighted F1 61.6 ± 1.2" in page
    assert row(page, "fear") == ["11", "31.3", "32.3", "33.3 ± 2.2<br>[30.0, 36.0]", "8.9"]
    assert row(page, "Ross") == ["1,234", "5", "44.4 ± 1.5<br>[40.0, 50.0]", "45.5"]
    assert row(page, "first")[2] == "44.4 ± 1.5", "a slice of one dialogue has no interval"
    assert row(page, "test") == ["1", "1", "7", "7", *["1"] * 7]
    assert row(page, "audio") == [
        "audio",
        "cut",
        "4",
        "<br>".join(f"train0_{n}: detail {n}" for n in range(3)),
    ]
    assert row(page, "encoder") == ["roberta-base", "resnet101"]
    assert row(page, "SHA-256") == ["abababababab", "-"]
    assert row(page, "frames") == ["-", "count: 4<br>crop: face"]
    assert row(page, "faces, encoder") == ["-", "yunet"]
    assert row(page, "faces, licence") == ["-", "MIT"]
    assert row(page, "masked utterances") == ["0", "4"]
    assert row(page, "loss.hard_ratio") == ["0.3"]
    assert "21 utterances in 3 dialogues by 1 speaker." in page
    assert "expected calibration error 7.8 %" in page


def test_both_pages_hold_the_same_figures(demo: tuple[str, str]) -> None:
    """Every cell of the Markdown's tables stands in the HTML."""
    page, sheet = demo
    text = re.sub(r"<br>|\s+", " ", re.sub(r"<(?!br>)[^>]*>", " ", sheet))
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(lines) > 100
    for line in lines:
        for cell in line.strip("|").split("|"):
            text_of_cell = re.sub(r"<br>|\s+", " ", cell.strip().strip("*"))
            assert text_of_cell in text, line


def test_confusions_are_described_in_words(demo: tuple[str, str]) -> None:
    """One of two runs is right, the other takes all for neutral."""
    _, sheet = demo
    assert "neutral: 100 % right, 0 % taken for surprise; " in sheet
    assert "fear: 50 % right, 50 % taken for neutral; " in sheet


def test_folds_have_a_table_only_where_there_are_several(
    workspace: Path, demo: tuple[str, str]
) -> None:
    page, _ = demo
    assert "fold 0" not in page
    page, sheet = pages(Corpus(folds=2))
    assert row(page, "fold 1") == ["7", *(f"{82.81 + n:.1f} ± 1.2" for n in range(4))]
    assert row(page, "fold 1, valid")[:3] == ["1", "1", "7"]
    assert "the test splits of 2 folds pooled" in page and ">fold 1</th>" in sheet


def test_names_are_data(workspace: Path) -> None:
    page, sheet = pages(Corpus(speaker=HOSTILE))
    assert "<script" not in page and "<script" not in sheet.lower()
    assert '&lt;script&gt;alert("1")' in sheet, "in a figure"
    assert "&lt;script&gt;alert(&quot;1&quot;)" in sheet, "in a table"
    line = next(x for x in page.splitlines() if x.startswith("| &lt;script"))
    bars = re.findall(r"(?<!\\)\|", line)
    assert len(bars) == 6, "five cells: the name's own bar is escaped"
    for kept in (r"\|", "`x`", r"\*y\*", r"\$z\$", "&amp;", r"\_a\_", r"[b\](c)"):
        assert kept in page


@pytest.mark.parametrize("name", ["=1+1\r", "Q\rb\nc", "'=x", "\x1b[31m"])
def test_a_name_with_line_ends_or_a_formula_is_one_row(workspace: Path, name: str) -> None:
    page, sheet = pages(Corpus(speaker=name))
    shown = {"=": "=1+1", "Q": "Q", "'": "'=x", "\x1b": r"\x1b"}[name[0]]
    (line,) = (x for x in page.splitlines() if x.replace("\\\\", "\\").startswith(f"| {shown}"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 6, "five cells"
    assert not set("\x1b\r") & {*page, *sheet}


def test_an_html_page_alone_holds_what_differs_from_run_to_run(demo: tuple[str, str]) -> None:
    page, sheet = demo
    assert "commit:" in sheet and "written:" in sheet and "machine:" in sheet
    assert "commit:" not in page and "written:" not in page
    assert "but in `report.html` beside it" in page


def test_the_same_results_give_the_same_bytes(workspace: Path, demo: tuple[str, str]) -> None:
    page, sheet = demo
    again, sheet_again = pages(DEMO)
    assert again == page
    assert re.sub("<li>written: .*", "", sheet_again) == re.sub("<li>written: .*", "", sheet)


def test_a_page_needs_nothing_from_elsewhere(demo: tuple[str, str]) -> None:
    _, sheet = demo
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", sheet) == []
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", sheet))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    ids = re.findall(r' id="([^"]+)"', sheet)
    assert len(ids) == len(set(ids)), "shared, one figure has another's marks"
    assert set(re.findall(r'href="#([^"]+)"', sheet)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", sheet)) <= set(ids)


def test_headings_and_tables_can_be_walked_through(demo: tuple[str, str]) -> None:
    _, sheet = demo
    levels = [int(level) for level in re.findall(r"<h(\d)", sheet)]
    assert levels[0] == 1 and set(levels[1:]) == {2}
    assert "<th>" not in sheet and sheet.count("<table>") == sheet.count("<caption>") > 5
    figures = re.findall(r"<svg.*?</svg>", sheet, flags=re.S)
    assert len(figures) == 8
    for figure in figures:
        assert 'role="img"' in figure and "<title" in figure and len(figure.split("<desc")) == 2


def test_an_unknown_corpus(workspace: Path) -> None:
    lay_out(DEMO)
    with pytest.raises(PipelineError, match=r"params.yaml: got .nobody., which has no block here"):
        write_report(read_params(), "nobody")


@pytest.mark.parametrize("name", ["metrics.json", "run.json", "slices.csv", "classes.csv"])
def test_missing_or_unreadable_results_are_refused(workspace: Path, name: str) -> None:
    lay_out(DEMO)
    path = paths.metrics("demo_meld", name)
    path.write_text("{")
    with pytest.raises(PipelineError, match=rf"{name} .*`dvc repro`"):
        write_report(read_params(), "demo_meld")
    path.unlink()
    with pytest.raises(PipelineError, match=rf"{name} is missing: run `dvc repro` first"):
        write_report(read_params(), "demo_meld")


def test_the_command_writes_the_corpora_that_are_named(workspace: Path) -> None:
    lay_out(DEMO)
    lay_out(Corpus("meld_text"))
    result = CliRunner().invoke(app, ["report", "meld_text"])
    assert result.exit_code == 0
    assert result.output.split() == [f"metrics/meld_text/report.{kind}" for kind in ("md", "html")]
    assert not paths.metrics("demo_meld", "report.md").exists()
