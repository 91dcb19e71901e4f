"""MELD as `MELD.Raw` unpacks: three CSVs, in either byte flavour, and a folder of clips per split.

Dialogue ids restart in each split, so an utterance is `test/dia3_utt0`. The times in the CSV are
times in the episode; a clip holds its utterance and nothing else.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.base.display import short_name
from pipeline.base.errors import PipelineError
from pipeline.base.settings import MODALITIES, Modality
from pipeline.corpora.labels import plain
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import RawCorpus, Reader, ReaderOptions
from pipeline.corpora.tree import is_file, is_folder, names_in, read_bytes, unpacked, wrong_tree
from pipeline.records.manifest import Segment, Utterance

LABEL_SETS = {
    "emotion": plain(
        "emotion", "neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"
    ),
    "sentiment": plain("sentiment", "neutral", "positive", "negative"),
}
PUBLISHED = Published(
    "official_split",
    groups("""
          utterances dialogues neutral  joy surprise anger sadness disgust fear positive negative
    train       9989      1038    4710 1743     1205  1109     683     271  268     2334     2945
    dev         1109       114     470  163      150   153     111      22   40      233      406
    test        2610       280    1256  402      281   345     208      68   50      521      833
    """),
)
# The folder of each split as the release names it, and what users rename it to.
FOLDERS = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev_splits", "dev"),
    "test": ("output_repeated_splits_test", "test_splits", "test"),
}
CLIP = re.compile(r"(final_videos_test)?dia\d+_utt\d+\.mp4")
TWIN = "final_videos_test"
EXPECTED = (
    f"{', '.join(f'{split}_sent_emo.csv' for split in FOLDERS)} and the folders "
    f"{', '.join(names[0] for names in FOLDERS.values())}"
)
FEATURE_PACK = re.compile(r"MELD\.Features.*|.*features?\.(pkl|p)", re.IGNORECASE)
COLUMNS = [
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
    "Season", "Episode", "StartTime", "EndTime",
]  # fmt: skip
PUBLISHED_AT = "from the folder data/MELD of the repository declare-lab/MELD"
# What CSVs of a like form are, by a column that MELD's own lack.
OTHERS = {
    "Old_Dialogue_ID": "MELD's dyadic split, whose ids are not those of the clips",
    "Scene_ID": "EmoryNLP",
}
OTHER_NAMES = re.compile(r".*_dya\.csv|emorynlp.*\.csv", re.IGNORECASE)
TIME = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d),(\d{1,3})", re.ASCII)
C1_CONTROLS = re.compile("[\x80-\x9f]")
MEDIA: tuple[Modality, ...] = ("audio", "visual")


class MeldOptions(ReaderOptions):
    """The block `CORPUS.corpus` of a MELD corpus."""

    reader: Literal["meld"]
    test_twins: Literal["final", "plain"] = Field(
        description="Which clip of a test utterance is taken where `final_videos_test` has a twin."
    )


@dataclass(frozen=True)
class Row:
    """One line of a CSV, its numbers parsed."""

    dialogue: int
    utterance: int
    cells: dict[str, str]


@dataclass(frozen=True)
class Split:
    """A split's CSV, the folder of its clips (None where there is none), and their names."""

    name: str
    csv: Path
    folder: Path | None
    clips: frozenset[str]


def read(root: Path, options: MeldOptions) -> RawCorpus:
    """Read a MELD tree: the folder of the three CSVs and clip folders, or one that holds it.

    Without any clip folder its text can be used. Other trees and CSVs are refused.
    """
    home = unpacked(root, lambda folder: any(_csv(folder, split) for split in FOLDERS))
    if home is None:
        raise wrong_tree(root, "is not an unpacked MELD tree", EXPECTED, advice=_advice(root))
    splits = [_split(root, home, name) for name in FOLDERS]
    _check_folders(root, home, splits)
    utterances: list[Utterance] = []
    few: list[str] = []
    unannotated = 0
    for split in splits:
        rows = read_csv(split.csv)
        for _, dialogue in groupby(rows, key=lambda row: row.dialogue):
            # Turns are counted, since ids have gaps.
            utterances += [
                _utterance(r, turn, split, root, options) for turn, r in enumerate(dialogue)
            ]
        unannotated += len(split.clips - {name for row in rows for name in _names(row)})
        few += _few_clips(split, rows)
    notes = dict.fromkeys(few, MEDIA) | _notes(splits, options)
    return RawCorpus(utterances, {"clips without annotation": unannotated}, notes)


def _folder(home: Path, split: str) -> Path | None:
    """Where a split's clips lie; a renamed folder may hold the real one (`train/train_splits`)."""
    names = FOLDERS[split]
    places = [home / name for name in names]
    places += [home / outer / inner for outer in names for inner in names]
    there = [place for place in places if is_folder(place)]
    with_clips = [place for place in there if any(map(CLIP.fullmatch, names_in(place)))]
    return next(iter([*with_clips, *there]), None)


def _csv(home: Path, split: str) -> Path | None:
    name = f"{split}_sent_emo.csv"
    folder = _folder(home, split)
    places = [home, *([folder, folder.parent] if folder else [])]
    return next((place / name for place in places if is_file(place / name)), None)


def _split(root: Path, home: Path, name: str) -> Split:
    csv, folder = _csv(home, name), _folder(home, name)
    if csv is None:
        raise wrong_tree(root, f"lacks {name}_sent_emo.csv, a regular file", EXPECTED, home)
    clips = filter(CLIP.fullmatch, names_in(folder)) if folder else ()
    return Split(name, csv, folder, frozenset(clips))


def _check_folders(root: Path, home: Path, splits: list[Split]) -> None:
    lacking = [FOLDERS[split.name][0] for split in splits if split.folder is None]
    places = [home, *(home / name for name in names_in(home) if is_folder(home / name))]
    known = [split.folder for split in splits]
    others = [p for p in places if p not in known and any(map(CLIP.fullmatch, names_in(p)))]
    if lacking and len(others) == 1 and len(lacking) == len(splits):
        raise wrong_tree(
            root,
            f"has the clips of all splits in one folder, {others[0]}; dialogue ids restart in each "
            "split, so nobody can tell which is which",
            EXPECTED,
            home,
            "unpack train.tar.gz, dev.tar.gz and test.tar.gz again, each into its own folder",
        )
    if lacking and others:
        what = f"has clips in {[str(o) for o in others]}, whose names are not those of the splits"
        advice = f"rename these folders: {lacking} are missing"
        raise wrong_tree(root, what, EXPECTED, home, advice)
    packed = [name for name in names_in(home) if re.fullmatch(r"(train|dev|test)\.tar\.gz", name)]
    if lacking and (len(lacking) < len(splits) or packed):
        raise wrong_tree(root, f"lacks the folders {lacking}", EXPECTED, home)


def _advice(root: Path) -> str:
    if any(map(FEATURE_PACK.fullmatch, [root.name, *names_in(root)])):
        return (
            "this is the pack of features (MELD.Features.Models); download MELD.Raw.tar.gz, "
            "which holds the clips"
        )
    if names := [name for name in names_in(root) if OTHER_NAMES.fullmatch(name)]:
        return (
            f"{names[:3]} are MELD's dyadic split or EmoryNLP: take MELD's own CSVs, "
            f"{PUBLISHED_AT}, or write a reader (docs/corpora.md, Adding a corpus)"
        )
    return ""


def _few_clips(split: Split, rows: list[Row]) -> list[str]:
    there = sum(not split.clips.isdisjoint(_names(row)) for row in rows)
    if split.folder is None or there > 0.9 * len(rows):
        return []
    wanted = {Path(name).stem for row in rows for name in _names(row)}
    others = {Path(n).suffix for n in names_in(split.folder) if Path(n).stem in wanted} - {".mp4"}
    why = (
        f": was {split.name}.tar.gz cut short, or its unpacking? Unpack it again, and if tar says "
        "`Unexpected EOF`, download it again"
    )
    if others:
        why = (
            f" as .mp4; others end in {sorted(others)}, which are not read: rename or convert them"
        )
    return [f"{split.name}: {there} of {len(rows)} clips are there{why}"]


def _notes(splits: list[Split], options: MeldOptions) -> dict[str, tuple[Modality, ...]]:
    if not any(split.folder for split in splits):
        return {"no clips: sound and picture are masked, only the text can be used": MODALITIES}
    test = next(split for split in splits if split.name == "test")
    twins = sum(name.startswith(TWIN) for name in test.clips)
    if twins:
        return {f"{twins} test clips have a twin; test_twins: {options.test_twins}": MEDIA}
    note = (
        f"no clip is called {TWIN}*: the release has 132, which show the right utterance. "
        "If that prefix was cut off, twins overwrote each other: unpack test.tar.gz again"
    )
    return {note: MEDIA}


def _names(row: Row) -> tuple[str, str]:
    plain = f"dia{row.dialogue}_utt{row.utterance}.mp4"
    return plain, f"{TWIN}{plain}"


def _utterance(row: Row, turn: int, split: Split, root: Path, options: MeldOptions) -> Utterance:
    plain, final = _names(row)
    name = final if options.test_twins == "final" and final in split.clips else plain
    folder = split.folder or split.csv.parent / FOLDERS[split.name][0]
    clip = Segment((folder / name).relative_to(root).as_posix())
    return Utterance(
        utterance=f"{split.name}/dia{row.dialogue}_utt{row.utterance}",
        dialogue=f"{split.name}/dia{row.dialogue}",
        turn=turn,
        speaker=row.cells["Speaker"],
        text=row.cells["Utterance"],
        video=clip,
        audio=clip,
        emotion=row.cells["Emotion"],
        sentiment=row.cells["Sentiment"],
        official_split=split.name,
        episode_start=seconds(row.cells["StartTime"]),
        episode_end=seconds(row.cells["EndTime"]),
    )


def read_csv(path: Path) -> list[Row]:
    """Read a CSV of either byte flavour, in dialogue order; refuse others and odd cells."""
    lines = csv.reader(io.StringIO(_decode(path), newline=""), strict=True)
    try:
        header, *body = list(lines) or [[]]
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    if header != COLUMNS:
        shown = [short_name(name) for name in header[: 2 * len(COLUMNS)]]
        raise PipelineError(
            f"{path}: got the columns {shown}, expected {COLUMNS}.\n  next: {_other(header)}"
        )
    rows = [_row(path, number, line) for number, line in enumerate(body, start=2)]
    counts = Counter((row.dialogue, row.utterance) for row in rows)
    if repeated := [f"dia{d}_utt{u}" for (d, u), number in counts.items() if number > 1]:
        raise PipelineError(
            f"{path} has more than one row of {repeated[:5]}, expected one of each utterance; "
            "take the published file."
        )
    return sorted(rows, key=lambda row: (row.dialogue, row.utterance))


def _other(header: Sequence[str]) -> str:
    """What mends a CSV of other columns, by what it is."""
    mend = f"take the published CSVs, {PUBLISHED_AT}"
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        return f"cells must be separated by commas: save it as `CSV UTF-8`, or {mend}"
    if sorted(header) == sorted(COLUMNS):
        return f"put the columns into this order, or {mend}"
    what = next((what for column, what in OTHERS.items() if column in header), "another corpus")
    return f"this looks like {what}: {mend}, or write a reader (docs/corpora.md, Adding a corpus)"


def _decode(path: Path) -> str:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(
            f"{path} cannot be read as UTF-8: {error}; take the published file, or save it as "
            "`CSV UTF-8`."
        ) from error
    # The archive's flavour kept cp1252 bytes as C1 controls; only these are mended.
    return C1_CONTROLS.sub(lambda m: m[0].encode("latin-1").decode("cp1252", "replace"), text)


MEND = "mend this row, or take the published file"


def _row(path: Path, number: int, line: list[str]) -> Row:
    where = f"{path}, row {number}"
    if len(line) != len(COLUMNS):
        raise PipelineError(f"{where}: got {len(line)} cells, expected {len(COLUMNS)}; {MEND}")
    cells = dict(zip(COLUMNS, line, strict=True))
    ids = [cells["Dialogue_ID"], cells["Utterance_ID"]]
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in ids):
        raise PipelineError(
            f"{where}: Dialogue_ID and Utterance_ID are {ids}, expected numbers; {MEND}"
        )
    for column in ("StartTime", "EndTime"):
        if not TIME.fullmatch(cells[column]):
            raise PipelineError(
                f"{where}: {column} is {cells[column]!r}, expected HH:MM:SS,mmm; {MEND}"
            )
    return Row(int(ids[0]), int(ids[1]), cells)


def seconds(time: str) -> float:
    """`HH:MM:SS,mmm` as seconds; fewer digits after the comma are a decimal fraction."""
    match = TIME.fullmatch(time)
    assert match is not None, time
    hours, minutes, whole, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{int(whole)}.{fraction}")


READER = Reader(
    title="MELD",
    options=MeldOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    test_support=PUBLISHED.counts["test",],
    marks=r".+_sent_emo\.csv",
)
