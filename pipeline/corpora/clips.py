"""A corpus of one's own: `utterances.csv` with texts and labels, and the clips that it names."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.base.errors import PipelineError
from pipeline.base.folders import is_file, names_in, nfc
from pipeline.corpora.published import Published
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader
from pipeline.corpora.tree import unpacked, wrong_tree
from pipeline.records.manifest import Segment, Utterance
from pipeline.records.utterance_table import (
    FILE,
    LABELS,
    PARQUET,
    Row,
    UtteranceTable,
    read_utterance_table,
)

NEEDED = ("speaker",)
OPTIONAL = (
    "clip", "text", *LABELS, "split", "dialogue", "turn", "utterance", "start", "end", "session",
)  # fmt: skip
EXPECTED = f"{FILE} and the clips that it names; docs/corpora.md has its columns"
# Endings of files in which nobody is seen.
SOUND = (
    ".aac", ".ac3", ".aif", ".aiff", ".amr", ".au", ".flac", ".m4a", ".mka", ".mp2", ".mp3",
    ".oga", ".ogg", ".opus", ".sph", ".wav", ".wma",
)  # fmt: skip


class ClipsOptions(MediaOptions):
    """The block `CORPUS.corpus` of a corpus of one's own."""

    reader: Literal["clips"]


def read(root: Path, options: ClipsOptions) -> RawCorpus:
    """Read the folder of the table, or one that holds it; refuse a table without labels."""
    home = unpacked(root, lambda folder: any(is_file(folder / n) for n in (FILE, PARQUET)))
    if home is None:
        raise wrong_tree(root, f"lacks {FILE}", EXPECTED)
    table = read_utterance_table(home, NEEDED, OPTIONAL)
    for columns, lacks in ((LABELS, "has no labels"), (("clip", "text"), "has nothing to read")):
        if not set(columns) & set(table.columns):
            raise PipelineError(
                f"{table.path} {lacks}: got the columns {list(table.columns)}, expected "
                f"{' or '.join(columns)} besides."
            )
    place = PurePosixPath(home.relative_to(root).as_posix())
    dialogues = table.dialogues(lambda row: row["dialogue"] or row.clip or f"row{row.number}")
    utterances = [
        _utterance(row, dialogue, turn, len(rows), place)
        for dialogue, rows in dialogues.items()
        for turn, row in enumerate(rows)
    ]
    return RawCorpus(utterances, {"files beside clips that no row names": _unnamed(home, table)})


def _utterance(row: Row, dialogue: str, turn: int, length: int, place: PurePosixPath) -> Utterance:
    single = length == 1 and not row["dialogue"]
    video, audio = _segments(row, place)
    return Utterance(
        utterance=row["utterance"] or (dialogue if single else f"{dialogue}_utt{turn}"),
        dialogue=dialogue,
        turn=turn,
        speaker=row["speaker"],
        text=row["text"],
        video=video,
        audio=audio,
        emotion=row["emotion"] or None,
        sentiment=row["sentiment"] or None,
        official_split=row.split,
        session=row["session"] or None,
    )


def _segments(row: Row, place: PurePosixPath) -> tuple[Segment | None, Segment | None]:
    if row.clip is None:
        return None, None
    path = (place / row.clip).as_posix()
    segment = Segment(path, start=row.seconds("start") or 0.0, end=row.seconds("end"))
    return None if PurePosixPath(path).suffix.lower() in SOUND else segment, segment


def _unnamed(home: Path, table: UtteranceTable) -> int:
    named = [PurePosixPath(row.clip) for row in table.rows if row.clip is not None]
    folders: Sequence[PurePosixPath] = list(dict.fromkeys(clip.parent for clip in named))
    there = {folder / nfc(n) for folder in folders for n in names_in(home / folder)}
    files = (path for path in there - {*named, PurePosixPath(table.path.name)})
    return sum(is_file(home / path) for path in files)


READER = Reader(
    title="a corpus of one's own",
    options=ClipsOptions,
    read=read,
    label_sets={},
    published=Published("session", {}),
    marks=r"utterances\.(csv|parquet)",
)
