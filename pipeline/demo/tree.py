"""The demo corpus as an unpacked `MELD.Raw` lies on disk, with the faults the real one has.

```
train_splits/dia{D}_utt{U}.mp4                 train_sent_emo.csv
dev_splits_complete/dia{D}_utt{U}.mp4          dev_sent_emo.csv
output_repeated_splits_test/dia{D}_utt{U}.mp4  test_sent_emo.csv
```
"""

import csv
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.demo.clips import Clip, render
from pipeline.demo.conversation import CAST, Turn, converse
from pipeline.demo.quirks import APPLE_DOUBLE, Split, clips_of, plan
from pipeline.demo.seeds import QUIRKS, generator
from pipeline.errors import PipelineError
from pipeline.settings.demo import DemoSettings

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


def write_meld_tree(settings: DemoSettings, folder: Path) -> None:
    """Writes the demo corpus in MELD's layout.

    The tree gets its name only when it is whole. The same settings give the same bytes.

    Args:
        settings: Size, seed and noise of the corpus.
        folder: The root to write; it must not exist or be empty.
    """
    with _new_folder(folder) as part:
        clips: list[Clip] = []
        for number, (split, subfolder) in enumerate(FOLDERS.items()):
            turns = converse(settings, number, getattr(settings, f"{split}_dialogues"))
            planned = plan(split, turns, generator(settings.seed, QUIRKS, number))
            (part / f"{split}_sent_emo.csv").write_bytes(csv_bytes(settings, number, planned))
            (part / subfolder).mkdir()
            clips += clips_of(planned, number, subfolder)
        (part / FOLDERS["test"] / "._dia0_utt0.mp4").write_bytes(APPLE_DOUBLE)
        render(settings, part, clips)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `folder` that takes its name if the block succeeds."""
    if folder.exists() and any(folder.iterdir()):
        raise PipelineError(
            f"{folder} exists and is not empty. The demo corpus is written whole: remove the "
            "folder or name another one."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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
    return [serial, turn.text, speaker, *label, split.dialogue_id(turn), turn.position]


def _time(seconds: float) -> str:
    """A time in the episode, for example `00:20:57,256`."""
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"
