"""An IEMOCAP tree's annotations without its media, for tests of the reader."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.demo.iemocap_annotation import (
    CLASSES,
    AnnotatedTurn,
    Annotation,
    Rating,
    evaluation_text,
    transcription_text,
)

PARTS = ("transcriptions", "EmoEvaluation")


def lay_out(root: Path, dialogues: Sequence[Annotation], session: str = "Session{}") -> Path:
    """Writes both texts of each dialogue where the release has them."""
    for one in dialogues:
        home = root / session.format(one.dialogue[4]) / "dialog"
        texts = (transcription_text(one), evaluation_text(one))
        for part, text in zip(PARTS, texts, strict=True):
            (home / part).mkdir(parents=True, exist_ok=True)
            (home / part / f"{one.dialogue}.txt").write_bytes(text.encode("latin-1"))
    return root


def with_videos(root: Path) -> Path:
    """An empty video for each dialogue of a tree."""
    for text in sorted(root.rglob("transcriptions/*.txt")):
        video = text.parents[1] / "avi/DivX" / f"{text.stem}.avi"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.touch()
    return root


def conversation(name: str, turns: str = "FMFM", code: str = "neu") -> Annotation:
    """A dialogue whose turns are spoken by the given letters, two seconds each."""
    counts = {"F": 0, "M": 0}
    spoken = []
    for place, letter in enumerate(turns):
        utterance = f"{name}_{letter}{counts[letter]:03}"
        counts[letter] += 1
        spoken.append(turn(utterance, 2.0 * place, code))
    return Annotation(name, tuple(spoken))


def turn(utterance: str, start: float, code: str, *votes: tuple[str, ...]) -> AnnotatedTurn:
    """A turn of two seconds; without `votes` three raters and the speaker agree on the code."""
    words = {code: word for word, code in CLASSES.items()}
    said = votes or ((words.get(code, "Other"),),) * 4
    names = ("E1", "E2", "E4", f"{utterance[-4]}1")
    ratings = tuple(Rating(name, labels, 3, 2, 4) for name, labels in zip(names, said, strict=True))
    return AnnotatedTurn(
        utterance, f"Words of {utterance}.", start, start + 2, code, 3, 2, 4, ratings
    )
