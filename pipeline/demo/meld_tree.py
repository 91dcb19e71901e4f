"""The demo corpus as an unpacked `MELD.Raw` lies on disk, with the faults the real one has.

```
train_splits/dia{D}_utt{U}.mp4                 train_sent_emo.csv
dev_splits_complete/dia{D}_utt{U}.mp4          dev_sent_emo.csv
output_repeated_splits_test/dia{D}_utt{U}.mp4  test_sent_emo.csv
```
"""

import csv
import io
from pathlib import Path

from pipeline.demo.clips import Clip, render
from pipeline.demo.conversation import CAST, Turn, converse
from pipeline.demo.folder import litter
from pipeline.demo.meld_quirks import Split, clips_of, flaw
from pipeline.demo.seeds import QUIRKS, generator
from pipeline.demo.settings import DemoSettings

FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)


def plan(settings: DemoSettings) -> dict[str, Split]:
    """The turns of every split, with what is wrong with them."""
    return {
        split: flaw(
            split,
            converse(settings, number, settings.dialogues[split]),
            generator(settings.seed, QUIRKS, number),
        )
        for number, split in enumerate(FOLDERS)
    }


def write_meld_tree(settings: DemoSettings, folder: Path) -> None:
    """Writes the demo corpus in MELD's layout into the empty `folder`."""
    clips: list[Clip] = []
    for number, (name, split) in enumerate(plan(settings).items()):
        (folder / f"{name}_sent_emo.csv").write_bytes(csv_bytes(settings, number, split))
        (folder / FOLDERS[name]).mkdir()
        clips += clips_of(split, number, FOLDERS[name])
    litter(folder / FOLDERS["test"] / "dia0_utt0.mp4")
    render(settings, folder, clips)


def csv_bytes(settings: DemoSettings, number: int, split: Split) -> bytes:
    """The split's annotation in MELD's flavour: UTF-8, CRLF, quotes only where needed.

    Args:
        settings: The corpus's settings.
        number: Of the split, for the seed.
        split: The split's turns, with what is wrong with them.
    """
    rng = generator(settings.seed, QUIRKS, number, 1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    dialogue, clock, season, episode = -1, 0.0, 0, 0
    for serial, turn in enumerate(split.turns, start=1):
        if turn.dialogue != dialogue:
            dialogue, clock = turn.dialogue, rng.uniform(20, 1300)
            season, episode = int(rng.integers(1, 11)), int(rng.integers(1, 25))
        start = clock + rng.uniform(0.1, 0.9)
        clock = start + turn.seconds
        if turn not in split.unannotated:
            place = (season, episode, _time(start), _time(clock))
            writer.writerow([*_row(split, turn, serial), *place])
    return text.getvalue().encode()


def _row(split: Split, turn: Turn, serial: int) -> list[object]:
    speaker = CAST[turn.speaker]
    label = (turn.emotion, turn.sentiment)
    # Typographic apostrophes, as in MELD.
    text = turn.text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    return [serial, text, speaker, *label, split.dialogue_id(turn), turn.position]


def _time(seconds: float) -> str:
    """A time in the episode, for example `00:20:57,256`."""
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"
