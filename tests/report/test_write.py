"""Both pages of a small corpus: content, escaping, same bytes, errors."""

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.cli import app
from pipeline.report.page import markdown_of
from pipeline.report.pictures import pictures
from pipeline.report.read import read_results
from pipeline.report.write import write_report
from tests.report.small import Corpus, lay_out

DEMO = Corpus()
LINK = re.compile(r"\[([^\]]*)\]\(#[^)]*\)")
HOSTILE = '<script>alert("1")</script> | `x` *y* $z$ & _a_ [b](c) ![d](e) </details>'


def pages(corpus: Corpus) -> tuple[str, str]:
    """The Markdown and the HTML of a corpus, laid out first."""
    lay_out(corpus)
    page, sheet = write_report(read_params(), corpus.name)
    return page.read_text(encoding="utf-8"), sheet.read_text(encoding="utf-8")


def markdown(corpus: Corpus) -> str:
    """The Markdown alone, for which no file is drawn."""
    lay_out(corpus)
    results = read_results(read_params(), corpus.name)
    return markdown_of(results, list(pictures(results)))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Both pages of `DEMO`, outside of a git repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("demo"))
        return pages(DEMO)


def row(page: str, head: str) -> list[str]:
    """The cells of the first row of Markdown with this head, without emphasis."""
    bare = LINK.sub(r"\1", page)
    line = next(x for x in bare.splitlines() if x.replace("*", "").startswith(f"| {head} |"))
    return [cell.strip().strip("*") for cell in re.split(r"(?<!\\)\|", line)[2:-1]]


def test_the_leaderboard_by_hand(demo: tuple[str, str]) -> None:
    """One dialogue with each class once; a run that says `neutral` always has F1 1/4 of it.

    So its weighted F1 is 1/28 (3.6 %), as is that of majority; mcn_cl's other run has 100 %. Any
    resample is the same dialogue again. The rarest class, the first of equals, is neutral.
    """
    page, sheet = demo
    assert row(page, "MCN-CL") == [
        *("1<br>[1, 1]", "51.8 ± 68.2<br>[51.8, 51.8]", "51.8 ± 68.2<br>[51.8, 51.8]"),
        *("62.5 ± 53.0<br>[62.5, 62.5]", "-", "100 %", "paper", "1,234,567"),
    ]
    assert row(page, "majority class") == [
        *("2<br>[2, 2]", "3.6<br>[3.6, 3.6]", "3.6<br>[3.6, 3.6]", "25.0<br>[25.0, 25.0]"),
        *("-48.2<br>[-48.2, -48.2]", "0 %", "our reading", "0"),
    ]
    assert (
        "fewer than 100 test utterances; if none or all do, the rarest one is shown. Here: neutral;"
        in page
    )
    assert "1 min 15 s" in sheet and "2.2 ms" in sheet and "1 min 15 s" not in page
    assert "- fine-tuned encoder alone: nothing was fine-tuned" in page


def test_figures_stand_where_they_belong(demo: tuple[str, str]) -> None:
    page, _ = demo
    detail = page.partition("## Each system")[2]
    cell = "51.5 ± 1.2<br>[48.5, 58.5]"
    chosen = ["71.7 ± 1.2<br>[68.7, 78.7]", "61.6 ± 1.2<br>[58.6, 68.6]"]
    assert row(detail, "weighted F1") == [cell, *chosen]
    assert row(detail, "fear") == ["1", "50.0", "50.0", "50.0 ± 70.7<br>[50.0, 50.0]"]
    assert row(detail, "Ross") == ["speaker", "7", "1", "51.8 ± 68.2", "57.1"], "of one dialogue"
    assert row(page, "test") == ["1", "1", "7", "7", *["1"] * 7]
    assert row(page, "audio") == [
        "audio",
        "cut",
        "4",
        "<br>".join(f"train0_{n}: detail {n}" for n in range(3)),
    ]
    assert row(page, "encoder.name") == ["roberta-base", "resnet101"]
    assert row(page, "encoder.sha256") == ["ab" * 32, "-"]
    assert row(page, "frames.settings.crop") == ["-", "face"]
    assert row(page, "frames.encoder.name") == ["-", "yunet"]
    assert row(page, "frames.encoder.licence") == ["-", "MIT"]
    assert row(page, "versions.torch") == ["2.0", "-"]
    assert row(page, "masked utterances") == ["0", "4"]
    assert row(page, "learning_rate") == ["0.125", "-"]
    assert "21 utterances in 3 dialogues by 1 speaker." in page
    assert "expected error 7.8 %" in page


def test_a_system_has_its_source_beside_its_figures(demo: tuple[str, str]) -> None:
    page, _ = demo
    assert "Fidelity: paper, Li et al., 2025. Adapted: misprints corrected. Reads text and" in page
    assert "Fidelity: our reading, the floor, as read at `someone/something@abc`." in page
    floor = page.partition("### majority class")[2].partition("## Setup")[0]
    assert "-reliability.png" not in floor, "it gives no probabilities"
    assert "Learning curves" not in floor and "chosen on test" not in floor, "fitted at once"
    assert "figures/mcn_cl-history.png" in page


def test_both_pages_hold_the_same_figures(demo: tuple[str, str]) -> None:
    """Every cell of the Markdown's tables stands in the HTML."""
    page, sheet = demo
    text = re.sub(r"<br>|\s+", " ", re.sub(r"<(?!br>)[^>]*>", " ", sheet))
    lines = [line for line in LINK.sub(r"\1", page).splitlines() if line.startswith("| ")]
    assert len(lines) > 100
    for line in lines:
        for cell in line.strip("|").split("|"):
            text_of_cell = re.sub(r"<br>|\s+", " ", cell.strip().strip("*"))
            assert text_of_cell in text, line


@pytest.mark.slow
def test_every_picture_of_the_page_is_a_file_beside_it(workspace: Path) -> None:
    page, sheet = pages(DEMO)
    named = set(re.findall(r"\]\(figures/([^)]+)\)", page))
    folder = paths.metrics("demo_meld", "figures")
    assert named == {file.name for file in folder.iterdir()} and len(named) == 8
    assert len(re.findall("<svg", sheet)) == len(named)
    first = {name: (folder / name).read_bytes() for name in named}
    (folder / "gone-confusion.png").write_bytes(b"of a system that is no longer run")
    assert pages(DEMO)[0] == page
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first


def test_confusions_are_described_in_words(demo: tuple[str, str]) -> None:
    """One of two runs is right, the other takes all for neutral."""
    for page in demo:
        assert "neutral: 100 % right, 0 % as surprise; " in page
        assert "fear: 50 % right, 50 % as neutral; " in page


@pytest.mark.slow
def test_folds_have_a_table_only_where_there_are_several(
    workspace: Path, demo: tuple[str, str]
) -> None:
    page, _ = demo
    assert "fold 0" not in page
    page, sheet = pages(Corpus(folds=2))
    assert row(page, "fold 1") == ["7", *(f"{82.81 + n:.1f} ± 1.2" for n in range(4))]
    assert row(page, "fold 1, valid")[:3] == ["1", "1", "7"]
    assert "the test splits of 2 folds pooled" in page and ">fold 1</th>" in sheet


@pytest.mark.slow
def test_names_are_data(workspace: Path) -> None:
    page, sheet = pages(Corpus(speaker=HOSTILE, why=HOSTILE, adapted=HOSTILE))
    assert "<script" not in page and "<script" not in sheet.lower()
    assert '&lt;script&gt;alert("1")' in sheet, "in a figure"
    line = next(x for x in page.splitlines() if x.startswith("| &lt;script"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 7, "six cells: the name's own bar is escaped"
    for place in (sheet, MarkdownIt("commonmark").enable("table").render(page)):
        shown = re.sub(r"<svg.*?</svg>", "", place, flags=re.S)
        assert html.unescape(shown).count(HOSTILE) == 4, "twice a slice's, once each else"
        assert place.count("<details") == place.count("</details>") - HOSTILE.count("<details")
        assert "<em>y</em>" not in place and "<code>x</code>" not in place
        assert 'href="c"' not in place and 'src="e"' not in place


@pytest.mark.parametrize("name", ["=1+1\r", "Q\rb\nc", "'=x", "\x1b[31m"])
def test_a_name_with_line_ends_or_a_formula_is_one_row(workspace: Path, name: str) -> None:
    page = markdown(Corpus(speaker=name))
    shown = {"=": "=1+1", "Q": "Q", "'": "'=x", "\x1b": r"\x1b"}[name[0]]
    lines = [x for x in page.splitlines() if x.replace("\\\\", "\\").startswith(f"| {shown}")]
    assert len(lines) == 2, "one of each system"
    for line in lines:
        assert len(re.findall(r"(?<!\\)\|", line)) == 7, "six cells"
    assert not set("\x1b\r") & {*page}


@pytest.mark.slow
def test_an_html_page_has_no_control_character(workspace: Path) -> None:
    assert not set("\x1b\r") & {*pages(Corpus(speaker="\x1b[31m\rQ"))[1]}


@pytest.mark.parametrize("name", ["NA", "007", "1.0", "'=x", "null"])
def test_a_name_that_looks_like_a_number_or_nothing_is_kept(workspace: Path, name: str) -> None:
    lay_out(Corpus(speaker=name))
    for system in read_results(read_params(), "demo_meld").systems:
        (shown,) = system.slices.loc[system.slices["by"] == "speaker", "slice"]
        assert shown == name


def test_an_html_page_alone_holds_what_differs_from_run_to_run(demo: tuple[str, str]) -> None:
    page, sheet = demo
    assert "Commit:" in sheet and "Written:" in sheet and "Machine:" in sheet
    assert "Commit:" not in page and "Written:" not in page
    assert "but in `report.html` beside it" in page


@pytest.mark.slow
def test_the_same_results_give_the_same_bytes(workspace: Path, demo: tuple[str, str]) -> None:
    page, sheet = demo
    again, sheet_again = pages(DEMO)
    assert again == page
    assert re.sub("<li>Written: .*", "", sheet_again) == re.sub("<li>Written: .*", "", sheet)


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
    assert levels[0] == 1 and set(levels[1:]) == {2, 3}
    assert "<th>" not in sheet
    regions = re.findall(
        r'<div class="scroll" role="region" tabindex="0" aria-label="([^"]*)">', sheet
    )
    assert len(regions) == sheet.count("<table>") > 5 and all(regions)
    figures = re.findall(r"<svg[^>]*>", sheet)
    assert len(figures) == 8
    for figure in figures:
        assert 'role="img"' in figure and len(re.findall('aria-label="[^"]{20}', figure)) == 1


def test_an_unknown_corpus(workspace: Path) -> None:
    lay_out(DEMO)
    with pytest.raises(PipelineError, match=r"params.yaml: got .nobody., which has no block here"):
        write_report(read_params(), "nobody")


@pytest.mark.parametrize(
    "name", ["metrics.json", "history.csv", "tables/curves.csv", "tables/slices.csv"]
)
def test_missing_or_unreadable_results_are_refused(workspace: Path, name: str) -> None:
    lay_out(DEMO)
    path = paths.metrics("demo_meld", "mcn_cl", *name.split("/"))
    path.write_text("{")
    with pytest.raises(PipelineError, match=rf"{name}: .*`dvc repro`"):
        write_report(read_params(), "demo_meld")
    path.unlink()
    with pytest.raises(PipelineError, match=rf"{name} is missing: run `dvc repro` first"):
        write_report(read_params(), "demo_meld")


@pytest.mark.slow
def test_predictions_of_others_stand_on_the_html_page_alone(workspace: Path) -> None:
    """A file with any name, of whom nothing else is known."""
    page, _ = pages(DEMO)
    mine = Path("mine [1] <b>.csv")
    classes = DEMO.classes
    rows = [f"test0_{turn},{classes[turn]}" for turn in range(len(classes))]
    mine.write_text("\n".join(["utterance,predicted", *rows]))
    same = workspace / "elsewhere" / mine.name
    same.parent.mkdir()
    same.write_bytes(mine.read_bytes())
    both = ["--with", str(mine), "--with", str(same)]
    result = CliRunner().invoke(app, ["report", "demo_meld", *both])
    assert result.output == "metrics/demo_meld/report.html\n"
    sheet = paths.metrics("demo_meld", "report.html").read_text()
    first = sheet.partition("<tbody>")[2].partition("</tr>")[0]
    assert ">mine [1] &lt;b&gt;.csv</a>" in first and "100.0" in first and "not run here" in first
    assert "+48.2" in first, "less the reference"
    ids = re.findall(r' id="([^"]+)"', sheet)
    assert len(ids) == len(set(ids)), "of two files with one name too"
    detail = sheet.partition('id="each-system"')[2].rpartition("MCN-CL</h3>")[0]
    assert "Fidelity: not run here." in detail and ">on validation<" not in detail
    assert ">as given<" in sheet, "beside the paper's rows"
    assert paths.metrics("demo_meld", "report.md").read_text() == page
    result = CliRunner().invoke(app, ["report", "--with", str(mine)])
    assert "expected one: `report CORPUS`" in str(result.exception)
    mine.write_text("utterance,predicted\ntest0_0,joyful")
    result = CliRunner().invoke(app, ["report", "demo_meld", "--with", str(mine)])
    assert "cannot be used as predictions of this corpus" in str(result.exception)


@pytest.mark.slow
def test_the_command_writes_the_corpora_that_are_named(workspace: Path) -> None:
    lay_out(DEMO)
    lay_out(Corpus("meld_text"))
    result = CliRunner().invoke(app, ["report", "meld_text"])
    assert result.exit_code == 0
    assert result.output.split() == [f"metrics/meld_text/report.{kind}" for kind in ("md", "html")]
    assert not paths.metrics("demo_meld", "report.md").exists()
