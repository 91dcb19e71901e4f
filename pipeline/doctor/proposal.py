"""A block of params.yaml for a new corpus, made from the block of a like one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipeline.base.aliases import load_yaml
from pipeline.base.errors import PipelineError
from pipeline.base.params import ANCHORS, NAME, PARAMS, hint
from pipeline.base.settings import MODALITIES, Modality
from pipeline.systems.registry import SYSTEMS

# What a block is made from: systems of IEMOCAP have other settings than those of MELD.
LIKE = {"iemocap": "iemocap"}
TEXT_ALONE, OTHERS = "meld_text", "meld"
# Systems that read texts alone.
OF_TEXT = ("tfidf", "finetuned_head")
MERGED = re.compile(r"<<: \*(\w+)")


def check_name(name: str, text: str) -> None:
    """Check the name of a corpus that is to be added to params.yaml.

    Raises:
        PipelineError: It is none for a corpus, or params.yaml has it.
    """
    if not NAME.fullmatch(name) or not isinstance(load_yaml(f"name: {name}")["name"], str):
        raise PipelineError(
            f"--add: got {name!r}, expected a name of up to 64 letters, digits, `_` and `-` that "
            "is no number and no word of YAML's."
        )
    if name in load_yaml(text):
        raise PipelineError(f"--add: {PARAMS} has {name!r} already: choose another name.")


def block(
    name: str, of: str, changes: Mapping[str, str], modalities: Sequence[Modality], text: str
) -> str:
    """The lines of a block.

    Args:
        name: Of the new corpus.
        of: Whose utterances it has, as `CORPUS.corpus.of`.
        changes: By section, the YAML that replaces that of the like corpus.
        modalities: Those that are there.
        text: The content of params.yaml.

    Raises:
        PipelineError: params.yaml lacks the block to copy.
    """
    like = LIKE.get(of, TEXT_ALONE if tuple(modalities) == ("text",) else OTHERS)
    blocks = dict(re.findall(r"^([A-Za-z0-9][\w-]*):\n((?:[ #].*\n|\n)+)", f"{text}\n", re.M))
    if like not in blocks:
        raise PipelineError(f"{PARAMS} has no block {like!r} to copy{hint(like, blocks)}")
    if not MERGED.search(blocks[like]):
        return _resolved(name, load_yaml(text), like, changes, modalities)
    lines = [f"{name}:\n"]
    for section, value in re.findall(r"^  (\w+):((?:.*\n)(?:    .*\n)*)", blocks[like], re.M):
        if section in changes:
            lines.append(f"  {section}: {changes[section]}\n")
        elif section in SYSTEMS:
            own = ", ".join(f"{k}: {_flow(v)}" for k, v in _of_system(section, modalities).items())
            kept = re.sub(r", modalities: \[[^]]*\]", "", value).removesuffix("}\n")
            lines.append(f"  {section}:{kept}, {own}}}\n")
        else:
            lines.append(f"  {section}:{value}")
    return "".join(lines)


def _flow(value: Any) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value).lower()


def _of_system(name: str, modalities: Sequence[Modality]) -> dict[str, Any]:
    """The settings of a system that say what it reads."""
    if name in OF_TEXT and "text" not in modalities:
        return {"enabled": False}
    chosen = ["text"] if name in OF_TEXT else [m for m in MODALITIES if m in modalities]
    return {"modalities": chosen}


def _resolved(
    name: str,
    raw: Mapping[str, Any],
    like: str,
    changes: Mapping[str, str],
    modalities: Sequence[Modality],
) -> str:
    """The block where `dvc exp run -S` has rewritten params.yaml, and nothing is merged in it."""
    made = {
        section: values | _of_system(section, modalities) if section in SYSTEMS else values
        for section, values in raw[like].items()
    }
    for section, text in changes.items():
        merged = [raw[ANCHORS][anchor] for anchor in MERGED.findall(text)]
        own = load_yaml(MERGED.sub("", text).replace("{, ", "{"))
        made[section] = {k: v for values in (*merged, own) for k, v in values.items()}
    dumped: str = yaml.dump({name: made}, Dumper=_Plain, sort_keys=False, allow_unicode=True)
    return dumped


class _Plain(yaml.SafeDumper):
    """Writes out what stands in several places, as DVC does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Say so of everything."""
        return True
