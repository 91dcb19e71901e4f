"""Check the call of a stage, `python -m stages.X CORPUS`, before X's imports, which take seconds.

dvc.yaml says what a stage's words are, which settings it reads and what it writes. DVC itself
writes `--corpus CORPUS`, quoted for the shell.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.display import any_encoding, printable, say
from pipeline.base.errors import PipelineError
from pipeline.base.params import DEMO, Params, hint, read_params
from pipeline.base.paths import BASELINE, cache_root

DAG = Path(__file__).parents[2] / "dvc.yaml"
# DVC's names of what a stage runs for.
PLACEHOLDER = re.compile(rf"(?:{DEMO})?\$\{{item\.(\w+)\}}")
# Before each value DVC writes its name; `demos` has the names of corpora without their beginning.
OPTIONS = {"--corpus": "", "--system": "", "--role": "", "--demo": DEMO}


def check_call() -> None:
    """Exit if this process is `python -m stages.X` with a wrong call; for the package `stages`.

    While the package is imported, the original command line alone has the module's name.
    """
    command = sys.orig_argv
    if sys.argv[0] == "-m" and "-m" in command:
        any_encoding()
        stage = command[command.index("-m") + 1].removeprefix("stages.")
        try:
            if stage in _stages():  # else Python says that there is no such module
                checked(stage, words_in(sys.argv))
        except PipelineError as error:
            call = " ".join([stage, *words_in(sys.argv)])
            sys.exit(printable(f"\n{call}: {error}\n{_way_back()}"))


def words_in(command: Sequence[str]) -> list[str]:
    """The words of a stage's command line, without the names that DVC writes before them."""
    pairs = pairwise(command)
    return [OPTIONS.get(before, "") + word for before, word in pairs if word not in OPTIONS]


def checked(stage: str, words: Sequence[str]) -> Params:
    """Return the checked params of a stage's call; refuse what is wrong, and exit after help."""
    entry = _stages()[stage]
    matrix = entry.get("matrix", {})
    usage = " ".join(["usage: python -m", f"stages.{stage}", *map(_spoken, matrix)])
    if {"-h", "--help"} & set(words):
        say(f"{usage}\n\n{_described(entry)}")
        sys.exit()
    if len(words) != len(matrix):
        sys.exit(usage)
    params = read_params()
    if words:
        params.check(words[0])
    given = dict(zip(matrix, words, strict=True))
    for name, word in given.items():
        if name == "system":
            params.check_system(word)
        known = matrix[name]
        if isinstance(known, list) and word not in known:
            raise PipelineError(f"{name}: got {word!r}{hint(word, known)}")
    outs = (PLACEHOLDER.sub(lambda match: given[match[1]], out) for out in _outs(entry))
    check_writable([cache_root(), *map(Path, outs)])
    return params


def check_writable(paths: Iterable[Path]) -> None:
    """Refuse files and folders that cannot be made or replaced where they are to be."""
    for path in paths:
        folder = next(p for p in (path, *path.absolute().parents) if p.is_dir())
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PipelineError(
                f"{path} cannot be written: `ls -ld {folder}` shows who may write to that folder; "
                "`chown` or `chmod` changes it."
            )


def _way_back() -> str:
    """How to undo what `dvc exp run -S` has done to this workspace before it ran a stage."""
    if "DVC_EXP_NAME" not in os.environ or Path(os.environ.get("DVC_ROOT", "")) != Path.cwd():
        return ""
    return (
        "Nothing has run. `git checkout params.yaml && dvc checkout` puts the workspace back, or "
        f"`dvc exp apply {BASELINE}` where results are kept there and not committed.\n"
    )


def _stages() -> dict[str, Any]:
    try:
        stages: dict[str, Any] = yaml.load(DAG.read_bytes(), yaml.CSafeLoader)["stages"]
    except yaml.YAMLError as error:
        raise PipelineError(f"{DAG} cannot be read as YAML: {error}") from error
    return stages


def _outs(entry: dict[str, Any]) -> list[str]:
    outs = [out for key in ("outs", "metrics", "plots") for out in entry.get(key, ())]
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


def _described(entry: dict[str, Any]) -> str:
    """What a stage does, reads and writes, its words in capitals."""
    lines = [
        str(entry["desc"]),
        f"settings: {', '.join(entry.get('params', ['none']))} (params.yaml)",
        f"writes: {', '.join(_outs(entry))}",
        "`dvc repro` runs it, and before it what it needs, where something has changed.",
    ]
    return PLACEHOLDER.sub(lambda match: _spoken(match[1]), "\n".join(lines))


def _spoken(name: str) -> str:
    """What a person calls a word: a demo is a corpus, by its whole name."""
    return "CORPUS" if name == "demo" else name.upper()
