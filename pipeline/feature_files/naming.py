"""What the keys, ids and speakers of feature files are called in this project."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.contents import Turn, Vectors
from pipeline.feature_files.refusal import UnusableError, some

IEMOCAP = re.compile(r"Ses0([1-5])[FM]_(?:impro|script)\w+")
# A turn of IEMOCAP; `XX` marks those of a transcription that are no official turns.
IEMOCAP_TURN = re.compile(r"(Ses0[1-5][FM]_(?:impro|script)\w+)_([FM])(?:XX)?[0-9]+")
EMORYNLP = re.compile(r"([0-9]+)_([0-9]+)_([0-9]+)")
# MELD: `3`, `dia0_utt3`, `0_3`; and with its split, as MERTools and EmoBox have it.
MELD_TURN = re.compile(r"(?:(?:dia)?([0-9]+)_(?:utt)?)?([0-9]+)", re.ASCII)
MELD_ID = re.compile(r"(?:(train|dev|val|test)_)?dia([0-9]+)_utt([0-9]+)(?:-(train|dev|test))?")
# Split, first key, number of keys: the gap of the absent dialogue 60 stays open.
MELD_KEYS = (("train", 0, 1039), ("dev", 1039, 114), ("test", 1153, 280))
MELD_ABSENT = 60
MELD_RENUMBERED = 1431  # the highest key where somebody closed the gap
OFFICIAL = {"train": "train", "valid": "dev", "test": "test"}
SIDES = {"M", "F"}
PERSON = re.compile(r"Ses0[1-5][FM]")
# What files and folders are called after encoders, as far as these show the modality.
ENCODERS: dict[Modality, str] = {
    "text": "(?<!hu)bert|gpt|llama|bloom|deberta|electra|baichuan|chatglm|vicuna|xlnet|glove",
    "audio": "wav2vec|hubert|wavlm|whisper|vggish|opensmile|egemaps|is09|is10|panns",
    "visual": "clip|resnet|manet|dinov2|videomae|openface|senet|emonet|face|densenet|video",
}


@dataclass(frozen=True)
class Dialogue:
    """A dialogue in the terms of the manifest."""

    name: str
    split: str | None = None
    session: str | None = None


def corpus_of(keys: Iterable[str], speakers: Iterable[Any] = ()) -> str:
    """Whose dialogues have these keys, where the speakers of a file are these."""
    names = list(keys)
    if all(IEMOCAP.fullmatch(name) for name in names):
        return "iemocap"
    voices = {voice for voice in speakers if isinstance(voice, str)}
    if voices and voices <= {"0", "1"}:
        return "dailydialog"
    if all(EMORYNLP.fullmatch(name) for name in names):
        return "emorynlp"
    numbers = all(re.fullmatch("0|[1-9][0-9]{0,8}", name) for name in names)
    return "meld" if numbers and not voices else "other"


def dialogues(corpus: str, keys: Sequence[str], lists: Mapping[str, str]) -> dict[str, Dialogue]:
    """The dialogue of each key, where a file's own lists put keys into these splits.

    Raises:
        UnusableError: They are not the keys of the corpus, or contradict its lists.
    """
    if corpus == "meld":
        named = _meld_dialogues(sorted(map(int, keys)))
        test = {key for key, split in lists.items() if split == "test"}
        astray = [k for k in lists if (named[str(int(k))].split == "test") != (k in test)]
        if astray:
            raise UnusableError(
                f"its lists put {len(astray)} dialogues on the other side of train and test than "
                f"MELD's key rule (test from 1153): {some(astray)}; it was renumbered or mixed"
            )
        return {key: named[str(int(key))] for key in keys}
    if corpus == "iemocap":
        return {key: Dialogue(key, session=key[4]) for key in keys}
    if corpus == "emorynlp":
        if missing := [key for key in keys if key not in lists]:
            raise UnusableError(f"{len(missing)} dialogues are in no split: {some(missing)}")
        return {key: _emorynlp(key, OFFICIAL[lists[key]]) for key in keys}
    official = OFFICIAL if corpus in ("dailydialog", "other") else {}
    return {key: Dialogue(key, official.get(lists.get(key, ""))) for key in keys}


def _meld_dialogues(keys: Sequence[int]) -> dict[str, Dialogue]:
    if MELD_ABSENT in keys or keys[-1] == MELD_RENUMBERED or keys[-1] >= sum(MELD_KEYS[-1][1:]):
        what = f"key {MELD_ABSENT}" if MELD_ABSENT in keys else f"the highest key {keys[-1]}"
        raise UnusableError(
            f"it has {what}: MELD's files have the keys 0 to 1432 without {MELD_ABSENT} (dev from "
            "1039, test from 1153); this one was renumbered, and no key tells whose turns it has"
        )
    return {
        str(key): Dialogue(f"{split}/dia{key - first}", split)
        for split, first, count in MELD_KEYS
        for key in keys
        if first <= key < first + count
    }


def _emorynlp(key: str, split: str) -> Dialogue:
    season, episode, scene = map(int, key.split("_"))
    return Dialogue(f"{split}/s{season:02}_e{episode:02}_c{scene:02}", split)


def utterance(corpus: str, dialogue: str, given: Any) -> str:
    """The official id of a turn, of which a file gives an id or a part of it.

    Raises:
        UnusableError: It is of another dialogue.
    """
    if str(given).startswith(f"{dialogue}#"):  # by its place, as our own export has it
        return str(given)
    if corpus == "iemocap":
        match = IEMOCAP_TURN.fullmatch(str(given))
        if not match or match[1] != dialogue:
            raise UnusableError(f"dialogue {dialogue} has a turn {some([given])}")
        return str(given)
    if corpus == "meld":
        match = MELD_TURN.fullmatch(str(given))
        if not match or match[1] not in (None, dialogue.partition("/dia")[2]):
            raise UnusableError(f"dialogue {dialogue} has a turn {some([given])}")
        return f"{dialogue}_utt{int(match[2])}"
    return str(given) if isinstance(given, str) else f"{dialogue}_utt{given}"


def speakers(corpus: str, dialogue: str, given: Sequence[Any]) -> list[str | None]:
    """The speakers of a dialogue's turns: names, or `DIALOGUE#k`, k by who speaks first.

    A letter or number is no name: the same one is somebody else in the next dialogue.
    """
    voices: list[Any] = [tuple(map(int, v)) if not isinstance(v, str | int) else v for v in given]
    if corpus == "iemocap" and set(voices) <= SIDES:
        return [f"Ses0{dialogue[4]}{voice}" for voice in voices]
    places = {voice: place for place, voice in enumerate(dict.fromkeys(voices))}
    return [_speaker(dialogue, voice, places[voice]) for voice in voices]


def speaker_of(turn: Turn) -> str | None:
    """Who speaks a turn: in IEMOCAP by its id, where it has one, else who is said to."""
    match = IEMOCAP_TURN.fullmatch(turn.utterance or "")
    official = match and PERSON.fullmatch(turn.speaker or "")
    return f"{match[1][:5]}{match[2]}" if match and official else turn.speaker


def _speaker(dialogue: str, voice: Any, place: int) -> str | None:
    if voice == "":
        return None
    return voice if isinstance(voice, str) and len(voice) > 1 else f"{dialogue}#{place}"


def modality_of(
    name: str, vectors: Vectors = (), by_width: Mapping[int, Modality] | None = None
) -> Modality:
    """The modality of vectors: what the name of their file says, its encoder, or their width.

    Raises:
        UnusableError: Nothing shows it.
    """
    width = next((row.shape[1] for row in vectors if row is not None), 0)
    stated = [m for m in MODALITIES if m in name.lower()]
    found = stated or [m for m in MODALITIES if re.search(ENCODERS[m], name.lower())]
    if not found and width in (by_width or {}):
        found = [(by_width or {})[width]]
    if len(found) != 1:
        raise UnusableError(
            f"nothing shows the modality of {name} (vectors of {width or 'unknown'} features)",
            "put text, audio or visual into its name; `extract.imported` itself says which it is",
        )
    return found[0]
