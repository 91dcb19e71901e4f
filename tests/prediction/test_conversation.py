"""`utterances.csv`: what is read from it, and every way it can be wrong told in words."""

import os
from pathlib import Path
from unicodedata import normalize

import pytest

from pipeline.base.errors import PipelineError
from pipeline.prediction.conversation import NO_CLIP, read_conversation

HEADER = "clip,speaker,text"


def given(folder: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    (folder / "utterances.csv").write_bytes(data)
    return folder


def test_three_columns_are_one_dialogue_named_after_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my call"
    folder.mkdir()
    given(
        folder, f'\ufeff{HEADER}\r\n./a.mp4, Ann ,"Well, yes "\r\n\r\nsub/b.mp4,Bob,\r\n,Ann,Ha\r\n'
    )
    first, second, third = read_conversation(folder)
    assert [u.utterance for u in (first, second, third)] == [
        "my call_utt0",
        "my call_utt1",
        "my call_utt2",
    ]
    assert {u.dialogue for u in (first, second, third)} == {"my call"}
    assert (first.speaker, first.text) == ("Ann", "Well, yes "), "texts are taken as they are"
    assert (first.video.path, second.audio.path) == ("a.mp4", "sub/b.mp4")
    assert (first.video.start, first.video.end, first.video.missing) == (0.0, None, None)
    assert third.audio.missing == third.video.missing == NO_CLIP
    assert first.emotion is None


def test_a_speaker_is_one_however_their_letters_are_composed(tmp_path: Path) -> None:
    rows = [f",{normalize(form, 'Zoë')},hi" for form in ("NFC", "NFD")]
    assert {u.speaker for u in read_conversation(given(tmp_path, "\n".join([HEADER, *rows])))} == {
        "Zoë"
    }


def test_a_folder_whose_name_is_not_utf8_names_a_dialogue_that_a_table_can_hold(
    tmp_path: Path,
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (turn,) = read_conversation(given(folder, f"{HEADER}\n,A,hi"))
    assert turn.dialogue == "caf\ufffd"


def test_dialogues_need_not_stand_together_and_times_are_of_the_clip(tmp_path: Path) -> None:
    header = "utterance,dialogue,start,end,clip,speaker,text"
    rows = ["p,x,,,c.avi,A,1", "q,y,1.5,4,c.avi,A,2", "r,x,2,,c.avi,B,3"]
    found = read_conversation(given(tmp_path, "\n".join([header, *rows])))
    assert [(u.utterance, u.dialogue, u.turn) for u in found] == [
        ("p", "x", 0),
        ("r", "x", 1),
        ("q", "y", 0),
    ]
    assert [(u.audio.start, u.audio.end) for u in found] == [(0.0, None), (2.0, None), (1.5, 4.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no utterance"),
        (HEADER, "holds no utterance"),
        ("clip;speaker;text\na;b;c", "Cells must be separated by commas"),
        ("clip,speaker\na,b", "it lacks ['text']"),
        (f"{HEADER},emotion\na,b,c,joy", "it has ['emotion'], which nothing reads"),
        (f"{HEADER},emotion\na,b,c,joy", "Labels are not read: leave them out"),
        (f"{HEADER},clip\na,b,c,d", "it has ['clip'] more than once"),
        (f"{HEADER}\na,b,c,d", "row 2: got 4 cells, expected 3"),
        (f'{HEADER}\na,b,"c', "line 2: not CSV"),
        (b"clip,speaker,text\na,b,\xf6", "cannot be read as UTF-8"),
        (HEADER.encode("utf-16-le"), "holds zero bytes"),
        (f"{HEADER}\na,,c", "row 2: speaker is empty"),
        (f"{HEADER},dialogue\na,b,c,", "row 2: dialogue is empty"),
        (f"{HEADER},utterance\na,b,c,u\na,b,c,v\na,b,c,u", "utterance 'u' stands in 2 rows"),
        (f"{HEADER}\n../a.mp4,b,c", "row 2: clip '../a.mp4' does not lie in the folder"),
        (f"{HEADER}\nx/../../a.mp4,b,c", "does not lie in the folder"),
        (f"{HEADER}\n/a.mp4,b,c", "does not lie in the folder"),
        (f"{HEADER}\n.,b,c", "does not lie in the folder"),
        (f"{HEADER},start\na,b,c,soon", "row 2: start and end are ['soon', '']"),
        (f"{HEADER},start\na,b,c,-1", "expected seconds in the clip"),
        (f"{HEADER},end\na,b,c,nan", "expected seconds in the clip"),
        (f"{HEADER},start,end\na,b,c,2,2", "row 2: it ends at 2.0 s, not after its start at 2.0"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(PipelineError) as told:
        read_conversation(given(tmp_path, text))
    assert said in str(told.value)
    assert "utterances.csv" in str(told.value)


def test_all_problems_are_told_at_once_up_to_ten(tmp_path: Path) -> None:
    rows = "\n".join("/abs.mp4,,c" for _ in range(8))
    with pytest.raises(PipelineError) as told:
        read_conversation(given(tmp_path, f"{HEADER}\n{rows}"))
    lines = str(told.value).splitlines()
    assert len(lines) == 12 and lines[-1] == "  and 6 more"


def test_a_folder_without_the_file_is_told_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="is no folder, expected one with utterances"):
        read_conversation(tmp_path / "nowhere")
    (tmp_path / "Utterances.xlsx").touch()
    with pytest.raises(PipelineError, match=r"lacks utterances.csv; found \['Utterances.xlsx'\]"):
        read_conversation(tmp_path)
