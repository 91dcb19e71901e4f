"""The timeline of a dialogue as PNG: who speaks at each turn, and how probable each class is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
DARK = 0.55  # from this probability on, writing is white
OURS = re.compile(r"\d+-[\w.-]*\.png")


def draw_timelines(folder: Path, dialogues: list[Predicted]) -> Iterator[Path]:
    """Draw each dialogue, long ones on several pages, and remove pictures of an earlier run.

    Yields the first page of each, once it is drawn.
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


def _rows(dialogue: Predicted) -> list[range]:
    """Places of the turns that are drawn side by side, rows of like length."""
    length, most = len(dialogue.utterances), max(1, int(INCHES / _turn_width(dialogue)))
    each = -(-length // -(-length // most))
    return [range(begin, min(begin + each, length)) for begin in range(0, length, each)]


def _speakers(dialogue: Predicted, row: range) -> list[str]:
    """Who speaks in a row, in the order of the dialogue."""
    speaking = {dialogue.utterances[place].speaker for place in row}
    return [s for s in dict.fromkeys(u.speaker for u in dialogue.utterances) if s in speaking]


def _draw(path: Path, dialogue: Predicted, rows: list[range], page: str) -> None:
    turns, bands = max(map(len, rows)), LINE * len(dialogue.classes)
    lanes = [LINE * max(2, len(_speakers(dialogue, row))) for row in rows]
    width = max(5.0, turns * _turn_width(dialogue) + 2.2)
    height = sum(lanes) + len(rows) * (bands + 0.9) + 0.6
    figure = Figure(figsize=(width, height), layout="constrained")
    ratios = [ratio for lane in lanes for ratio in (lane, bands)]
    axes = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for row, above, below in zip(rows, axes[::2], axes[1::2], strict=True):
        _draw_speakers(above, dialogue, row)
        _draw_classes(below, dialogue, row)
        for part in (above, below):
            part.set_xlim(row.start - 0.5, row.start + turns - 0.5)
            plain(part)
            part.tick_params(length=0)
    axes[-1].set_xlabel("turn")
    name = short_name(dialogue.utterances[0].dialogue, min(LONGEST, int(width / WIDEST)))
    between = ": " if len(name) * WIDEST + WORDS < width else "\n"
    figure.suptitle(f"{name}{between}{TITLE}{page}", fontsize=10)
    save(figure, path)


def _draw_speakers(axes: Axes, dialogue: Predicted, row: range) -> None:
    """A line per speaker, on it the label of each of their turns."""
    speakers, labels = _speakers(dialogue, row), dialogue.labels
    lanes = [speakers.index(dialogue.utterances[place].speaker) for place in row]
    axes.hlines(range(len(speakers)), row.start - 0.5, row.stop - 0.5, color="0.9", zorder=0)
    axes.plot(list(row), lanes, color="0.6", linewidth=0.8, zorder=1)
    for place, lane in zip(row, lanes, strict=True):
        colour = COLOURS[dialogue.classes.index(labels[place]) % len(COLOURS)]
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour}
        text = short_name(labels[place], NAME)
        axes.text(place, lane, text, **CENTRED, bbox={**box, "linewidth": 1.8})
    axes.set_yticks(range(len(speakers)), [short_name(name, NAME) for name in speakers])
    axes.set_ylim(max(1, len(speakers) - 1) + 0.6, -0.6)
    axes.set_xticks([])
    axes.spines[["left", "bottom"]].set_visible(False)


def _draw_classes(axes: Axes, dialogue: Predicted, row: range) -> None:
    """A band per class: darker is more probable, and the number stands in it."""
    shares = dialogue.probabilities[row.start : row.stop].T
    edges = (row.start - 0.5, row.stop - 0.5, len(shares) - 0.5, -0.5)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=edges)
    for place, column in zip(row, shares.T, strict=True):
        chosen = int(column.argmax())
        for number, share in enumerate(column):
            style: dict[str, Any] = {"color": "white" if share > DARK else "black"}
            style["fontweight"] = "bold" if number == chosen else "normal"
            axes.text(place, number, f"{100 * share:.0f}", **CENTRED, **style)
        corner = (place - 0.5, chosen - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, linewidth=1.5))
    axes.set_yticks(range(len(shares)), [short_name(name, NAME) for name in dialogue.classes])
    axes.set_xticks(list(row), [_tick(dialogue, place) for place in row], fontsize=8)


def _tick(dialogue: Predicted, place: int) -> str:
    """The number of a turn, and what it lacks."""
    turn = str(dialogue.utterances[place].turn)
    return "\n".join([turn, *(f"no {modality}" for modality in dialogue.missing(place))])
