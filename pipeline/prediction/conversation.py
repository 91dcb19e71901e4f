"""A new conversation as a user hands it over: clips and `utterances.csv`, without any label."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.base.folders import nfc
from pipeline.records.manifest import Segment, Utterance
from pipeline.records.utterance_table import Row, UtteranceTable, read_utterance_table

NEEDED = ("clip", "speaker", "text")
OPTIONAL = ("dialogue", "utterance", "start", "end")
NO_CLIP = "no_clip"


def read_conversation(folder: Path) -> list[Utterance]:
    """The utterances of `folder`/utterances.csv, dialogue by dialogue, before a clip is opened.

    Segments have no digest yet. Those of a row that names no clip have `missing` set to `NO_CLIP`.

    Raises:
        PipelineError: There is no such file, or not in this form: up to ten problems are named.
    """
    return list(_utterances(read_utterance_table(folder, NEEDED, OPTIONAL), folder))


def _utterances(table: UtteranceTable, folder: Path) -> Iterator[Utterance]:
    """A dialogue that nobody named is called as the folder."""
    name = os.fsencode(folder.resolve().name).decode("utf-8", "replace")
    only = nfc(name) or "dialogue"
    for dialogue, turns in table.dialogues(lambda row: row["dialogue"] or only).items():
        for turn, row in enumerate(turns):
            segment = _segment(row)
            yield Utterance(
                utterance=row["utterance"] or f"{dialogue}_utt{turn}",
                dialogue=dialogue,
                turn=turn,
                speaker=row["speaker"],
                text=row["text"],
                video=segment,
                audio=segment,
            )


def _segment(row: Row) -> Segment:
    if row.clip is None:
        return Segment(NO_CLIP, missing=NO_CLIP)
    return Segment(row.clip, start=row.seconds("start") or 0.0, end=row.seconds("end"))
