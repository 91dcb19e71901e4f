"""What the frames stage says of the speakers' faces at its end."""

from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.frames import Pictures, SpeakerFace

MEANS: dict[SpeakerFace, str] = {
    "one": "one face",
    "decided": "several, decided by mouth and voice",
    "undecided": "several, undecided: the largest",
    "none": "none: the whole region",
}


class Shares:
    """Counts how the speaker's face was chosen while rows pass by."""

    def __init__(self) -> None:
        self.counts: Counter[SpeakerFace] = Counter()

    def counted(
        self, rows: Iterable[tuple[str, Pictures | None]]
    ) -> Iterator[tuple[str, Pictures | None]]:
        """Passes rows on."""
        for utterance, pictures in rows:
            if pictures is not None:
                self.counts[pictures.speaker] += 1
            yield utterance, pictures

    def lines(self) -> list[str]:
        """A line for each way, with its share; nothing where no face was looked for."""
        total = sum(self.counts[way] for way in MEANS)
        if not total:
            return []
        return [
            f"  faces: {100 * self.counts[way] / total:.1f} % {told} ({self.counts[way]})"
            for way, told in MEANS.items()
        ]
