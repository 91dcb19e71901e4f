"""Render a corpus' page: results to Markdown by one template, and that Markdown to HTML.

Names and messages of others are escaped as they enter the Markdown, so that what is markup in it
is the template's own.
"""

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from pipeline.base.display import printable
from pipeline.base.plots import svg
from pipeline.evaluation.intervals import caution
from pipeline.evaluation.ranking import RARE, rare_classes
from pipeline.evaluation.summary import source
from pipeline.report import paper, setup, words
from pipeline.report.circumstances import Circumstances
from pipeline.report.pictures import Picture
from pipeline.report.read import Results

Tokens = Sequence[Token]
HERE = Path(__file__).parent
# Characters with a meaning in Markdown; an underscore inside a word and a bracket without a target
# have none.
MARKS = re.compile(r"[\\`*|~$#]|\](?=[(\[])|(?<!\w)_|_(?!\w)")
BRACKET = re.compile(r"(?<!\\)((?:\\\\)*)([\[\]])")  # after an even number of backslashes
TAGS = re.compile("<[^>]*>")
LONGEST = 100  # letters of what a region is called
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}: emotion recognition in conversation</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


class Page(RendererHTML):
    """HTML of a page: figures inside, tables that scroll, rows with a head, a list of sections.

    `env` holds the `svg` element of each picture by its path, and takes up `sections` and `ids`.
    """

    def paragraph_open(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """A paragraph, or figures side by side."""
        if _pictured(tokens[at + 1]):
            return '<div class="figures">'
        return self.renderToken(tokens, at, options, env)

    def paragraph_close(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """The end of either."""
        if _pictured(tokens[at - 1]):
            return "</div>\n"
        return self.renderToken(tokens, at, options, env)

    def image(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """The figure itself in place of its file."""
        return f"<figure>{env['svg'][tokens[at].attrs['src']]}</figure>"

    def heading_open(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """A heading with an id, as GitHub makes them."""
        title = tokens[at + 1].content
        name = _id(title)
        env["ids"][name] += 1
        key = name if env["ids"][name] == 1 else f"{name}-{env['ids'][name] - 1}"
        tokens[at].attrSet("id", key)
        if tokens[at].tag == "h2":
            env["sections"].append((key, title))
        return self.renderToken(tokens, at, options, env)

    def table_open(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """A table in a region that scrolls, called by the text before it."""
        before = next((t.content for t in reversed(tokens[:at]) if t.content), "table")
        label = html.escape(TAGS.sub("", before).replace("*", "").strip()[:LONGEST])
        return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>\n'

    def table_close(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """The end of the table and its region."""
        return "</table></div>\n"

    def th_open(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """The head of a column."""
        tokens[at].attrSet("scope", "col")
        return self.renderToken(tokens, at, options, env)

    def td_open(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """A cell, or the head of a row."""
        if tokens[at - 1].type == "tr_open":
            return '<th scope="row">'
        return self.renderToken(tokens, at, options, env)

    def td_close(self, tokens: Tokens, at: int, options: OptionsDict, env: EnvType) -> str:
        """The end of a cell, or of the head of a row."""
        return "</th>\n" if tokens[at - 3].type == "tr_open" else "</td>\n"


def _id(title: str) -> str:
    """The id of a heading, as GitHub makes it."""
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def _pictured(inline: Token) -> bool:
    return all(child.type in ("image", "softbreak") for child in inline.children or ())


def markdown_of(
    results: Results, drawn: Sequence[Picture], run: Circumstances | None = None
) -> str:
    """Fill in the template; every text passes through `_escaped`.

    Args:
        results: What to write about.
        drawn: Its pictures.
        run: What differs from run to run; None where the same results should give the same text.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": _code,
        "label": _label,
        "link": lambda title: Markup(f"[{_label(title)}](#{_id(_escaped(title))})"),
        "verbatim": Markup,  # for names that params.yaml checks
    }
    test_set = results.predictions.test_set
    text: str = environment.get_template("report.md.j2").render(
        r=results,
        run=run,
        words=words,
        setup=setup,
        paper=paper,
        source=source,
        published=paper.read_paper(),
        pictures={picture.name: picture.description for picture in drawn},
        rare=[test_set.classes[number] for number in rare_classes(test_set)],
        rare_below=RARE,
        caution=caution(results.dialogues),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def in_html(results: Results, drawn: Sequence[Picture], run: Circumstances) -> str:
    """Render the HTML page, with every figure drawn inside and what differs from run to run."""
    reader = MarkdownIt("commonmark", renderer_cls=Page).enable("table")
    env: dict[str, Any] = {
        "svg": {f"figures/{p.name}.png": svg(p.figure, p.name, p.description) for p in drawn},
        "sections": [],
        "ids": Counter(),
    }
    body = reader.render(markdown_of(results, drawn, run), env)
    links = (
        f'<li><a href="#{key}">{html.escape(title)}</a></li>' for key, title in env["sections"]
    )
    contents = f'<nav aria-label="Sections"><ol>{"".join(links)}</ol></nav>\n'
    return PAGE.format(
        title=html.escape(results.corpus),
        style=(HERE / "style.css").read_text("utf-8"),
        body=body.replace("<h2", f"{contents}<h2", 1),
    )


def _escaped(text: Any) -> Markup:
    """Escape text for Markdown, tables included; line breaks are kept."""
    if hasattr(text, "__html__"):
        return Markup(text)
    plain = html.escape(printable(str(text)), quote=False)
    marked = MARKS.sub(lambda mark: f"\\{mark[0]}", plain)
    return Markup(marked.replace("\n", "<br>"))


def _code(text: str) -> Markup:
    """Text in one line as code, in which Markdown has no other markup."""
    words = printable(text).replace("`", "'").split()
    return Markup(f"`{' '.join(words)}`")


def _label(text: str) -> Markup:
    """Text between brackets, which hold no other ones."""
    return Markup(BRACKET.sub(r"\1\\\2", _escaped(text)))
