"""`python -m pipeline doctor`: what would stop a run, found before it starts."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pipeline import paths
from pipeline.corpora.registry import READERS
from pipeline.errors import PipelineError
from pipeline.params import Params, read_params
from pipeline.settings.corpus import CorpusSettings
from pipeline.settings.extract import ExtractSettings
from pipeline.weights.lock import Role, read_lock
from pipeline.weights.store import store_root

GIGABYTE = 1e9
LEAST_FREE = 10.0
Finding = tuple[bool, str]


def examine(corpora: list[str] | None) -> int:
    """Prints what was found, one line each, and a verdict.

    Args:
        corpora: Which to look at; None for those of params.yaml.

    Returns:
        0 if nothing stands in the way of a run, else 1.
    """
    bad = 0
    for good, line in _findings(corpora):
        print(f"{'ok  ' if good else 'MEND'}  {line}")
        bad += not good
    print("not looked at: the content of clips (the stage `manifest` opens each one)")
    print("verdict: " + ("`dvc repro` can run" if not bad else f"{bad} things to mend first"))
    return int(bad > 0)


def _findings(corpora: list[str] | None) -> Iterator[Finding]:
    yield _repository()
    yield _commands()
    yield _disk()
    try:
        params = read_params()
    except PipelineError as error:
        yield False, str(error)
        return
    yield True, f"params.yaml is valid, corpora {params.corpora}"
    for corpus in corpora or params.corpora:
        try:
            yield from _corpus(params, corpus)
        except PipelineError as error:
            yield False, f"{corpus}: {error}"


def _repository() -> Finding:
    try:
        command = ["git", "rev-parse", "--verify", "-q", "HEAD"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False)
    except FileNotFoundError:
        return False, "git is not installed; DVC needs it"
    if inside.returncode:
        return False, "this folder is no git repository: `git init`, add and commit; DVC needs it"
    if found.returncode:
        return False, "the repository has no commit yet: commit once, `dvc exp run` needs it"
    return True, f"git repository, commit {found.stdout[:12]}"


def _commands() -> Finding:
    lacking = [name for name in ("python", "dvc") if shutil.which(name) is None]
    if lacking:
        return False, f"{lacking} not on the PATH: `source .venv/bin/activate`, or use `make`"
    return True, "python and dvc are on the PATH"


def _disk() -> Finding:
    free = shutil.disk_usage(Path()).free / GIGABYTE
    line = f"{free:.0f} GB free here (MELD's frames and features take about 12 GB, its cache too)"
    return free > LEAST_FREE, line


def _corpus(params: Params, corpus: str) -> Iterator[Finding]:
    root = paths.raw(corpus)
    if corpus in params.demos:
        yield True, f"{corpus}: a demo corpus, `dvc repro` generates {root}"
    elif not root.exists():
        what = "is a dangling link" if root.is_symlink() else "does not exist"
        yield (
            False,
            f"{corpus}: {root} {what}; link the corpus there: `ln -s /where/it/is {root}`",
        )
    else:
        yield _tree(params, corpus)
    for role in get_args(Role):
        yield from _encoder(params, corpus, role)


def _tree(params: Params, corpus: str) -> Finding:
    options = params.of(CorpusSettings, corpus).root
    root = paths.raw(corpus)
    raw = READERS[getattr(options, "reader")].read(root, options)  # noqa: B009
    files = sorted({p for u in raw.utterances for p in (u.video.path, u.audio.path)})
    there = sum((root / file).is_file() for file in files)
    dialogues = len({u.dialogue for u in raw.utterances})
    line = f"{corpus}: {len(raw.utterances)} utterances, {dialogues} dialogues, "
    needed = {"audio", "visual"} & set(params.of(ExtractSettings, corpus).modalities)
    line += f"{there} of {len(files)} media files"
    if needed and not there:
        return False, f"{line}; {sorted(needed)} cannot be extracted without them"
    return True, line


def _encoder(params: Params, corpus: str, role: Role) -> Iterator[Finding]:
    modality = "text" if role == "text" else "visual"
    if modality not in params.of(ExtractSettings, corpus).modalities:
        return
    name = getattr(params.sections[role][corpus], "encoder")  # noqa: B009
    entry = read_lock().find(name, role, f"{role}.{corpus}.encoder")
    folder = store_root() / entry.name
    lacking = [file.name for file in entry.files if not (folder / file.name).is_file()]
    where = f"in {folder}" if not lacking else f"to be fetched from {entry.files[0].sources[0]}"
    yield True, f"{corpus}: {role} encoder {name} {where}"
