"""The timeline of a dialogue as PNG: who speaks at each turn, and how probable each class is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.base.display import short_name
from pipeline.base.files import chunked
from pipeline.base.plots import COLOURS, plain, save
from pipeline.prediction.predicted import Predicted

INCHES = 12.0  # of the turns of a row
LETTER, LEAST = 0.07, 0.6  # inches: of a label's letter, and of a turn at least
LINE = 0.3  # inches of a speaker's or a class's line
ROWS_A_PAGE = 12
NAME, LONGEST = 18, 60  # letters of a name, and of a dialogue's in a title
TITLE = "predicted class of each turn, and the probabilities in %"
WORDS, WIDEST = 4.8, 0.18  # inches of a title without the name, and of a name's widest letter
DARK = 0.55  # from this probability on, writing is white
OURS = re.compile(r"\d+-[\w.-]*\.png")


@dataclass(frozen=True)
class Row:
    """Turns that are drawn side by side.

    Attributes:
        begin: Place of the first in the dialogue.
        end: Place after the last.
        speakers: Who speaks in them, in the order of the dialogue.
    """

    begin: int
    end: int
    speakers: list[str]

    @property
    def inches(self) -> float:
        """Height of the speakers' lines."""
        return LINE * max(2, len(self.speakers))


def draw_timelines(folder: Path, dialogues: list[Predicted]) -> Iterator[Path]:
    """Draws each dialogue, long ones on several pages, and removes pictures of an earlier run.

    Args:
        folder: Holds nothing else.
        dialogues: In order.

    Yields:
        The first page of each dialogue, once it is drawn.
    """
    written = set()
    digits = len(str(len(dialogues)))
    for number, dialogue in enumerate(dialogues, start=1):
        name = re.sub(r"[^\w.-]+", "_", dialogue.utterances[0].dialogue)[:60].strip(".")
        pages = list(chunked(_rows(dialogue), ROWS_A_PAGE))
        for page, rows in enumerate(pages, start=1):
            suffix = f"-{page}" if len(pages) > 1 else ""
            path = folder / f"{number:0{digits}}-{name}{suffix}.png"
            _draw(path, dialogue, rows, f", page {page} of {len(pages)}" if suffix else "")
            written.add(path)
            if page == 1:
                yield path
    for path in sorted(folder.glob("*.png")):
        if OURS.fullmatch(path.name) and path not in written:
            path.unlink()


def _turn_width(dialogue: Predicted) -> float:
    """Inches of a turn, so that the longest label fits."""
    return max(LEAST, LETTER * max(len(short_name(name, NAME)) for name in dialogue.classes) + 0.15)


def _rows(dialogue: Predicted) -> list[Row]:
    length, most = len(dialogue.utterances), max(1, int(INCHES / _turn_width(dialogue)))
    count = -(-length // most)
    each = -(-length // count)  # rows of like length
    return [_row(dialogue, begin, min(begin + each, length)) for begin in range(0, length, each)]


def _row(dialogue: Predicted, begin: int, end: int) -> Row:
    speaking = {u.speaker for u in dialogue.utterances[begin:end]}
    known = dict.fromkeys(u.speaker for u in dialogue.utterances)
    return Row(begin, end, [name for name in known if name in speaking])


def _draw(path: Path, dialogue: Predicted, rows: list[Row], page: str) -> None:
    turns = max(row.end - row.begin for row in rows)
    bands = LINE * len(dialogue.classes)
    height = sum(row.inches + bands + 0.9 for row in rows) + 0.6
    width = max(5.0, turns * _turn_width(dialogue) + 2.2)
    figure = Figure(figsize=(width, height), layout="constrained")
    ratios = [ratio for row in rows for ratio in (row.inches, bands)]
    axes = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for place, row in enumerate(rows):
        above, below = axes[2 * place], axes[2 * place + 1]
        _draw_speakers(above, dialogue, row)
        _draw_classes(below, dialogue, row)
        for part in (above, below):
            part.set_xlim(row.begin - 0.5, row.begin + turns - 0.5)
    axes[-1].set_xlabel("turn")
    name = short_name(dialogue.utterances[0].dialogue, min(LONGEST, int(width / WIDEST)))
    between = ": " if len(name) * WIDEST + WORDS < width else "\n"
    figure.suptitle(f"{name}{between}{TITLE}{page}", fontsize=10)
    save(figure, path)


def _draw_speakers(axes: Axes, dialogue: Predicted, row: Row) -> None:
    """A line per speaker, on it the label of each of their turns."""
    speakers, places, labels = row.speakers, range(row.begin, row.end), dialogue.labels
    lanes = [speakers.index(dialogue.utterances[place].speaker) for place in places]
    axes.hlines(range(len(speakers)), row.begin - 0.5, row.end - 0.5, color="0.9", zorder=0)
    axes.plot(list(places), lanes, color="0.6", linewidth=0.8, zorder=1)
    for place, lane in zip(places, lanes, strict=True):
        colour = COLOURS[dialogue.classes.index(labels[place]) % len(COLOURS)]
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour}
        axes.text(
            place,
            lane,
            short_name(labels[place], NAME),
            ha="center",
            va="center",
            fontsize=8,
            bbox={**box, "linewidth": 1.8},
        )
    axes.set_yticks(range(len(speakers)), [short_name(name, NAME) for name in speakers])
    axes.set_ylim(max(1, len(speakers) - 1) + 0.6, -0.6)
    axes.set_xticks([])
    plain(axes)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def _draw_classes(axes: Axes, dialogue: Predicted, row: Row) -> None:
    """A band per class: darker is more probable, and the number stands in it."""
    shares = dialogue.probabilities[row.begin : row.end].T
    edges = (row.begin - 0.5, row.end - 0.5, len(shares) - 0.5, -0.5)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=edges)
    for place in range(row.begin, row.end):
        column = dialogue.probabilities[place]
        for number, share in enumerate(column):
            chosen = number == column.argmax()
            axes.text(
                place,
                number,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if share > DARK else "black",
                fontweight="bold" if chosen else "normal",
            )
            if chosen:
                frame = Rectangle((place - 0.5, number - 0.5), 1, 1, fill=False, linewidth=1.5)
                axes.add_patch(frame)
    classes = [short_name(name, NAME) for name in dialogue.classes]
    axes.set_yticks(range(len(classes)), classes)
    places = list(range(row.begin, row.end))
    axes.set_xticks(places, [_tick(dialogue, place) for place in places], fontsize=8)
    plain(axes)
    axes.tick_params(length=0)


def _tick(dialogue: Predicted, place: int) -> str:
    """The number of a turn, and what it lacks."""
    turn = str(dialogue.utterances[place].turn)
    return "\n".join([turn, *(f"no {modality}" for modality in dialogue.missing(place))])
