"""The CREMA-D reader: clips, the trees that users really have, real media, and the protocol."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.corpora.cremad import (
    PUBLISHED,
    READER,
    SENTENCES,
    SOUND,
    VIDEO,
    CremadOptions,
    read,
)
from pipeline.corpora.inspect import inspected
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.published import differences
from pipeline.corpora.settings import ProtocolSettings
from pipeline.media.probe import VideoInfo, probe
from pipeline.records.ledger import counted
from pipeline.records.manifest import (
    Origin,
    Segment,
    Utterance,
    check,
    read_manifest,
    write_manifest,
)
from pipeline.records.protocol import Entry
from tests.conftest import PARAMS
from tests.corpora.cremad_tree import EMOTIONS, FOLDERS, lay_out, lay_out_media, names

OPTIONS = CremadOptions(reader="cremad", full=False, max_seconds=60)


def test_each_clip_is_a_dialogue_of_one_turn_in_sorted_order(tmp_path: Path) -> None:
    clips = names(3, ("WSI", "DFA"))
    found = read(lay_out(tmp_path, reversed(clips)), OPTIONS)
    assert [u.utterance for u in found.utterances] == sorted(clips)
    assert all(u.dialogue == u.utterance and u.turn == 0 for u in found.utterances)
    assert not found.notes and not any(found.left_aside.values())
    check(inspected(found.utterances, tmp_path, 60, "test")[0])


def test_the_name_tells_actor_sentence_and_emotion(tmp_path: Path) -> None:
    (u,) = read(lay_out(tmp_path, ["1091_ITH_FEA_XX"]), OPTIONS).utterances
    assert u == Utterance(
        utterance="1091_ITH_FEA_XX",
        dialogue="1091_ITH_FEA_XX",
        turn=0,
        speaker="1091",
        text="I think I have a doctor's appointment.",
        video=Segment("VideoFlash/1091_ITH_FEA_XX.flv"),
        audio=Segment("AudioWAV/1091_ITH_FEA_XX.wav"),
        emotion="FEA",
    )


def test_every_sentence_emotion_and_intensity(tmp_path: Path) -> None:
    clips = [f"1001_{s}_{e}_{level}" for s in SENTENCES for e in EMOTIONS for level in ("LO", "XX")]
    clips += ["1002_IEO_ANG_MD", "1002_IEO_ANG_HI"]
    found = read(lay_out(tmp_path, clips), OPTIONS).utterances
    assert len(found) == len(clips)
    assert {u.text for u in found} == set(SENTENCES.values()) and len(SENTENCES) == 12
    assert {u.emotion for u in found} == set(EMOTIONS)
    assert {u.speaker for u in found} == {"1001", "1002"}


def test_a_clip_of_one_file_names_the_other_which_the_ledger_calls_absent(workspace: Path) -> None:
    clips = ["1001_DFA_ANG_XX", "1001_DFA_HAP_XX"]
    lay_out_media(workspace, clips)
    (workspace / VIDEO / f"{clips[0]}.flv").unlink()
    (workspace / SOUND / f"{clips[1]}.wav").unlink()
    read_in = read(workspace, OPTIONS).utterances
    assert [u.utterance for u in read_in] == clips
    done, problems = inspected(read_in, workspace, 60, "test")
    assert [(u.video.missing, u.audio.missing) for u in done] == [
        ("absent", None),
        (None, "absent"),
    ]
    assert counted(problems) == {"audio absent": 1, "visual absent": 1}


def test_only_one_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, names(1))
    shutil.rmtree(tmp_path / VIDEO)
    found = read(tmp_path, OPTIONS).utterances
    assert len(found) == 6 and {u.video for u in found} == {None}
    done, problems = inspected(found, tmp_path, 60, "test")
    assert {u.video for u in done} == {None} and {p.modality for p in problems} == {"audio"}


def test_the_one_file_with_a_single_x_meets_its_picture(tmp_path: Path) -> None:
    """Copies from before October 2022 have `1040_ITH_SAD_X.wav` beside `..._XX.flv`."""
    lay_out(tmp_path, ["1040_ITH_SAD_XX"])
    (tmp_path / SOUND / "1040_ITH_SAD_XX.wav").rename(tmp_path / SOUND / "1040_ITH_SAD_X.wav")
    found = read(tmp_path, OPTIONS)
    (u,) = found.utterances
    assert u.utterance == "1040_ITH_SAD_XX"
    assert (u.video.path, u.audio.path) == (
        "VideoFlash/1040_ITH_SAD_XX.flv",
        "AudioWAV/1040_ITH_SAD_X.wav",
    )
    (tmp_path / SOUND / "1040_ITH_SAD_XX.wav").touch()
    both = read(tmp_path, OPTIONS)
    assert [u.audio.path for u in both.utterances] == ["AudioWAV/1040_ITH_SAD_XX.wav"]
    assert both.left_aside == {"files that are not clips": 1}


FOREIGN = (
    "1001_DFA_ANG_XX.mp3",
    "readme.txt",
    "1001_DFA_ANG_XX.wav.bak",
    "1001_XYZ_ANG_XX.wav",
    "1001_DFA_JOY_XX.wav",
    "1001_DFA_ANG_QQ.wav",
    "2001_DFA_ANG_XX.wav",
    "1001_DFA_HAP_XX.flv",  # a video among the sounds
)


def test_foreign_files_are_counted_and_left_aside(tmp_path: Path) -> None:
    lay_out(tmp_path, ["1001_DFA_ANG_XX"])
    for name in (*FOREIGN, "._1001_DFA_ANG_XX.wav", ".DS_Store"):
        (tmp_path / SOUND / name).write_bytes(b"x")
    found = read(tmp_path, OPTIONS)
    assert [u.utterance for u in found.utterances] == ["1001_DFA_ANG_XX"]
    assert found.left_aside == {"files that are not clips": len(FOREIGN)}


@pytest.mark.parametrize("home", ["CREMA-D", "CREMA-D/CREMA-D", "my copy of it"])
def test_a_root_around_the_tree(tmp_path: Path, home: str) -> None:
    lay_out(tmp_path / home, names(1))
    for name in ("AudioMP3/1001_DFA_ANG_XX.mp3", "SentenceFilenames.csv"):
        (tmp_path / home / name).parent.mkdir(exist_ok=True)
        (tmp_path / home / name).touch()
    found = read(tmp_path, OPTIONS).utterances
    assert [u.utterance for u in found] == names(1)
    assert all((tmp_path / s.path).is_file() for u in found for s in (u.video, u.audio))


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ((), ["is not a CREMA-D tree", "found: nothing", "expected: the folders VideoFlash"]),
        (("CREMA-D-master.zip",), ["unzip ", "CREMA-D-master.zip -d", "is not a CREMA-D tree"]),
        (("AudioWAV.tar.gz",), ["found: ['AudioWAV.tar.gz']", "tar -xf"]),
        (("AudioMP3/1001_DFA_ANG_XX.mp3",), ["is not a CREMA-D tree", "found: ['AudioMP3']"]),
        (("AudioWAV/AudioWAV.zip",), ["holds no clip in AudioWAV", "unzip "]),
        (("VideoFlash/readme.txt",), ["holds no clip in VideoFlash", "found: ['readme.txt']"]),
        (
            ("a/AudioWAV/1001_DFA_ANG_XX.wav", "b/AudioWAV/1001_DFA_ANG_XX.wav"),
            ["holds the corpus more than once"],
        ),
    ],
)
def test_a_wrong_tree_is_told_with_what_mends_it(
    tmp_path: Path, paths: tuple[str, ...], said: list[str]
) -> None:
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    with pytest.raises(PipelineError) as error:
        read(tmp_path, OPTIONS)
    for part in (*said, "expected: ", "next: ") if len(paths) < 2 else said:
        assert part in str(error.value)


def test_the_archive_in_place_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "cremad.zip").write_bytes(b"PK")
    with pytest.raises(PipelineError, match="a file of 2 bytes") as error:
        read(tmp_path / "cremad.zip", OPTIONS)
    assert f"unzip {tmp_path / 'cremad.zip'}" in str(error.value)


def test_real_media_are_usable(workspace: Path) -> None:
    clips = names(1)
    lay_out_media(workspace, clips)
    seen = probe(workspace / VIDEO / f"{clips[0]}.flv")
    assert seen.video == VideoInfo(160, 96, 10.0, "flv") and seen.audio is None
    assert probe(workspace / SOUND / f"{clips[0]}.wav").video is None
    done, problems = inspected(read(workspace, OPTIONS).utterances, workspace, 60, "test")
    assert problems == []
    for u in done:
        assert u.video.end == pytest.approx(0.5, abs=0.11) and u.audio.end == pytest.approx(0.5)
        assert u.video.sha256 != u.audio.sha256
    path = workspace / "manifest.parquet"
    write_manifest(path, done, Origin("cremad", full=False))
    assert read_manifest(path) == done


def committed() -> ProtocolSettings:
    return read_params(PARAMS).of(ProtocolSettings, "cremad")


def test_splits_by_speakers_and_the_committed_label_set(tmp_path: Path) -> None:
    clips = names(20, ("IEO", "TIE"))
    utterances = read(lay_out(tmp_path, clips), OPTIONS).utterances
    protocol = make_protocol(utterances, committed(), READER)
    assert protocol.classes == ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    assert len(protocol.entries) == len(clips) and all(
        e.label is not None for e in protocol.entries
    )
    speakers: dict[str, set[str]] = {}
    for entry in protocol.entries:
        speakers.setdefault(entry.split, set()).add(entry.speaker)
    assert {split: len(found) for split, found in speakers.items()} == {
        "train": 14,
        "valid": 2,
        "test": 4,
    }
    assert sum(map(len, speakers.values())) == len(set.union(*speakers.values())) == 20
    assert all(label == EMOTIONS.index(code) for label, code in labels(protocol.entries))


def labels(entries: list[Entry]) -> list[tuple[int | None, str]]:
    return [(entry.label, entry.utterance.split("_")[2]) for entry in entries]


def release() -> list[str]:
    """Names with every published count: all of eleven sentences, and IEO at three levels."""
    actors = [str(actor) for actor in range(1001, 1092)]
    emotional = [e for e in EMOTIONS if e != "NEU"]
    per_emotion = [f"{a}_{s}_%s_XX" for a in actors for s in SENTENCES if s != "IEO"]
    per_emotion += [f"{a}_IEO_%s_{level}" for level in ("LO", "MD", "HI") for a in actors]
    neutral = [f"{a}_{s}_NEU_XX" for s in SENTENCES for a in actors]
    return [name % e for e in emotional for name in per_emotion[-1271:]] + neutral[-1087:]


def test_a_whole_release_and_what_is_said_of_less(tmp_path: Path) -> None:
    clips = release()
    (tmp_path / SOUND).mkdir()
    for clip in clips:
        (tmp_path / SOUND / f"{clip}.wav").touch()
    assert differences(read(tmp_path, OPTIONS).utterances, PUBLISHED) == []
    (tmp_path / SOUND / f"{clips[0]}.wav").unlink()
    assert differences(read(tmp_path, OPTIONS).utterances, PUBLISHED) == [
        "in all: 7441 utterances (published 7442), 7441 dialogues (published 7442), "
        "1270 ANG (published 1271). Likely: whole dialogues are not there, unpacked incompletely",
    ]


def is_a_name(raw: bytes) -> bool:
    return not ({0, ord("/")} & set(raw)) and raw not in (b".", b"..")


parts = st.sampled_from(
    ["1001", "_", "DFA", "ANG", "XX", "X", "LO", ".wav", ".flv", ".WAV", "._", "\n", "é", " "]
)
likely = st.lists(parts, min_size=1, max_size=9).map("".join).map(str.encode)
arbitrary = st.binary(min_size=1, max_size=60).filter(is_a_name)
files = st.lists(st.tuples(st.sampled_from(list(FOLDERS)), likely | arbitrary), max_size=8)


@given(files)
@example([(SOUND, b"1001_DFA_ANG_XX.wav\n"), (VIDEO, b"\xff\xfe_DFA_ANG_XX.flv")])
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_arbitrary_names_raise_nothing_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[str, bytes]]
) -> None:
    root = tmp_path_factory.mktemp("names")
    for folder, name in chosen:
        (root / folder).mkdir(exist_ok=True)
        (root / folder / os.fsdecode(name)).touch()
    with suppress(PipelineError):
        found = read(root, OPTIONS)
        there = {path.name for path in root.glob("*/*")}
        kept = {Path(s.path).name for u in found.utterances for s in (u.video, u.audio)}
        litter = {name for name in there if name.startswith(("._", ".DS_Store"))}
        paths = [p for p in root.glob("*/*") if p.name not in kept | litter]
        assert len(paths) <= found.left_aside["files that are not clips"]
    shutil.rmtree(root)
