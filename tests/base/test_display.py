"""What others wrote neither steers a terminal, nor adds rows to a CSV, nor computes in it."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.display import plain_cell, say, short_name, table_cell, terminal, write_csv
from tests.conftest import ROOT

STEERING = "a\x1b[2J\x07\x9b31m\x00\u202eb\r\u2028\ud800c"
ESCAPED = r"a\x1b[2J\x07\x9b31m\x00\u202eb\r\u2028\ud800c"


def test_no_name_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("it is", STEERING)
    say(STEERING, error=True)
    assert capsys.readouterr() == (f"it is {ESCAPED}\n", f"{ESCAPED}\n")


@pytest.mark.parametrize("coloured", [False, True])
def test_a_table_shows_names_as_they_are(coloured: bool) -> None:
    file = io.StringIO()
    names = "[red]x[/] [/bold] :smile: \x1b[2J\x1b]8;;x"
    terminal(file=file, width=80, force_terminal=coloured).print(names)
    shown = re.sub("\x1b\\[[0-9;]*m", "", file.getvalue())  # less rich's own colours
    assert shown == names.replace("\x1b", "\\x1b") + "\n"


def test_a_terminal_that_lacks_letters_ends_no_command() -> None:
    code = (
        "from pipeline.base.display import any_encoding, say, terminal\n"
        "any_encoding(); say('é ± 日'); terminal(width=40).print('é ± 日')"
    )
    command = [sys.executable, "-X", "utf8=0", "-c", code]
    done = subprocess.run(
        command, env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": "."}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"\\xe9 \\xb1 \\u65e5\n" * 2


def test_a_locale_without_utf8_hides_no_file(tmp_path: Path) -> None:
    (tmp_path / "é日.mp4").touch()
    code = (
        "from pathlib import Path\n"
        "from pipeline.base.display import any_encoding, say\n"
        "any_encoding(); say(Path('\\xe9\\u65e5.mp4').exists(), '\\xe9')"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**locale, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
    )
    assert (done.stdout, done.stderr) == (b"True \\xe9\n", b"")


def test_a_name_in_a_figure_is_one_short_line() -> None:
    assert short_name("a\r\nb\x00c") == "a  b c"
    assert short_name("x" * 10**6, 5) == "xxxx…"


def test_a_cell_breaks_no_table_of_a_page() -> None:
    assert table_cell("a|b\r\n<i>\x1b") == r"a\|b\r &lt;i&gt;\x1b"


def rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


@given(texts=st.lists(st.text(st.sampled_from("a'=+-@\t\r\n\",;| é"))))
def test_a_csv_has_a_row_for_each_row_and_every_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "x.csv"
    table = pd.DataFrame({"text": pd.Series(texts, dtype=object), "figure": -1.5})
    write_csv(path, table, "%.2f")
    head, *body = rows(path)
    assert head == ["text", "figure"]
    assert [[plain_cell(text), figure] for text, figure in body] == [[t, "-1.50"] for t in texts]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "''=1"]
)
def test_a_spreadsheet_computes_no_text(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "x.csv", pd.DataFrame({"text": [text, None, "'tis"], "n": [-1, 2, 3]}))
    assert rows(tmp_path / "x.csv")[1:] == [[f"'{text}", "-1"], ["", "2"], ["'tis", "3"]]
