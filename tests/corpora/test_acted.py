"""EmoDB and RAVDESS: real names, files in several forms, sound alone, speakers kept apart."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.corpora import emodb, ravdess
from pipeline.corpora.inspect import inspected
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.published import differences
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.ledger import counted
from pipeline.records.manifest import Segment, Utterance, check
from tests.media.make_media import tone, write_media, write_wav

OF_EMODB = emodb.EmodbOptions(reader="emodb", full=True, max_seconds=60)
OF_RAVDESS = ravdess.RavdessOptions(reader="ravdess", full=True, max_seconds=60)


def chosen(splits: str, label_set: str = "emotion", **more: float) -> ProtocolSettings:
    usual = {
        "label_policy": "consensus",
        "unlabelled": "drop",
        "control": "none",
        "valid_fraction": 0.2,
    }
    return ProtocolSettings.model_validate(
        {**usual, "label_set": label_set, "splits": splits, **more}
    )


def touched(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_the_real_wavs_of_emodb(shared: Path, workspace: Path) -> None:
    root = workspace / "emodb"
    (root / "wav").mkdir(parents=True)
    real = sorted((shared / "emodb/wav").glob("*.wav"))
    for path in real:
        shutil.copy(path, root / "wav")
    found = emodb.read(root, OF_EMODB)
    assert Counter(u.emotion for u in found.utterances) == {"W": 127, "N": 79, "F": 71, "T": 62}
    assert (
        len({u.speaker for u in found.utterances}) == 10
        and len({u.text for u in found.utterances}) == 10
    )
    (line,) = differences(found.utterances, emodb.PUBLISHED)
    assert "339 utterances (published 535)" in line and "81" in line
    few = found.utterances[:3]
    done, problems = inspected(few, root, 60, "test", ["audio"])
    assert problems == [] and all(u.video is None and u.audio.end > 0.5 for u in done)
    check(done)


def test_a_name_of_emodb_tells_speaker_sentence_and_emotion(tmp_path: Path) -> None:
    root = touched(
        tmp_path, "03a01Fa.wav", "16b10N.wav", "03a03Fa.wav", "readme.txt", "x/12a07Lb.wav"
    )
    found = emodb.read(root, OF_EMODB)
    assert found.utterances[0] == Utterance(
        utterance="03a01Fa",
        dialogue="03a01Fa",
        turn=0,
        speaker="03",
        text="Der Lappen liegt auf dem Eisschrank.",
        video=None,
        audio=Segment("03a01Fa.wav"),
        emotion="F",
    )
    assert [u.utterance for u in found.utterances] == ["03a01Fa", "12a07Lb", "16b10N"]
    assert found.utterances[1].audio == Segment("x/12a07Lb.wav")
    assert found.left_aside == {"files that are not clips": 2}, "there is no sentence a03"
    classes = emodb.READER.label_sets["emotion"]
    assert [classes.classes[classes.index(code)] for code in "WLEAFTN"] == [
        "anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral",
    ]  # fmt: skip


def test_each_speaker_of_emodb_is_a_fold_of_its_own(tmp_path: Path) -> None:
    speakers = ("03", "08", "09", "10", "11")
    root = touched(
        tmp_path, *(f"{s}{t}{e}a.wav" for s in speakers for t in ("a01", "b02") for e in "WN")
    )
    utterances = emodb.read(root, OF_EMODB).utterances
    protocol = make_protocol(utterances, chosen("leave_one_speaker_out"), emodb.READER)
    tested = [
        {e.speaker for e in protocol.entries if (e.fold, e.split) == (fold, "test")}
        for fold in protocol.folds
    ]
    assert tested == [{speaker} for speaker in speakers]
    for fold in protocol.folds:
        of = Counter({(e.split, e.speaker) for e in protocol.entries if e.fold == fold})
        assert Counter(split for split, _ in of) == {"train": 3, "valid": 1, "test": 1}


SPOKEN = "01-06-01-02-01-12"


def test_a_clip_of_ravdess_in_several_forms_is_one_utterance(tmp_path: Path) -> None:
    root = touched(
        tmp_path,
        *(f"Video_Speech_Actor_12/Actor_12/0{m}-{SPOKEN}.mp4" for m in (1, 2)),
        f"Audio_Speech_Actors_01-24/Actor_12/03-{SPOKEN}.wav",
        f"copy/Audio_Speech_Actors_01-24/Actor_12/03-{SPOKEN}.wav",
        "Audio_Song_Actors_01-24/Actor_12/03-02-06-01-02-01-12.wav",
        "Actor_12/03-01-09-01-02-01-12.wav",
    )
    found = ravdess.read(root, OF_RAVDESS)
    assert found.utterances == [
        Utterance(
            utterance=SPOKEN,
            dialogue=SPOKEN,
            turn=0,
            speaker="12",
            text="Dogs are sitting by the door.",
            video=Segment(f"Video_Speech_Actor_12/Actor_12/01-{SPOKEN}.mp4"),
            audio=Segment(f"Audio_Speech_Actors_01-24/Actor_12/03-{SPOKEN}.wav"),
            emotion="fearful",
        )
    ]
    assert found.left_aside == {"songs": 1, "files that are not clips": 2}


@pytest.mark.parametrize(
    ("modality", "ending", "seen", "heard"),
    [("03", "wav", False, True), ("02", "mp4", True, False), ("01", "mp4", True, True)],
)
def test_each_form_of_ravdess_alone(
    tmp_path: Path, modality: str, ending: str, seen: bool, heard: bool
) -> None:
    name = f"Actor_12/{modality}-{SPOKEN}.{ending}"
    (u,) = ravdess.read(touched(tmp_path, name), OF_RAVDESS).utterances
    assert u.video == (Segment(name) if seen else None)
    assert u.audio == (Segment(name) if heard else None)


def test_a_clip_of_ravdess_that_lacks_what_others_have_is_in_the_ledger(workspace: Path) -> None:
    other = "01-05-01-01-01-03"
    for place, name, hertz in (("Actor_12", SPOKEN, 300), ("Actor_03", other, 400)):
        (workspace / place).mkdir()
        write_wav(workspace / place / f"03-{name}.wav", tone(0.5, 16000, hertz))
    write_media(workspace / f"Actor_12/01-{SPOKEN}.mp4", stamps=range(5))
    done, problems = inspected(
        ravdess.read(workspace, OF_RAVDESS).utterances, workspace, 60, "test"
    )
    assert [(u.utterance, u.video.missing, u.audio.missing) for u in done] == [
        (other, "absent", None),
        (SPOKEN, None, None),
    ]
    assert counted(problems) == {"visual absent": 1}
    assert done[0].video.path == f"Actor_03/01-{other}.mp4"


def whole_ravdess() -> list[str]:
    return [
        f"Actor_{actor:02}/03-01-{emotion:02}-{strength:02}-{text:02}-{take:02}-{actor:02}.wav"
        for actor in range(1, 25)
        for emotion in range(1, 9)
        for strength in range(1, 3 if emotion > 1 else 2)
        for text in (1, 2)
        for take in (1, 2)
    ]


def test_a_whole_ravdess_has_the_published_counts_and_disjoint_speakers(tmp_path: Path) -> None:
    utterances = ravdess.read(touched(tmp_path, *whole_ravdess()), OF_RAVDESS).utterances
    assert differences(utterances, ravdess.PUBLISHED) == []
    settings = chosen("speakers", "without_calm", test_fraction=0.25)
    protocol = make_protocol(utterances, settings, ravdess.READER)
    assert len(protocol.classes) == 7
    of = {(e.speaker, e.split) for e in protocol.entries}
    assert len(of) == 24 and Counter(split for _, split in of)["test"] == 6
    labels = Counter(e.label for e in protocol.entries)
    assert labels[0] == 96 + 192, "calm counts as neutral"


@pytest.mark.parametrize("module", [emodb, ravdess])
def test_a_tree_without_a_clip_is_told_with_what_mends_it(tmp_path: Path, module) -> None:  # type: ignore[no-untyped-def]
    options = OF_EMODB if module is emodb else OF_RAVDESS
    touched(tmp_path, "download.zip")
    with pytest.raises(PipelineError, match=r"holds no clip of(.|\n)*expected: (.|\n)*unzip "):
        module.read(tmp_path, options)
    touched(tmp_path / "cremad", "VideoFlash/x.flv")
    with pytest.raises(PipelineError, match="this is CREMA-D"):
        module.read(tmp_path / "cremad", options)
