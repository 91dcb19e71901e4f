"""The MELD reader: clips and twins, turns, the trees users really have, the real annotations."""

import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.corpora.meld import FOLDERS, PUBLISHED, MeldOptions, read
from pipeline.corpora.published import differences
from pipeline.records.manifest import Utterance
from tests.corpora.meld_tree import LINE, csv_bytes, tree

OPTIONS = MeldOptions(reader="meld", full=False, max_seconds=60, test_twins="final")
NAMES = [folders[0] for folders in FOLDERS.values()]


def line(text: str = "x", dialogue: int = 0, utterance: int = 0) -> str:
    return LINE.format(text=text, dialogue=dialogue, utterance=utterance)


def test_turns_follow_the_utterance_ids_and_close_gaps(tmp_path: Path) -> None:
    lines = [line(dialogue=d, utterance=u) for d, u in [(1, 7), (0, 3), (0, 0)]]
    corpus = read(tree(tmp_path, *lines), OPTIONS)
    train = [u for u in corpus.utterances if u.official_split == "train"]
    assert [(u.utterance, u.turn) for u in train] == [
        ("train/dia0_utt0", 0),
        ("train/dia0_utt3", 1),
        ("train/dia1_utt7", 0),
    ]
    assert train[0].episode_end == pytest.approx(2.25)


def test_twins_and_clips_without_annotation(tmp_path: Path) -> None:
    root = tree(tmp_path, line())
    folder = root / NAMES[2]
    names = ["dia0_utt0.mp4", "final_videos_testdia0_utt0.mp4", "._dia0_utt0.mp4", "dia9_utt9.mp4"]
    for name in names:
        (folder / name).touch()
    final = read(root, OPTIONS)
    plain = read(root, OPTIONS.model_copy(update={"test_twins": "plain"}))
    assert final.utterances[-1].video.path == f"{NAMES[2]}/{names[1]}"
    assert plain.utterances[-1].video.path == f"{NAMES[2]}/{names[0]}"
    assert final.left_aside == {"clips without annotation": 1}
    assert list(final.notes)[-1] == "1 test clips have a twin; test_twins: final"


def test_a_split_with_few_clips_is_told(tmp_path: Path) -> None:
    lines = [line(utterance=n) for n in range(10)]
    root = tree(tmp_path, *lines)
    for folder, there in zip(NAMES, (10, 10, 4), strict=True):
        for number in range(there):
            (root / folder / f"dia0_utt{number}.mp4").touch()
    note, _ = read(root, OPTIONS).notes
    assert note.startswith("test: 4 of 10 clips are there: was test.tar.gz cut short")


def test_a_stripped_prefix_is_told(tmp_path: Path) -> None:
    root = tree(tmp_path, line())
    (root / NAMES[2] / "dia0_utt0.mp4").touch()
    note = list(read(root, OPTIONS).notes)[-1]
    assert "no clip is called final_videos_test*" in note


HARMLESS = {
    "doubled": (lambda root: root / "MELD.Raw/MELD.Raw", NAMES, None),
    "renamed": (lambda root: root, ["train", "dev", "test"], None),
    "renamed in part": (lambda root: root, ["train", "dev_splits", "test_splits"], None),
    "csv inside": (lambda root: root, ["train", "dev", "test"], ["train", "dev", "test"]),
    "csv as in the archives": (lambda root: root, NAMES, [NAMES[0], ".", "."]),
    "archive in a folder": (
        lambda root: root,
        ["train/train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test"],
        ["train", "dev", "test"],
    ),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_trees_that_are_harmless(tmp_path: Path, kind: str) -> None:
    home, folders, places = HARMLESS[kind]
    root = home(tmp_path)
    for number, split in enumerate(FOLDERS):
        (root / folders[number]).mkdir(parents=True)
        (root / folders[number] / "dia0_utt0.mp4").touch()
        place = root / (places[number] if places else ".")
        (place / f"{split}_sent_emo.csv").write_bytes(csv_bytes(line()))
    found = read(tmp_path, OPTIONS)
    assert [u.utterance for u in found.utterances] == [f"{s}/dia0_utt0" for s in FOLDERS]
    assert all((tmp_path / u.video.path).is_file() for u in found.utterances)


def test_clips_of_another_ending_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path, line())
    for folder in NAMES:
        (root / folder / "dia0_utt0.mkv").touch()
    note = next(iter(read(root, OPTIONS).notes))
    assert "0 of 1 clips are there as .mp4; others end in ['.mkv']" in note


def test_annotations_alone_are_a_corpus_of_text(tmp_path: Path) -> None:
    root = tree(tmp_path, line())
    for name in NAMES:
        (root / name).rmdir()
    found = read(root, OPTIONS)
    assert len(found.utterances) == 3
    assert all(u.video is None and u.audio is None for u in found.utterances)
    assert list(found.notes) == ["no clips: only the text can be used"]


def remove(root: Path, *names: str) -> None:
    for name in names:
        (root / name).rmdir() if (root / name).is_dir() else (root / name).unlink()


def packed_train(root: Path) -> None:
    remove(root, "train_sent_emo.csv", NAMES[0])
    (root / "train.tar.gz").touch()


def packed_dev(root: Path) -> None:
    remove(root, NAMES[1])
    (root / "dev.tar.gz").touch()


def one_folder(root: Path) -> None:
    remove(root, *NAMES)
    (root / "clips").mkdir()
    (root / "clips/dia0_utt0.mp4").touch()


def other_names(root: Path) -> None:
    remove(root, *NAMES)
    for name in ("train_videos", "validation", "clips_test"):
        (root / name).mkdir()
        (root / name / "dia0_utt0.mp4").touch()


def iemocap_instead(root: Path) -> None:
    remove(root, *NAMES, *(f"{split}_sent_emo.csv" for split in FOLDERS))
    (root / "Session1").mkdir()


def feature_pack(root: Path) -> None:
    remove(root, *NAMES, *(f"{split}_sent_emo.csv" for split in FOLDERS))
    (root / "MELD.Features.Models.tar.gz").touch()


def lfs_pointer(root: Path) -> None:
    (root / "dev_sent_emo.csv").write_text("version https://git-lfs.github.com/spec/v1\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (packed_train, ["lacks train_sent_emo.csv", "found: ['dev_sent_emo.csv'", "tar -xf"]),
        (packed_dev, ["lacks the folders ['dev_splits_complete']", "dev.tar.gz -C"]),
        (
            lambda root: remove(root, NAMES[2]),
            ["lacks the folders ['output_repeated_splits_test']"],
        ),
        (one_folder, ["clips of all splits in one folder", "each into its own folder"]),
        (other_names, ["clips_test'", "rename these folders: ['train_splits'"]),
        (iemocap_instead, ["this is IEMOCAP"]),
        (feature_pack, ["pack of features", "MELD.Raw.tar.gz"]),
        (lfs_pointer, ["dev_sent_emo.csv holds a Git-LFS pointer", "lfs pull"]),
        (
            lambda root: remove(root, *NAMES, *(f"{s}_sent_emo.csv" for s in FOLDERS)),
            ["is not an unpacked MELD tree", "found: nothing", "expected: train_sent_emo.csv"],
        ),
    ],
)
def test_a_wrong_tree_is_told_with_what_mends_it(
    tmp_path: Path, damage: object, said: list[str]
) -> None:
    root = tree(tmp_path / "raw", line())
    damage(root)  # type: ignore[operator]
    with pytest.raises(PipelineError) as error:
        read(root, OPTIONS)
    for part in said:
        assert part in str(error.value)


@pytest.fixture(scope="module")
def real(shared: Path) -> dict[str, Utterance]:
    return {u.utterance: u for u in read(shared / "meld_csv", OPTIONS).utterances}


def test_the_real_annotations_have_every_published_count(real: dict[str, Utterance]) -> None:
    assert differences(list(real.values()), PUBLISHED) == []
    sentiments = Counter((u.official_split, u.sentiment) for u in real.values())
    assert [sentiments[s, "neutral"] for s in FOLDERS] == [4710, 470, 1256]


def test_the_real_dialogues(real: dict[str, Utterance]) -> None:
    ids: dict[str, list[int]] = {}
    starts: dict[str, list[float]] = {}
    for u in real.values():
        ids.setdefault(u.dialogue, []).append(int(u.utterance.rpartition("utt")[2]))
        starts.setdefault(u.dialogue, []).append(u.episode_start or 0)
    assert "train/dia60" not in ids
    of = {s: [d for d in ids if d.startswith(f"{s}/")] for s in FOLDERS}
    gaps = {s: sum(ids[d] != list(range(len(ids[d]))) for d in of[s]) for s in FOLDERS}
    assert gaps == {"train": 72, "dev": 2, "test": 2}
    lengths = {s: (min(len(ids[d]) for d in of[s]), max(len(ids[d]) for d in of[s])) for s in of}
    assert lengths == {"train": (1, 24), "dev": (1, 23), "test": (1, 33)}
    unordered = {s: sum(starts[d] != sorted(starts[d]) for d in of[s]) for s in FOLDERS}
    assert unordered == {"train": 23, "dev": 4, "test": 4}


def test_the_real_times_of_two_digits_and_the_cross_split_duplicate(
    real: dict[str, Utterance],
) -> None:
    for name in ("test/dia187_utt2", "test/dia233_utt8", "train/dia437_utt2"):
        end = real[name].episode_end
        assert end is not None and round(end * 100) == pytest.approx(end * 100, abs=1e-6)
    one, other = real["train/dia12_utt7"], real["test/dia85_utt0"]
    assert (one.text, one.episode_start) == (other.text, other.episode_start)


def test_the_older_bytes_give_the_same_text_but_for_five_rows(
    shared: Path, real: dict[str, Utterance]
) -> None:
    old = read(shared / "meld_csv_legacy", OPTIONS).utterances
    differing = [(a, b) for a, b in zip(real.values(), old, strict=True) if a != b]
    assert len(differing) == 5
    assert all(a.text.replace("\xa0", " ") == b.text.replace("\xa0", " ") for a, b in differing)


@pytest.mark.parametrize(
    ("name", "reader"),
    [("train_sent_emo_dya.csv", "meld_dyadic"), ("emorynlp_train_final.csv", "emorynlp")],
)
def test_csvs_of_a_like_form_are_recognised(tmp_path: Path, name: str, reader: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(PipelineError, match=rf"next: this is .*, or set its reader to {reader}$"):
        read(tmp_path, OPTIONS)


@pytest.mark.parametrize("device", ["pipe", "/dev/zero"])
def test_what_is_no_regular_file_is_no_csv(tmp_path: Path, device: str) -> None:
    """It would be read for ever."""
    tree(tmp_path, LINE.format(text="x", dialogue=0, utterance=0))
    path = tmp_path / "dev_sent_emo.csv"
    path.unlink()
    if device == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(device)
    with pytest.raises(PipelineError, match=r"lacks dev_sent_emo\.csv, a regular file"):
        read(tmp_path, OPTIONS)
