"""Show text that others wrote: on any terminal, in CSV files, in figures.

Names and texts of a corpus may hold anything: characters that a terminal obeys or cannot show,
line ends, formulas that a spreadsheet computes. All output passes through here.
"""

import html
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pipeline.base.files import replacing

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.console import Console

# Control characters but tab and line feed, marks that turn the direction of writing, surrogates.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
ESCAPED = "backslashreplace"
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
LONGEST = 24  # letters of a name in a figure


def printable(text: str) -> str:
    r"""Text that no terminal obeys: what it would obey is escaped, as `\x1b`."""
    return OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def short_name(name: str, longest: int = LONGEST) -> str:
    """A name in one line, without characters that cannot be printed, long ones cut short."""
    shown = "".join(letter if letter.isprintable() else " " for letter in name[: 4 * longest])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def table_cell(text: str) -> str:
    """Text that can break neither a table in Markdown nor its page."""
    return " ".join(html.escape(printable(text), quote=False).replace("|", "\\|").split())


def say(*words: object, sep: str = " ", end: str = "\n", error: bool = False) -> None:
    """Print, whatever the words hold and whatever the terminal can show, at once."""
    stream = sys.stderr if error else sys.stdout
    print(printable(sep.join(map(str, words))), end=end, file=stream, flush=True)


def any_encoding() -> None:
    """Let this process name any file, and print characters that its terminal lacks, escaped.

    Where the locale is not UTF-8, Python is started again in its UTF-8 mode: names in manifests
    are of any language, and it could not open such files.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:{ESCAPED}"}
        os.execv(sys.executable, sys.orig_argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPED)


def terminal(file: TextIO | None = None, width: int | None = None, **more: Any) -> "Console":
    """A terminal for rich to print on, which takes cells and lines as text: no markup, no codes."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Plain(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable(text), style)

    return Plain(file=file, width=width, markup=False, emoji=False, **more)


def write_csv(path: Path, table: "DataFrame", float_format: str | None = None) -> None:
    """Write a table as CSV with LF line ends; NaN is an empty cell.

    A text that a spreadsheet would compute (`=1+1`, `-x`) gets an apostrophe in front, as
    spreadsheets have it; `plain_cell` takes it off. Cells with a line end of any kind are quoted.
    """

    def no_formula(cell: object) -> object:
        return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell

    texts = table.select_dtypes(["object", "string"])
    safe = table.assign(**{str(n): texts[n].map(no_formula, na_action="ignore") for n in texts})
    with (
        replacing(path) as part,
        _LineFeeds(part.open("wb"), encoding="utf-8", newline="") as file,
    ):
        # With these line ends Python quotes cells with either half of them.
        safe.to_csv(file, index=False, float_format=float_format, lineterminator="\r\n")


def plain_cell(text: str) -> str:
    """A text as it was before `write_csv` put an apostrophe in front."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


class _LineFeeds(io.TextIOWrapper):
    """A file that ends rows, which are written one by one, with LF instead of CRLF."""

    def write(self, row: str) -> int:
        return super().write(row.removesuffix("\r\n") + "\n")
