"""MELD's CSV: byte flavours, times, and what is refused."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.corpora.meld_csv import DYADIC, EMORYNLP, Form, read_csv, seconds
from tests.corpora.meld_tree import HEADER, LINE, csv_bytes


def test_times_with_fewer_digits_are_decimal_fractions() -> None:
    assert seconds("00:16:16,059") == pytest.approx(976.059)
    assert seconds("0:00:01,5") == pytest.approx(1.5)
    assert seconds("1:02:03,25") == pytest.approx(3723.25)
    assert seconds("00:00:02.877") == pytest.approx(2.877), "EmoryNLP has a point"
    assert seconds("soon") is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_every_time_reads_back(hours: int, minutes: int, whole: int, milli: int) -> None:
    found = seconds(f"{hours:02d}:{minutes:02d}:{whole:02d},{milli:03d}")
    assert found == pytest.approx(hours * 3600 + minutes * 60 + whole + milli / 1000, abs=1e-9)


def test_c1_controls_are_mended_and_quotes_read(tmp_path: Path) -> None:
    line = LINE.format(text='it\x92s a ""dog"", no', dialogue=0, utterance=0)
    path = tmp_path / "dev_sent_emo.csv"
    path.write_bytes(csv_bytes(line, newline="\n"))
    assert read_csv(path)[0].cells["Utterance"] == 'it\u2019s a "dog", no'


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, end: str, mark: bytes
) -> None:
    lines = [LINE.format(text=f"t\nu{n}", dialogue=0, utterance=n) for n in range(3)]
    path = tmp_path / "dev_sent_emo.csv"
    path.write_bytes(mark + csv_bytes(*lines, newline=end))
    assert [row.cells["Utterance"] for row in read_csv(path)] == ["t\nu0", "t\nu1", "t\nu2"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (csv_bytes(*[LINE.format(text="x", dialogue=3, utterance=1)] * 2), "row of ['dia3_utt1']"),
        (b"", "got the columns []"),
        (b"\xff\xfe", "UTF-8"),
        (b"a,b\r\n1,2\r\n", "expected"),
        (f"{HEADER}\r\n1,2\r\n".encode(), "row 2: got 2 cells, expected 11"),
        (f"{HEADER}\r\n1,t,s,joy,p,x,0,1,1,a,b\r\n".encode(), "expected numbers"),
        (f"{HEADER}\r\n1,t,s,joy,p,0,0,1,1,12 s,b\r\n".encode(), "StartTime is '12 s'"),
    ],
)
def test_a_bad_csv_says_what_and_where(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "train_sent_emo.csv"
    path.write_bytes(content)
    with pytest.raises(PipelineError) as error:
        read_csv(path)
    assert str(path) in str(error.value) and said in str(error.value)


LIKE_DYADIC = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Old_Dialogue_ID"


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        (f"{LIKE_DYADIC},Old_Utterance_ID,Season,Episode,StartTime,EndTime", "MELD's dyadic split"),
        ("Utterance,Speaker,Emotion,Season,Episode,Scene_ID,Utterance_ID", "looks like EmoryNLP"),
        (HEADER.replace(",", ";"), "cells must be separated by commas"),
        (",".join(reversed(HEADER.split(","))), "put the columns into this order"),
        (f",{HEADER}", "write a reader (docs/corpora.md, Adding a corpus)"),
        ("x" * 10**5, "write a reader (docs/corpora.md, Adding a corpus)"),
    ],
)
def test_other_columns_get_a_next_step(tmp_path: Path, header: str, advice: str) -> None:
    path = tmp_path / "train_sent_emo.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(PipelineError) as error:
        read_csv(path)
    message, _, step = str(error.value).partition("\n  next: ")
    assert "got the columns" in message and "expected ['Sr No.'" in message and len(message) < 2000
    assert advice in step and "data/MELD of the repository declare-lab/MELD" in step


@pytest.mark.parametrize(
    ("form", "header", "reader"),
    [
        (DYADIC, HEADER, "meld"),
        (DYADIC, ",".join(EMORYNLP.columns), "emorynlp"),
        (EMORYNLP, ",".join(DYADIC.columns), "meld_dyadic"),
    ],
)
def test_a_csv_of_another_form_names_the_reader_of_it(
    tmp_path: Path, form: Form, header: str, reader: str
) -> None:
    path = tmp_path / "some.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(PipelineError, match=f"set CORPUS.corpus.reader to {reader}, and name"):
        read_csv(path, form)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("csv") / "train_sent_emo.csv"
    path.write_bytes(HEADER.encode() + b"\n" + content)
    with suppress(PipelineError):
        read_csv(path)
