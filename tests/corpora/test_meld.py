"""The MELD reader: byte flavours, times, twins, turns, and the real annotations' counts."""

from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpora.meld import COLUMNS, FOLDERS, MeldOptions, read, read_csv, seconds
from pipeline.errors import PipelineError

OPTIONS = MeldOptions(reader="meld", max_seconds=60, test_twins="final")
HEADER = ",".join(COLUMNS)
LINE = '1,"{text}",Ross,joy,positive,{dialogue},{utterance},1,1,"00:00:01,5","00:00:02,250"'


def tree(root: Path, *lines: str, encoding: str = "utf-8", newline: str = "\r\n") -> Path:
    """A MELD tree whose three CSVs hold the same lines and whose folders are empty."""
    for split, folder in FOLDERS.items():
        (root / folder).mkdir(parents=True)
        text = newline.join([HEADER, *lines, ""])
        (root / f"{split}_sent_emo.csv").write_bytes(text.encode(encoding))
    return root


def test_times_with_fewer_digits_are_decimal_fractions() -> None:
    assert seconds("00:16:16,059") == pytest.approx(976.059)
    assert seconds("0:00:01,5") == pytest.approx(1.5)
    assert seconds("1:02:03,25") == pytest.approx(3723.25)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_every_time_reads_back(hours: int, minutes: int, whole: int, milli: int) -> None:
    found = seconds(f"{hours:02d}:{minutes:02d}:{whole:02d},{milli:03d}")
    assert found == pytest.approx(hours * 3600 + minutes * 60 + whole + milli / 1000, abs=1e-9)


def test_turns_follow_the_utterance_ids_and_close_gaps(tmp_path: Path) -> None:
    lines = [LINE.format(text="x", dialogue=d, utterance=u) for d, u in [(1, 7), (0, 3), (0, 0)]]
    corpus = read(tree(tmp_path, *lines), OPTIONS)
    train = [u for u in corpus.utterances if u.official_split == "train"]
    assert [(u.utterance, u.turn) for u in train] == [
        ("train/dia0_utt0", 0),
        ("train/dia0_utt3", 1),
        ("train/dia1_utt7", 0),
    ]
    assert train[0].episode_end == pytest.approx(2.25)


def test_c1_controls_are_mended_and_quotes_read(tmp_path: Path) -> None:
    line = LINE.format(text='it\x92s a ""dog"", no', dialogue=0, utterance=0)
    corpus = read(tree(tmp_path, line, newline="\n"), OPTIONS)
    assert corpus.utterances[0].text == 'it\u2019s a "dog", no'


def test_twins_and_clips_without_annotation(tmp_path: Path) -> None:
    root = tree(tmp_path, LINE.format(text="x", dialogue=0, utterance=0))
    folder = root / FOLDERS["test"]
    names = ["dia0_utt0.mp4", "final_videos_testdia0_utt0.mp4", "._dia0_utt0.mp4", "dia9_utt9.mp4"]
    for name in names:
        (folder / name).touch()
    final = read(root, OPTIONS)
    plain = read(root, OPTIONS.model_copy(update={"test_twins": "plain"}))
    assert final.utterances[-1].video.path == f"{FOLDERS['test']}/{names[1]}"
    assert plain.utterances[-1].video.path == f"{FOLDERS['test']}/{names[0]}"
    assert final.left_aside == {"clips without annotation": 1}


def test_a_folder_that_is_no_tree_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "train.tar.gz").touch()
    with pytest.raises(PipelineError) as error:
        read(tmp_path, OPTIONS)
    for part in ("train_sent_emo.csv", "found: ['train.tar.gz']", "expected:", "unpack"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
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


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("csv") / "train_sent_emo.csv"
    path.write_bytes(HEADER.encode() + b"\n" + content)
    with suppress(PipelineError):
        read_csv(path)


def test_the_real_annotations(shared: Path) -> None:
    corpus = read(shared / "meld_csv", OPTIONS)
    rows = Counter(u.official_split for u in corpus.utterances)
    assert rows == {"train": 9989, "dev": 1109, "test": 2610}
    dialogues = Counter(d.split("/")[0] for d in {u.dialogue for u in corpus.utterances})
    assert dialogues == {"train": 1038, "dev": 114, "test": 280}
    test = Counter(u.emotion for u in corpus.utterances if u.official_split == "test")
    assert test == {
        "neutral": 1256,
        "joy": 402,
        "surprise": 281,
        "anger": 345,
        "sadness": 208,
        "disgust": 68,
        "fear": 50,
    }
    for before, after in pairwise(corpus.utterances):
        assert after.turn in (0, before.turn + 1)


def test_the_older_bytes_give_the_same_text_but_for_five_rows(shared: Path) -> None:
    new, old = (read(shared / name, OPTIONS).utterances for name in ("meld_csv", "meld_csv_legacy"))
    differing = [(a.text, b.text) for a, b in zip(new, old, strict=True) if a.text != b.text]
    assert len(differing) == 5
    assert all(a.replace("\xa0", " ") == b.replace("\xa0", " ") for a, b in differing)
