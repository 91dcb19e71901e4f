"""MELD as `MELD.Raw` unpacks: three CSVs and a folder of clips for each split.

Dialogue ids restart in each split, so an utterance is `test/dia3_utt0`. The times in the CSV are
times in the episode; a clip holds its utterance and nothing else.
"""

import csv
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.corpora.tree import RawCorpus
from pipeline.errors import PipelineError
from pipeline.manifest import Segment, Utterance
from pipeline.settings.base import Section

COLUMNS = [
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
]
FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
TIME = re.compile(r"(\d+):([0-5]\d):([0-5]\d),(\d{1,3})")
CLIP = re.compile(r"(final_videos_test)?dia\d+_utt\d+\.mp4")
C1_CONTROLS = re.compile("[\x80-\x9f]")


class MeldOptions(Section):
    """The block `corpus.NAME` of a MELD corpus."""

    reader: Literal["meld"]
    max_seconds: float = Field(gt=0, description="Longer clips are cut here, and noted.")
    test_twins: Literal["final", "plain"] = Field(
        description="Which clip of a test utterance is taken where `final_videos_test` has a twin."
    )


@dataclass(frozen=True)
class Row:
    """One line of a CSV, its numbers parsed."""

    dialogue: int
    utterance: int
    cells: dict[str, str]


def read(root: Path, options: MeldOptions) -> RawCorpus:
    """Reads a MELD tree.

    Args:
        root: The folder that holds the three CSVs and the three clip folders.
        options: The corpus' block of params.yaml.

    Raises:
        PipelineError: A CSV is missing or outside MELD's format.
    """
    utterances: list[Utterance] = []
    unannotated = 0
    for split, folder in FOLDERS.items():
        rows = read_csv(_csv(root, split))
        clips = _clips(root / folder)
        chosen = [_utterance(row, split, clips, options) for row in rows]
        utterances += _with_turns(chosen)
        named = {name for row in rows for name in _names(row)}
        unannotated += len(clips - named)
    return RawCorpus(utterances, {"clips without annotation": unannotated})


def _csv(root: Path, split: str) -> Path:
    name = f"{split}_sent_emo.csv"
    places = [root / name, root / FOLDERS[split] / name]
    for place in places:
        if place.is_file():
            return place
    found = sorted(p.name for p in root.iterdir())[:8] if root.is_dir() else "no such folder"
    raise PipelineError(
        f"{root} is not an unpacked MELD tree: {name} is neither in it nor in {FOLDERS[split]}/.\n"
        f"  found: {found}\n  expected: {[f'{s}_sent_emo.csv' for s in FOLDERS]} and the folders "
        f"{list(FOLDERS.values())}\n  next: unpack train.tar.gz, dev.tar.gz and test.tar.gz inside "
        f"MELD.Raw and point {root} at that folder."
    )


def read_csv(path: Path) -> list[Row]:
    """The rows of a MELD CSV of either byte flavour, in dialogue order.

    Raises:
        PipelineError: Not UTF-8, other columns, or a cell that is not what it should be.
    """
    lines = csv.reader(io.StringIO(_decode(path), newline=""), strict=True)
    try:
        header, *body = list(lines) or [[]]
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    if header != COLUMNS:
        raise PipelineError(f"{path}: got the columns {header}, expected {COLUMNS}")
    rows = [_row(path, number, line) for number, line in enumerate(body, start=2)]
    return sorted(rows, key=lambda row: (row.dialogue, row.utterance))


def _decode(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path} cannot be read as UTF-8: {error}") from error
    # The archive's flavour kept cp1252 bytes as C1 controls; only these are mended.
    return C1_CONTROLS.sub(lambda m: m[0].encode("latin-1").decode("cp1252", "replace"), text)


def _row(path: Path, number: int, line: list[str]) -> Row:
    where = f"{path}, row {number}"
    if len(line) != len(COLUMNS):
        raise PipelineError(f"{where}: got {len(line)} cells, expected {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, line, strict=True))
    ids = [cells["Dialogue_ID"], cells["Utterance_ID"]]
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in ids):
        raise PipelineError(f"{where}: Dialogue_ID and Utterance_ID are {ids}, expected numbers")
    for column in ("StartTime", "EndTime"):
        if not TIME.fullmatch(cells[column]):
            raise PipelineError(f"{where}: {column} is {cells[column]!r}, expected HH:MM:SS,mmm")
    return Row(int(ids[0]), int(ids[1]), cells)


def seconds(time: str) -> float:
    """`HH:MM:SS,mmm` as seconds; fewer digits after the comma are a decimal fraction."""
    match = TIME.fullmatch(time)
    assert match is not None, time
    hours, minutes, whole, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{int(whole)}.{fraction}")


def _clips(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if CLIP.fullmatch(path.name)}


def _names(row: Row) -> tuple[str, str]:
    plain = f"dia{row.dialogue}_utt{row.utterance}.mp4"
    return plain, f"final_videos_test{plain}"


def _utterance(row: Row, split: str, clips: set[str], options: MeldOptions) -> Utterance:
    plain, final = _names(row)
    name = final if options.test_twins == "final" and final in clips else plain
    clip = Segment(f"{FOLDERS[split]}/{name}", end=options.max_seconds)
    return Utterance(
        utterance=f"{split}/dia{row.dialogue}_utt{row.utterance}",
        dialogue=f"{split}/dia{row.dialogue}",
        turn=0,
        speaker=row.cells["Speaker"],
        text=row.cells["Utterance"],
        video=clip,
        audio=clip,
        emotion=row.cells["Emotion"],
        sentiment=row.cells["Sentiment"],
        official_split=split,
        episode_start=seconds(row.cells["StartTime"]),
        episode_end=seconds(row.cells["EndTime"]),
    )


def _with_turns(utterances: list[Utterance]) -> list[Utterance]:
    """Numbers the turns of each dialogue; ids have gaps where clips were never annotated."""
    turns: dict[str, int] = {}
    numbered = []
    for utterance in utterances:
        turn = turns.get(utterance.dialogue, 0)
        turns[utterance.dialogue] = turn + 1
        numbered.append(replace(utterance, turn=turn))
    return numbered
