"""A corpus of one's own by one CSV: clips, sound alone, text alone, labels, splits and stages."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

import stages.audio
import stages.frames
import stages.manifest
from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.corpora.clips import READER, ClipsOptions, read
from pipeline.corpora.inspect import inspected
from pipeline.corpora.protocol import make_protocol, remarks
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.features import read_features
from pipeline.records.ledger import read_ledger
from pipeline.records.manifest import Segment, Utterance, check
from tests.conftest import PARAMS
from tests.dag.clone import dumped
from tests.media.make_media import tone, write_wav

OPTIONS = ClipsOptions(reader="clips", full=False, max_seconds=60)


def table(root: Path, *lines: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "utterances.csv").write_text("\n".join(lines), encoding="utf-8")
    return root


def chosen(label_set: object, splits: str = "official", **more: object) -> ProtocolSettings:
    usual = {"label_policy": "consensus", "unlabelled": "drop", "control": "none", "splits": splits}
    return ProtocolSettings.model_validate({"label_set": label_set, **usual, **more})


def test_every_column_finds_its_place(tmp_path: Path) -> None:
    root = table(
        tmp_path / "mine/version 2",
        "clip,dialogue,turn,utterance,speaker,text,start,end,emotion,sentiment,split,session",
        'a.mp4,d,1,u1,Ann,"Well, yes",1.5,3,joy,pos,val,s1',
        "./sub/b.mp4,d,0,u0,Bob,No,,,,,valid,s1",
    )
    found = read(tmp_path, OPTIONS).utterances
    place = root.relative_to(tmp_path).as_posix()
    assert found == [
        Utterance(
            "u0", "d", 0, "Bob", "No", *[Segment(f"{place}/sub/b.mp4")] * 2,
            official_split="dev", session="s1",
        ),
        Utterance(
            "u1", "d", 1, "Ann", "Well, yes", *[Segment(f"{place}/a.mp4", 1.5, 3.0)] * 2,
            emotion="joy", sentiment="pos", official_split="dev", session="s1",
        ),
    ]  # fmt: skip


def test_clips_without_a_dialogue_are_dialogues_and_parts_of_a_file_one(tmp_path: Path) -> None:
    lines = ("a.wav,A,joy,,", "call.mp4,B,joy,0,2", "call.mp4,C,sad,2,", ",A,sad,,")
    found = read(table(tmp_path, "clip,speaker,emotion,start,end", *lines), OPTIONS).utterances
    assert [(u.dialogue, u.utterance, u.turn) for u in found] == [
        ("a.wav", "a.wav", 0),
        ("call.mp4", "call.mp4_utt0", 0),
        ("call.mp4", "call.mp4_utt1", 1),
        ("row5", "row5", 0),
    ]
    assert (found[3].video, found[3].audio) == (None, None)
    check(inspected(found, tmp_path, 60, "test")[0])


@pytest.mark.parametrize("ending", ["wav", "flac", "MP3", "ogg"])
def test_no_video_is_made_up_for_a_sound(tmp_path: Path, ending: str) -> None:
    (u,) = read(table(tmp_path, "clip,speaker,emotion", f"a.{ending},A,joy"), OPTIONS).utterances
    assert u.video is None and u.audio == Segment(f"a.{ending}")


def test_text_alone_is_a_corpus(tmp_path: Path) -> None:
    lines = [f"{split},{s},t,{label}" for split in ("train", "dev", "test") for s, label in
             (("A", "joy"), ("B", "2"))]  # fmt: skip
    raw = read(table(tmp_path, "split,speaker,text,sentiment", *lines), OPTIONS)
    done, problems = inspected(raw.utterances, tmp_path, 60, "test")
    assert done == raw.utterances and problems == [] and not any(raw.left_aside.values())
    assert {(u.video, u.audio) for u in done} == {(None, None)}
    settings = chosen({"good": ["joy"], "bad": ["2"]}, label_column="sentiment")
    protocol = make_protocol(done, settings, READER)
    assert protocol.classes == ("good", "bad") and [e.label for e in protocol.entries] == [0, 1] * 3
    assert remarks(done, settings, READER) == []


def test_files_that_no_row_names_are_counted(tmp_path: Path) -> None:
    root = table(tmp_path, "clip,speaker,emotion", "a.wav,A,joy", "s/b.wav,A,joy")
    (root / "s").mkdir()
    for name in ("a.wav", "c.wav", "s/b.wav", "s/d.wav", "._x.wav"):
        (root / name).touch()
    assert read(root, OPTIONS).left_aside == {"files beside clips that no row names": 2}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("clip,text", "a,b"),
            r"it lacks \['speaker'\]; expected the columns speaker and, if wanted",
        ),
        (("speaker,text", "a,b"), "has no labels: .* expected emotion or sentiment besides"),
        (("speaker,emotion", "a,b"), "has nothing to read"),
        (("clip,speaker,label", "a,b,c"), "Labels stand in emotion or sentiment"),
        (("clip,speaker,emotion,split", "a,b,c,9"), "row 2: split is '9'"),
        (("clip,speaker,emotion", "../a,b,c"), "row 2: clip '../a' does not lie in the folder"),
    ],
)
def test_a_table_that_is_no_corpus_is_told(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(PipelineError, match=said):
        read(table(tmp_path, *lines), OPTIONS)


def test_a_folder_without_a_table_is_told_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "labels.xlsx").touch()
    with pytest.raises(PipelineError, match=r"lacks utterances.csv\n  found: \['labels.xlsx'\]"):
        read(tmp_path, OPTIONS)


def test_there_are_no_label_sets_by_name(tmp_path: Path) -> None:
    found = read(table(tmp_path, "clip,speaker,emotion", "a.wav,A,joy"), OPTIONS).utterances
    with pytest.raises(PipelineError, match=r"got 'emotion', expected codes by class(.|\n)*doctor"):
        make_protocol(found, chosen("emotion"), READER)


@pytest.mark.slow
def test_stages_count_nothing_as_missing_that_never_was(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = table(
        workspace / "data/raw/mine",
        "clip,speaker,text,emotion,split",
        *(f"{split}.wav,A,{split},joy,{split}" for split in ("train", "dev")),
        ",B,no clip,sad,test",
    )
    for number, name in enumerate(("train", "dev")):
        write_wav(root / f"{name}.wav", tone(0.6, 16000, 300.0 + 50 * number))
    text = YAML(typ="safe").load(PARAMS.read_text())
    block = text["meld_text"] | {"corpus": {"reader": "clips", "full": False, "max_seconds": 60}}
    block["extract"] = {"modalities": ["text", "audio", "visual"]}
    block["audio"] = block["audio"] | {"feature_set": "eGeMAPSv02"}
    block["protocol"] = block["protocol"] | {"label_set": {"good": ["joy"], "bad": ["sad"]}}
    params_file = workspace / "params.yaml"
    params_file.write_text(dumped(text | {"corpora": ["mine"], "mine": block}))
    params = read_params(params_file)
    stages.manifest.work(params, "mine")
    assert "0 problems in the ledger" in capsys.readouterr().out
    stages.audio.work(params, "mine")
    assert "audio: 2 utterances, 0 masked" in capsys.readouterr().out
    store = read_features(paths.features("mine", "audio"))
    assert store.present.tolist() == [True, True, False] and store.dimension == 88
    assert read_ledger(paths.ledger("mine", "audio")) == []
    with pytest.raises(PipelineError, match="the corpus mine has no video, expected some: take"):
        stages.frames.work(params, "mine")
