"""What is wrong with MELD's layout: the faults of the real one, one of each where it has them.

train: a clip without a moov atom, a clip that is missing, one without audio, one in 5.1, a gap
in the dialogue ids and one in a dialogue's utterance ids. test: one clip without audio, one in
5.1, an unannotated clip, and a clip under two names: `final_videos_testdia*.mp4` is the right
one, the plain name shows another utterance.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.demo.clips import Clip
from pipeline.demo.conversation import Turn

TWIN_PREFIX = "final_videos_test"


@dataclass(frozen=True)
class Split:
    """A split's turns, and those that are not as they should be (None or empty: there is none).

    Attributes:
        turns: All turns, in order.
        unannotated: Turns without a row in the CSV.
        absent: Turns without a clip.
        broken: The turn whose clip ends too early.
        silent: The turn whose clip has no audio stream.
        surround: The turn whose clip has 5.1 audio.
        twin: The turn whose plain clip shows another turn, and that other turn.
        missing_dialogue: The dialogue id that is left out.
    """

    turns: tuple[Turn, ...]
    unannotated: tuple[Turn, ...] = ()
    absent: tuple[Turn, ...] = ()
    broken: Turn | None = None
    silent: Turn | None = None
    surround: Turn | None = None
    twin: tuple[Turn, Turn] | None = None
    missing_dialogue: int | None = None

    def dialogue_id(self, turn: Turn) -> int:
        """The id on disk: a missing dialogue moves the later ones up by one."""
        missing = self.missing_dialogue
        return turn.dialogue + (missing is not None and turn.dialogue >= missing)

    def name(self, turn: Turn) -> str:
        """The clip's file name."""
        return f"dia{self.dialogue_id(turn)}_utt{turn.position}.mp4"


def flaw(split: str, turns: list[Turn], rng: np.random.Generator) -> Split:
    """Draws which turns of a split are not as they should be.

    Args:
        split: `train`, `dev` (which has no faults) or `test`.
        turns: Its turns.
        rng: Draws them.
    """
    if split == "dev":
        return Split(tuple(turns))
    gap = _common_turn(turns, rng)
    others = [turn for turn in turns if turn != gap]
    a, b, c, d = (others[i] for i in rng.choice(len(others), 4, replace=False).tolist())
    if split == "test":
        return Split(tuple(turns), (gap,), silent=a, surround=b, twin=(c, d))
    middle = max(1, (turns[-1].dialogue + 1) // 2)
    return Split(tuple(turns), (gap,), (gap, a), b, c, d, missing_dialogue=middle)


def _common_turn(turns: list[Turn], rng: np.random.Generator) -> Turn:
    """A turn within a dialogue, of the commonest emotion if there is one: it is left out."""
    ends = {turn.dialogue: turn.position for turn in turns}
    inner = [turn for turn in turns if 0 < turn.position < ends[turn.dialogue]]
    common = [turn for turn in inner if turn.emotion == "neutral"] or inner
    return common[int(rng.integers(len(common)))]


def clips_of(split: Split, number: int, folder: str) -> list[Clip]:
    """The clips of a split in order, without those that are absent."""
    clips: list[Clip] = []
    for turn in split.turns:
        if turn in split.absent:
            continue
        path, shown = f"{folder}/{split.name(turn)}", turn
        if split.twin is not None and turn == split.twin[0]:
            clips.append(Clip(f"{folder}/{TWIN_PREFIX}{split.name(turn)}", number, turn))
            shown = split.twin[1]
        audio = "5.1" if turn == split.surround else "stereo"
        clips.append(
            Clip(path, number, shown, None if turn == split.silent else audio, turn == split.broken)
        )
    return clips
