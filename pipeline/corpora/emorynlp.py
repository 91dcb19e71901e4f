"""EmoryNLP as declare-lab/MELD publishes it: three CSVs of scenes, with clips or without.

A scene is a dialogue; its utterances that nobody annotated are not in the files.
"""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pipeline.base.errors import PipelineError
from pipeline.base.folders import is_file
from pipeline.base.settings import MODALITIES
from pipeline.corpora.labels import plain
from pipeline.corpora.meld_csv import EMORYNLP, SPLITS, Row, read_csv, turns
from pipeline.corpora.published import Published, groups
from pipeline.corpora.reader import MediaOptions, RawCorpus, Reader
from pipeline.corpora.tree import files_below, unpacked, wrong_tree
from pipeline.records.manifest import Segment

FILES = {split: EMORYNLP.name.format(split) for split in SPLITS}
EXPECTED = (
    f"{', '.join(FILES.values())} and, if there are any, folders of clips sea1_ep2_sc6_utt3.mp4"
)
CLIP = re.compile(r"sea\d+_ep\d+_sc\d+_utt\d+\.mp4")
LONGEST = 1000  # letters of a list of speakers
LABEL_SETS = {
    "emotion": plain("emotion", "Joyful", "Mad", "Peaceful", "Neutral", "Sad", "Powerful", "Scared")
}
PUBLISHED = Published(
    "official_split",
    groups("""
          utterances dialogues Joyful Mad Peaceful Neutral Sad Powerful Scared
    train       7551       659   1677 785      638    2485 474      551    941
    dev          954        89    205  97       82     322  51       70    127
    test         984        79    217  86      111     288  70       96    116
    """),
)


class EmorynlpOptions(MediaOptions):
    """The block `CORPUS.corpus` of an EmoryNLP corpus."""

    reader: Literal["emorynlp"]


def read(root: Path, options: EmorynlpOptions) -> RawCorpus:
    """Read the folder of the three CSVs, or one that holds it; refuse others."""
    home = unpacked(root, lambda folder: any(is_file(folder / name) for name in FILES.values()))
    if home is None:
        raise wrong_tree(root, "is not EmoryNLP", EXPECTED)
    if lacking := [name for name in FILES.values() if not is_file(home / name)]:
        raise wrong_tree(root, f"lacks {lacking}", EXPECTED, home)
    # A clip's name holds season, episode and scene, so that none is in two splits.
    clips, _ = files_below(root, CLIP)
    utterances, used = [], set()
    for split, name in FILES.items():
        for turn, row in turns(read_csv(home / name, EMORYNLP)):
            speaker = " and ".join(_speakers(row, home / name))
            utterances.append(row.spoken(turn, split, speaker, _clip(row, clips)))
            used.add(row.clip)
    notes = {} if clips else {"no clips: only the text can be used": MODALITIES}
    return RawCorpus(utterances, {"clips without annotation": len(clips.keys() - used)}, notes)


def _clip(row: Row, clips: dict[str, str]) -> Segment | None:
    """The clip, which may be absent where others are there; None where there is none at all."""
    if not clips:
        return None
    beside = Path(next(iter(clips.values()))).with_name(row.clip).as_posix()
    return Segment(clips.get(row.clip, beside))


def _speakers(row: Row, file: Path) -> list[str]:
    """The names of a list literal, `['Monica Geller', 'Phoebe Buffay']`; `['#ALL#']` is one."""
    cell, names = row.cells["Speaker"], None
    if len(cell) <= LONGEST:
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            names = ast.literal_eval(cell)
    if not (isinstance(names, list) and names and all(n and isinstance(n, str) for n in names)):
        raise PipelineError(
            f"{file}, {row.utterance}: Speaker is {cell[:80]!r}, expected a list of names such as "
            "['Ross Geller']; take the published file."
        )
    return names


READER = Reader(
    title="EmoryNLP",
    options=EmorynlpOptions,
    read=read,
    label_sets=LABEL_SETS,
    published=PUBLISHED,
    test_support=PUBLISHED.counts["test",],
    marks=r"emorynlp_.+\.csv",
)
