"""MELD's dyadic split and EmoryNLP: by the code that reads MELD, from files of their real form."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.corpora.emorynlp import READER as EMORY_READER
from pipeline.corpora.emorynlp import EmorynlpOptions
from pipeline.corpora.inspect import inspected
from pipeline.corpora.meld import DYADIC_READER, FOLDERS, MeldOptions
from pipeline.corpora.meld_csv import DYADIC, EMORYNLP, Form
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.published import differences
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Utterance, check

OF_EMORY = EmorynlpOptions(reader="emorynlp", full=False, max_seconds=60)
OF_DYADIC = MeldOptions(reader="meld_dyadic", full=False, max_seconds=60, test_twins="final")
ROWS = (
    "I have no brackety thing.,['Ross Geller'],Mad,4,12,1,1,00:09:34.865,00:09:51.423",
    "\"Oh, hey.\",['Joey Tribbiani'],Neutral,4,3,1,1,00:09:39.453,00:09:42.247",
    "Ohhhh.,\"['Monica Geller', 'Phoebe Buffay']\",Joyful,4,1,1,10,00:00:54.554,soon",
    "It\x92s me!,['#ALL#'],Scared,4,2,1,10,00:01:54.554,00:02:54.554",
)


def written(root: Path, form: Form, *rows: str, splits: Sequence[str] = tuple(FOLDERS)) -> Path:
    root.mkdir(exist_ok=True)
    for split in splits:
        text = "\n".join([",".join(form.columns), *rows, ""])
        (root / form.name.format(split)).write_text(text, encoding="utf-8")
    return root


def test_a_scene_of_emorynlp_is_a_dialogue_in_the_order_of_its_ids(tmp_path: Path) -> None:
    found = EMORY_READER.read(written(tmp_path, EMORYNLP, *ROWS), OF_EMORY)
    train = [u for u in found.utterances if u.official_split == "train"]
    assert [(u.utterance, u.dialogue, u.turn) for u in train] == [
        ("train/s01_e01_c04_u003", "train/s01_e01_c04", 0),
        ("train/s01_e01_c04_u012", "train/s01_e01_c04", 1),
        ("train/s01_e10_c04_u001", "train/s01_e10_c04", 0),
        ("train/s01_e10_c04_u002", "train/s01_e10_c04", 1),
    ]
    assert [u.speaker for u in train] == [
        "Joey Tribbiani",
        "Ross Geller",
        "Monica Geller and Phoebe Buffay",
        "#ALL#",
    ]
    assert (train[1].episode_start, train[2].episode_end) == (pytest.approx(574.865), None)
    assert train[3].text == "It\u2019s me!" and train[0].sentiment is None
    assert {(u.video, u.audio) for u in found.utterances} == {(None, None)}
    assert list(found.notes) == ["no clips: only the text can be used"]
    done, problems = inspected(found.utterances, tmp_path, 60, "test")
    assert done == found.utterances and problems == []
    check(done)
    settings = ProtocolSettings(
        label_set="emotion",
        label_policy="consensus",
        unlabelled="drop",
        control="none",
        splits="official",
    )
    protocol = make_protocol(found.utterances, settings, EMORY_READER)
    assert protocol.classes == (
        "Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared",
    )  # fmt: skip
    assert [entry.label for entry in protocol.entries[:4]] == [3, 1, 0, 6]


def test_clips_of_emorynlp_are_met_by_their_names_wherever_they_lie(tmp_path: Path) -> None:
    written(tmp_path / "EmoryNLP", EMORYNLP, *ROWS)
    folder = tmp_path / "EmoryNLP/train_splits"
    folder.mkdir()
    for name in ("sea1_ep1_sc4_utt3.mp4", "sea9_ep9_sc9_utt9.mp4", "._sea1_ep1_sc4_utt12.mp4"):
        (folder / name).touch()
    found = EMORY_READER.read(tmp_path, OF_EMORY)
    assert [u.video.path for u in found.utterances[:2]] == [
        f"EmoryNLP/train_splits/sea1_ep1_sc4_utt{n}.mp4" for n in (3, 12)
    ]
    assert found.left_aside == {"clips without annotation": 1} and not found.notes


@pytest.mark.parametrize("cell", ["Ross Geller", "[]", "['a', 1]", "__import__('os')", '"[' * 9])
def test_a_speaker_that_is_no_list_of_names_is_told(tmp_path: Path, cell: str) -> None:
    quoted = '"{}"'.format(cell.replace('"', '""'))
    row = ROWS[0].replace("['Ross Geller']", quoted)
    with pytest.raises(PipelineError, match=r"s01_e01_c04_u012: Speaker is .*\['Ross Geller'\];"):
        EMORY_READER.read(written(tmp_path, EMORYNLP, row), OF_EMORY)


@given(st.text(max_size=60))
def test_no_speaker_raises_anything_but_the_documented_error(
    tmp_path_factory: pytest.TempPathFactory, cell: str
) -> None:
    text = cell.replace('"', '""').replace("\0", "").encode("utf-8", "replace").decode()
    row = ROWS[0].replace("['Ross Geller']", f'"{text}"')
    root = written(tmp_path_factory.mktemp("emory"), EMORYNLP, row)
    try:
        found = EMORY_READER.read(root, OF_EMORY).utterances
    except PipelineError:
        return
    assert all(u.speaker for u in found)


def test_a_lacking_file_of_emorynlp_is_told(tmp_path: Path) -> None:
    written(tmp_path, EMORYNLP, *ROWS, splits=("train", "test"))
    with pytest.raises(PipelineError, match=r"lacks \['emorynlp_dev_final\.csv'\]"):
        EMORY_READER.read(tmp_path, OF_EMORY)


def dyadic(dialogue: int, turn: int, old: tuple[int, int]) -> str:
    ids = f"{dialogue},{turn},{old[0]},{old[1]}"
    return f'You are a genius!,Chandler,joy,positive,{ids},4,4,"0:12:32,334","00:12:33,960"'


def test_a_turn_of_the_dyadic_split_has_the_clip_of_its_old_ids(tmp_path: Path) -> None:
    rows = [dyadic(1, 1, (1, 3)), dyadic(1, 0, (1, 0)), dyadic(2, 0, (1, 3))]
    root = written(tmp_path, DYADIC, *rows)
    for folders in FOLDERS.values():
        (root / folders[0]).mkdir()
        (root / folders[0] / "dia1_utt3.mp4").touch()
    (root / FOLDERS["test"][0] / "final_videos_testdia1_utt3.mp4").touch()
    found = DYADIC_READER.read(root, OF_DYADIC)
    assert [u.utterance for u in found.utterances[-3:]] == [
        "test/dyad1_utt0", "test/dyad1_utt1", "test/dyad2_utt0",
    ]  # fmt: skip
    names = [Path(u.video.path).name for u in found.utterances]
    assert names[:3] == ["dia1_utt0.mp4", "dia1_utt3.mp4", "dia1_utt3.mp4"]
    assert names[-1] == "final_videos_testdia1_utt3.mp4", "a twin, as in MELD"
    assert found.left_aside == {"clips without annotation": 0}
    check(inspected(found.utterances, root, 60, "test")[0])


def test_the_dyadic_splits_own_csvs_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"expected: train_sent_emo_dya\.csv, dev_sent"):
        DYADIC_READER.read(tmp_path, OF_DYADIC)


def test_published_counts_are_of_the_classes_and_add_up() -> None:
    for split, counts in EMORY_READER.published.counts.items():
        codes = EMORY_READER.label_sets["emotion"].classes
        assert sum(counts[code] for code in codes) == counts["utterances"], split
    few = [Utterance("train/dia0_utt0", "train/dia0", 0, "A", "", None, None, "joy")]
    assert len(differences(few, READERS["meld_dyadic"].published)) == 3
