"""MELD as `MELD.Raw` unpacks: three CSVs, in either byte flavour, and a folder of clips per split.

Dialogue ids restart in each split, so an utterance is `test/dia3_utt0`. The dyadic split is of the
same clips: its CSVs say which turn of MELD each of its turns is, and one may be in several
dialogues.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.base.folders import is_file, is_folder, names_in
from pipeline.base.settings import MODALITIES, Modality
from pipeline.corpora.labels import plain
from pipeline.corpora.meld_csv import DYADIC, MELD, Form, Row, read_csv, turns
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader
from pipeline.corpora.tree import unpacked, wrong_tree
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
DYADIC_PUBLISHED = Published(
    "official_split",
    groups("""
          utterances
    train      12840
    dev         1462
    test        3400
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
FEATURE_PACK = re.compile(r"MELD\.Features.*|.*features?\.(pkl|p)", re.IGNORECASE)
MEDIA: tuple[Modality, ...] = ("audio", "visual")


class MeldOptions(MediaOptions):
    """The block `CORPUS.corpus` of a MELD corpus."""

    reader: Literal["meld", "meld_dyadic"]
    test_twins: Literal["final", "plain"] = Field(
        description="Which clip of a test utterance is taken where `final_videos_test` has a twin."
    )


@dataclass(frozen=True)
class Split:
    """A split's CSV, the folder of its clips (None where there is none), and their names."""

    name: str
    csv: Path
    folder: Path | None
    clips: frozenset[str]


def read(root: Path, options: MeldOptions, form: Form = MELD) -> RawCorpus:
    """Read a MELD tree: the folder of three CSVs and the clip folders, or one that holds it.

    Without any clip folder its text can be used. Other trees and CSVs are refused.
    """
    home = unpacked(root, lambda folder: any(_csv(folder, split, form) for split in FOLDERS))
    expected = (
        f"{', '.join(form.name.format(split) for split in FOLDERS)} and the folders "
        f"{', '.join(names[0] for names in FOLDERS.values())}"
    )
    if home is None:
        raise wrong_tree(root, "is not an unpacked MELD tree", expected, advice=_advice(root))
    splits = [_split(root, home, name, form, expected) for name in FOLDERS]
    _check_folders(root, home, splits, expected)
    utterances: list[Utterance] = []
    few: list[str] = []
    unannotated = 0
    for split in splits:
        rows = read_csv(split.csv, form)
        utterances += [_utterance(row, turn, split, root, options) for turn, row in turns(rows)]
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


def _csv(home: Path, split: str, form: Form) -> Path | None:
    name = form.name.format(split)
    folder = _folder(home, split)
    places = [home, *([folder, folder.parent] if folder else [])]
    return next((place / name for place in places if is_file(place / name)), None)


def _split(root: Path, home: Path, name: str, form: Form, expected: str) -> Split:
    csv, folder = _csv(home, name, form), _folder(home, name)
    if csv is None:
        what = f"lacks {form.name.format(name)}, a regular file"
        raise wrong_tree(root, what, expected, home)
    clips = filter(CLIP.fullmatch, names_in(folder)) if folder else ()
    return Split(name, csv, folder, frozenset(clips))


def _check_folders(root: Path, home: Path, splits: list[Split], expected: str) -> None:
    lacking = [FOLDERS[split.name][0] for split in splits if split.folder is None]
    places = [home, *(home / name for name in names_in(home) if is_folder(home / name))]
    known = [split.folder for split in splits]
    others = [p for p in places if p not in known and any(map(CLIP.fullmatch, names_in(p)))]
    if lacking and len(others) == 1 and len(lacking) == len(splits):
        raise wrong_tree(
            root,
            f"has the clips of all splits in one folder, {others[0]}; dialogue ids restart in each "
            "split, so nobody can tell which is which",
            expected,
            home,
            "unpack train.tar.gz, dev.tar.gz and test.tar.gz again, each into its own folder",
        )
    if lacking and others:
        what = f"has clips in {[str(o) for o in others]}, whose names are not those of the splits"
        advice = f"rename these folders: {lacking} are missing"
        raise wrong_tree(root, what, expected, home, advice)
    packed = [name for name in names_in(home) if re.fullmatch(r"(train|dev|test)\.tar\.gz", name)]
    if lacking and (len(lacking) < len(splits) or packed):
        raise wrong_tree(root, f"lacks the folders {lacking}", expected, home)


def _advice(root: Path) -> str:
    if any(map(FEATURE_PACK.fullmatch, [root.name, *names_in(root)])):
        return (
            "this is the pack of features (MELD.Features.Models); download MELD.Raw.tar.gz, "
            "which holds the clips"
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
        return {"no clips: only the text can be used": MODALITIES}
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
    return row.clip, f"{TWIN}{row.clip}"


def _utterance(row: Row, turn: int, split: Split, root: Path, options: MeldOptions) -> Utterance:
    plain, final = _names(row)
    name = final if options.test_twins == "final" and final in split.clips else plain
    folder = split.folder
    clip = None if folder is None else Segment((folder / name).relative_to(root).as_posix())
    return row.spoken(turn, split.name, row.cells["Speaker"], clip)


READER = Reader(
    title="MELD",
    options=MeldOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    test_support=PUBLISHED.counts["test",],
    marks=r".+_sent_emo\.csv",
)

DYADIC_READER = Reader(
    title="MELD's dyadic split",
    options=MeldOptions,
    read=partial(read, form=DYADIC),
    label_sets=LABEL_SETS,
    published=DYADIC_PUBLISHED,
    marks=r".+_sent_emo_dya\.csv",
)
