"""Faults of the real IEMOCAP beyond the ratings' own: odd lines and AppleDouble files."""

from pathlib import Path

from pipeline.demo.folder import litter
from pipeline.demo.iemocap_media import wav_folder
from pipeline.demo.iemocap_plan import Staged
from pipeline.demo.iemocap_text import transcription_text


def transcription_lines(staged: Staged) -> str:
    """The transcription with lines that belong to no turn, in the first dialogue of a session."""
    lines = transcription_text(staged.recorded).splitlines(keepends=True)
    if staged.number == 0:
        for place, line in enumerate(_odd_lines(staged)):
            lines.insert(min(2 * place + 1, len(lines)), f"{line}\n")
    return "".join(lines)


def _odd_lines(staged: Staged) -> list[str]:
    name, turns = staged.recorded.dialogue, staged.recorded.turns
    women = sum(turn.utterance[-4] == "F" for turn in turns)
    start, end = turns[-1].end + 0.1, turns[-1].end + 0.4
    return [
        "M: Mm-hmm.",
        f"{name}_MXX0 [{start:08.4f}-{end:08.4f}]: Yeah.",
        f"{name}_F{women:03}: Right.",  # no time bracket
        "F: [LAUGHTER]",
    ]


def leave_litter(folder: Path, staged: Staged) -> None:
    """Leaves AppleDouble files beside one file of every kind."""
    dialog, name = folder / f"Session{staged.session}/dialog", staged.recorded.dialogue
    litter(dialog / f"avi/DivX/{name}.avi")
    litter(dialog / f"wav/{name}.wav")
    litter(dialog / f"EmoEvaluation/{name}.txt")
    litter(dialog / f"transcriptions/{name}.txt")
    litter(wav_folder(folder, staged) / f"{staged.recorded.turns[0].utterance}.wav")
