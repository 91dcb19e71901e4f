"""What `manifest` finds when it opens the files: digests, ends, cuts, and what is missing."""

from pathlib import Path

import pytest

from pipeline.corpora import inspect
from pipeline.corpora.inspect import inspected
from pipeline.errors import MediaError
from pipeline.files import sha256_file
from pipeline.ledger import Problem
from pipeline.manifest import Segment, Utterance
from pipeline.media.probe import AudioInfo, Probe, VideoInfo

VIDEO = VideoInfo(320, 240, 25.0, "h264")
AUDIO = AudioInfo(48_000, 2, "stereo", "aac")
Looked = dict[str, Utterance]
FILES = {
    "whole.mp4": Probe(VIDEO, AUDIO, 2.5),
    "mute.mp4": Probe(VIDEO, None, 2.0),
    "long.mp4": Probe(VIDEO, AUDIO, 305.0),
    "still.mp4": Probe(VIDEO, AUDIO, 0.0),
}


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Looked, list[Problem]]:
    """Each file's utterance as `inspected` completes it, and the ledger."""

    def probe(path: Path) -> Probe:
        if path.name not in FILES:
            raise MediaError("absent", "there is no such file")
        return FILES[path.name]

    monkeypatch.setattr(inspect, "probe", probe)
    utterances = []
    for turn, name in enumerate([*FILES, "gone.mp4"]):
        if name in FILES:
            (tmp_path / name).write_text(name)
        clip = Segment(name, end=60.0)
        utterances.append(Utterance(name, "d", turn, "s", "text", clip, clip))
    done, problems = inspected(utterances, tmp_path, "test")
    assert done[0].video.sha256 == sha256_file(tmp_path / "whole.mp4")
    return {u.utterance: u for u in done}, problems


@pytest.fixture
def looked(found: tuple[Looked, list[Problem]]) -> Looked:
    return found[0]


def test_a_whole_clip_ends_where_it_ends(looked: Looked) -> None:
    assert looked["whole.mp4"].video.end == 2.5
    assert looked["whole.mp4"].audio.missing is None


def test_a_clip_without_sound_keeps_its_picture(looked: Looked) -> None:
    assert looked["mute.mp4"].audio.missing == "no_audio"
    assert looked["mute.mp4"].video.missing is None and looked["mute.mp4"].video.end == 2.0


def test_a_long_clip_is_cut_and_noted(found: tuple[Looked, list[Problem]]) -> None:
    looked, problems = found
    assert looked["long.mp4"].video.end == 60.0 and looked["long.mp4"].video.missing is None
    cut = [p for p in problems if p.utterance == "long.mp4"]
    assert [(p.modality, p.kind) for p in cut] == [("visual", "cut"), ("audio", "cut")]


def test_absent_and_empty_clips_are_masked_with_their_reason(
    found: tuple[Looked, list[Problem]],
) -> None:
    looked, problems = found
    assert looked["gone.mp4"].video.missing == "absent" and looked["gone.mp4"].video.end is None
    assert looked["still.mp4"].audio.missing == "no_duration"
    assert {p.kind for p in problems if p.utterance == "gone.mp4"} == {"absent"}
