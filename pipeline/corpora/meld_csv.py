"""The CSVs of MELD, of its dyadic split and of EmoryNLP: one form, with other columns and ids.

Times are those of the episode; a clip holds its utterance and nothing else.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.base.display import short_name
from pipeline.base.errors import PipelineError
from pipeline.base.folders import read_bytes
from pipeline.records.manifest import Segment, Utterance

REPOSITORY = "of the repository declare-lab/MELD"
SPLITS = ("train", "dev", "test")
TIME = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)[,.](\d{1,3})", re.ASCII)
C1_CONTROLS = re.compile("[\x80-\x9f]")
MEND = "mend this row, or take the published file"


@dataclass(frozen=True)
class Form:
    """A kind of CSV.

    Attributes:
        title: Of what it holds.
        reader: Its name in the registry.
        name: Of a split's file.
        place: Where the published ones lie.
        columns: In the file's order.
        dialogue: The columns whose numbers name a dialogue, and how they name it.
        utterance: How `Utterance_ID` names an utterance, after the dialogue's name.
        clip: The columns that name the clip, and how.
        times: The columns of start and end.
        mark: The column that no other form has.
        checked: Whether all times of the published files are known to be in this form.
    """

    title: str
    reader: str
    name: str
    place: str
    columns: tuple[str, ...]
    dialogue: tuple[tuple[str, ...], str]
    utterance: str
    clip: tuple[tuple[str, ...], str]
    times: tuple[str, str]
    mark: str
    checked: bool = False

    @property
    def numbers(self) -> list[str]:
        """The columns that hold numbers of dialogues and utterances."""
        return list(dict.fromkeys((*self.dialogue[0], "Utterance_ID", *self.clip[0])))


@dataclass(frozen=True)
class Row:
    """One line of a CSV: the names of its dialogue, utterance and clip, and its cells.

    Times are in seconds, None where they cannot be read.
    """

    dialogue: str
    utterance: str
    clip: str
    place: tuple[int, ...]  # of the utterance among all
    start: float | None
    end: float | None
    cells: dict[str, str]

    def spoken(self, turn: int, split: str, speaker: str, clip: Segment | None) -> Utterance:
        """The utterance, whose names hold the split, as they restart in each."""
        return Utterance(
            utterance=f"{split}/{self.utterance}",
            dialogue=f"{split}/{self.dialogue}",
            turn=turn,
            speaker=speaker,
            text=self.cells["Utterance"],
            video=clip,
            audio=clip,
            emotion=self.cells["Emotion"],
            sentiment=self.cells.get("Sentiment"),
            official_split=split,
            episode_start=self.start,
            episode_end=self.end,
        )


EPISODE = ("Season", "Episode")
MELD = Form(
    title="MELD",
    reader="meld",
    name="{}_sent_emo.csv",
    place=f"from the folder data/MELD {REPOSITORY}",
    columns=(
        "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
        *EPISODE, "StartTime", "EndTime",
    ),
    dialogue=(("Dialogue_ID",), "dia{}"),
    utterance="_utt{}",
    clip=(("Dialogue_ID", "Utterance_ID"), "dia{}_utt{}.mp4"),
    times=("StartTime", "EndTime"),
    mark="Sr No.",
    checked=True,
)  # fmt: skip
DYADIC = Form(
    title="MELD's dyadic split",
    reader="meld_dyadic",
    name="{}_sent_emo_dya.csv",
    place=f"from the folder data/MELD_Dyadic {REPOSITORY}",
    columns=(
        "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
        "Old_Dialogue_ID", "Old_Utterance_ID", *EPISODE, "StartTime", "EndTime",
    ),
    dialogue=(("Dialogue_ID",), "dyad{}"),  # of another numbering than MELD's
    utterance=MELD.utterance,
    clip=(("Old_Dialogue_ID", "Old_Utterance_ID"), MELD.clip[1]),
    times=("StartTime", "EndTime"),
    mark="Old_Dialogue_ID",
)  # fmt: skip
EMORYNLP = Form(
    title="EmoryNLP",
    reader="emorynlp",
    name="emorynlp_{}_final.csv",
    place=f"from the top {REPOSITORY}",
    columns=(
        "Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", *EPISODE,
        "Start_Time", "End_Time",
    ),
    dialogue=((*EPISODE, "Scene_ID"), "s{:02}_e{:02}_c{:02}"),
    utterance="_u{:03}",
    clip=((*EPISODE, "Scene_ID", "Utterance_ID"), "sea{}_ep{}_sc{}_utt{}.mp4"),
    times=("Start_Time", "End_Time"),
    mark="Scene_ID",
)  # fmt: skip
# The marks of the others come first: a file may have MELD's besides.
FORMS = (DYADIC, EMORYNLP, MELD)


def read_csv(path: Path, form: Form = MELD) -> list[Row]:
    """Read a CSV in dialogue order; refuse other columns, odd numbers and repeated utterances."""
    lines = csv.reader(io.StringIO(_decode(path), newline=""), strict=True)
    try:
        header, *body = list(lines) or [[]]
    except csv.Error as error:
        raise PipelineError(f"{path}, line {lines.line_num}: not CSV: {error}") from error
    if header != list(form.columns):
        shown = [short_name(name) for name in header[: 2 * len(form.columns)]]
        raise PipelineError(
            f"{path}: got the columns {shown}, expected {list(form.columns)}.\n"
            f"  next: {_other(header, form)}"
        )
    rows = [_row(path, number, line, form) for number, line in enumerate(body, start=2)]
    counts = Counter(row.utterance for row in rows)
    if repeated := [utterance for utterance, number in counts.items() if number > 1]:
        raise PipelineError(
            f"{path} has more than one row of {repeated[:5]}, expected one of each utterance; "
            "take the published file."
        )
    return sorted(rows, key=lambda row: row.place)


def turns(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Each row with its place in its dialogue, which is counted, since ids have gaps."""
    for _, dialogue in groupby(rows, key=lambda row: row.dialogue):
        yield from enumerate(dialogue)


def _other(header: Sequence[str], form: Form) -> str:
    """What mends a CSV of other columns, by what it is."""
    mend = f"take the published CSVs, {form.place}"
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        return f"cells must be separated by commas: save it as `CSV UTF-8`, or {mend}"
    if sorted(header) == sorted(form.columns):
        return f"put the columns into this order, or {mend}"
    other = next((f for f in FORMS if f.mark in header and f is not form), None)
    if other is None:
        return (
            f"this looks like another corpus: {mend}, or write a reader (docs/corpora.md, "
            "Adding a corpus)"
        )
    return (
        f"this looks like {other.title}: set CORPUS.corpus.reader to {other.reader}, and name the "
        f"file {other.name.format('SPLIT')}; or {mend}"
    )


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


def _row(path: Path, number: int, line: list[str], form: Form) -> Row:
    where = f"{path}, row {number}"
    if len(line) != len(form.columns):
        raise PipelineError(f"{where}: got {len(line)} cells, expected {len(form.columns)}; {MEND}")
    cells = dict(zip(form.columns, line, strict=True))
    ids = [cells[column] for column in form.numbers]
    if not all(re.fullmatch(r"[0-9]{1,9}", value) for value in ids):
        raise PipelineError(
            f"{where}: {' and '.join(form.numbers)} are {ids}, expected numbers; {MEND}"
        )
    times = [seconds(cells[column]) for column in form.times]
    for column, time in zip(form.times, times, strict=True):
        if time is None and form.checked:
            raise PipelineError(
                f"{where}: {column} is {cells[column]!r}, expected HH:MM:SS,mmm; {MEND}"
            )
    of = {column: int(value) for column, value in zip(form.numbers, ids, strict=True)}
    (columns, name), (clip_columns, clip) = form.dialogue, form.clip
    place = tuple(of[column] for column in columns)
    dialogue = name.format(*place)
    return Row(
        dialogue=dialogue,
        utterance=dialogue + form.utterance.format(of["Utterance_ID"]),
        clip=clip.format(*(of[column] for column in clip_columns)),
        place=(*place, of["Utterance_ID"]),
        start=times[0],
        end=times[1],
        cells=cells,
    )


def seconds(time: str) -> float | None:
    """`HH:MM:SS,mmm` as seconds, else None; fewer digits after the comma are a fraction."""
    match = TIME.fullmatch(time)
    if match is None:
        return None
    hours, minutes, whole, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(f"{int(whole)}.{fraction}")
