"""The tree on disk: MELD's layout, CSV bytes, the planted faults, and the same bytes every time."""

import csv
import io

import av
import pytest

from pipeline.base.errors import PipelineError
from pipeline.demo import meld
from pipeline.demo.meld import COLUMNS, FOLDERS, plan, timestamp
from pipeline.demo.tree import write_tree
from tests.demo.conftest import digests


@pytest.fixture(scope="module")
def root(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "MELD.Raw"
    write_tree(tiny, folder)
    return folder


@pytest.fixture(scope="module")
def plans(tiny):
    return plan(tiny)


def rows(root, split):
    text = (root / f"{split}_sent_emo.csv").read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def names(rows):
    return {f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4" for row in rows}


def streams(path):
    with av.open(str(path)) as box:
        video = box.streams.video[0].codec_context.name
        audio = [(s.codec_context.name, s.channels, s.rate) for s in box.streams.audio]
        return video, audio, dict(box.metadata)


@pytest.mark.slow
def test_bytes_repeat_whatever_the_workers(tiny, root, tmp_path):
    write_tree(tiny.model_copy(update={"workers": 2}), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(root)


def test_top_level(root):
    csvs = {f"{split}_sent_emo.csv" for split in FOLDERS}
    assert {path.name for path in root.iterdir()} == csvs | set(FOLDERS.values())
    assert [path.name for path in root.parent.iterdir()] == ["MELD.Raw"]


def test_csv_bytes(root):
    for split in FOLDERS:
        data = (root / f"{split}_sent_emo.csv").read_bytes()
        assert data.startswith(",".join(COLUMNS).encode() + b"\r\n1,")
        assert data.count(b"\n") == data.count(b"\r\n")
        for row in rows(root, split):
            assert tuple(row) == COLUMNS
            assert "'" not in row["Utterance"]
            for column in ("StartTime", "EndTime"):
                hours, minutes, seconds = row[column].split(":")
                assert (len(hours), len(minutes), len(seconds)) == (2, 2, 6)
                assert seconds[2] == ","


def test_time_by_hand():
    assert timestamp(3723.0456) == "01:02:03,046"


def test_ids_restart_in_each_split_and_have_gaps_in_train(root):
    found = {split: {int(row["Dialogue_ID"]) for row in rows(root, split)} for split in FOLDERS}
    assert found == {"train": {0, 2}, "dev": {0}, "test": {0}}
    kept = [int(r["Utterance_ID"]) for r in rows(root, "test")]
    assert len(set(range(max(kept) + 1)) - set(kept)) == 1


def test_dev_is_faultless(root):
    files = {path.name for path in (root / FOLDERS["dev"]).iterdir()}
    assert files == names(rows(root, "dev"))
    for name in sorted(files):
        video, audio, metadata = streams(root / FOLDERS["dev"] / name)
        assert (video, audio) == ("h264", [("aac", 2, 48000)])
        assert "creation_time" not in metadata


def test_train_faults(root, plans):
    folder, split = root / FOLDERS["train"], plans["train"]
    missing = names(rows(root, "train")) - {path.name for path in folder.iterdir()}
    assert missing == {split.name(split.absent[1])}
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(folder / split.name(split.broken)))
    assert b"moov" not in (folder / split.name(split.broken)).read_bytes()
    assert streams(folder / split.name(split.silent))[:2] == ("h264", [])
    assert streams(folder / split.name(split.surround))[1] == [("aac", 6, 48000)]


def test_surround_speaks_in_the_centre(root, plans):
    split = plans["train"]
    with av.open(str(root / FOLDERS["train"] / split.name(split.surround))) as box:
        blocks = [frame.to_ndarray() for frame in box.decode(audio=0)]
    loudest = [max(float(abs(block[channel]).max()) for block in blocks) for channel in range(6)]
    assert loudest.index(max(loudest)) == 2
    assert loudest[2] > 3 * loudest[0]


def test_test_faults(root, plans):
    folder, split = root / FOLDERS["test"], plans["test"]
    on_disk = {path.name for path in folder.iterdir()}
    twin = f"final_videos_test{split.name(split.twin[0])}"
    extra = {twin, "._dia0_utt0.mp4", split.name(split.unannotated[0])}
    assert on_disk - names(rows(root, "test")) == extra
    assert names(rows(root, "test")) <= on_disk
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(folder / "._dia0_utt0.mp4"))
    assert streams(folder / split.name(split.silent))[1] == []
    assert streams(folder / split.name(split.surround))[1] == [("aac", 6, 48000)]


def test_plain_name_of_a_twin_shows_another_utterance(root, plans):
    folder, split = root / FOLDERS["test"], plans["test"]
    right, shown = split.twin
    plain = (folder / split.name(right)).read_bytes()
    assert plain == (folder / split.name(shown)).read_bytes()
    assert plain != (folder / f"final_videos_test{split.name(right)}").read_bytes()


def test_a_killed_run_leaves_no_tree(tiny, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(meld, "render_all", fail)
    with pytest.raises(KeyboardInterrupt):
        write_tree(tiny, tmp_path / "MELD.Raw")
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_not_overwritten(tiny, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PipelineError, match="not empty"):
        write_tree(tiny, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
