"""This repository's files as they are, in a repository of their own, with tiny demo corpora."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]

TINY = {
    "dialogues": {"train": 3, "dev": 2, "test": 2},
    "max_turns": 7,
    "min_per_class": 1,
    "max_seconds": 1.1,
    "min_seconds": 1.0,
}
TINY_SESSIONS = {
    "dialogues": {"Session1": 2, "Session2": 1, "Session3": 1, "Session4": 2, "Session5": 1},
    "min_turns": 6,
    "max_turns": 7,
    "min_per_class": 0,
    "fps": 10,
    "max_seconds": 1.1,
    "valid_fraction": 0.5,
}
STAGES = (
    "manifest",
    "protocol",
    "frames",
    "visual",
    "audio",
    "finetune",
    "text",
    "report",
)
SYSTEMS = ["tfidf", "mcn_cl"]
SMALLER = {"count": 2, "mcn_cl.epochs": 2, "feature_set": "eGeMAPSv02"}


def dumped(params: Mapping[str, object]) -> str:
    """params.yaml that holds this, resolved; written in C, for it is long."""
    return yaml.dump(params, Dumper=yaml.CSafeDumper, sort_keys=False)


def with_values(text: str, values: dict[str, object], corpus: str = "demo_meld") -> str:
    """params.yaml, resolved, with settings of a corpus set to other values.

    A setting is `section.key`, or `key` for the first section that has it.
    """
    params = YAML(typ="safe").load(text)
    params.pop("defaults", None)
    block = params[corpus]
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        section = section or next(s for s in block if key in block[s])
        block[section] = {**block[section], key: value}
    return dumped(params)


def with_corpora(text: str, *corpora: str) -> str:
    """params.yaml with these corpora selected and generated, and few systems.

    Blocks of corpora that are neither these nor a demo are left out: DVC reads all several times
    for each stage.
    """
    params = YAML(typ="safe").load(text)
    params.pop("defaults", None)
    kept = (*corpora, "demo_meld", "demo_iemocap")
    for name in [name for name, block in params.items() if "corpus" in block and name not in kept]:
        del params[name]
    demos = [corpus.removeprefix("demo_") for corpus in corpora]
    chosen = {"corpora": [*corpora], "demos": demos, "systems": SYSTEMS}
    return dumped(params | chosen)


def copy_repository(folder: Path, *corpora: str) -> None:
    """Copies what git tracks, but for results, into a repository with one commit.

    Args:
        folder: Where to; empty.
        corpora: That are selected and generated.
    """
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "dvc.lock").write_text("schema: '2.0'\n")  # as it is before anything has run
    params = folder / "params.yaml"
    text = with_values(params.read_text(), {**TINY, **SMALLER})
    text = with_values(text, {**TINY_SESSIONS, **SMALLER}, "demo_iemocap")
    params.write_text(with_corpora(text, *corpora))
    identity = (["config", "user.name", "t"], ["config", "user.email", "t@example.org"])
    for command in (["init", "-q"], *identity, ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def trained(corpus: str, *systems: str) -> set[str]:
    """The stages of systems, as DVC names them."""
    return {f"{stage}@{corpus}-{name}" for stage in ("train", "evaluate") for name in systems}


def stages_of(corpus: str) -> set[str]:
    """Every stage that a demo corpus needs, as DVC names them."""
    weights = {f"weights@{corpus}-{role}" for role in ("faces", "visual", "text", "audio")}
    own = {f"{stage}@{corpus}" for stage in STAGES} | trained(corpus, *SYSTEMS)
    return {"params", f"demo@{corpus.removeprefix('demo_')}"} | own | weights


def python(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m WORDS` as a user would in an active environment, with a cache of its own.

    Args:
        folder: The working folder.
        words: Module and arguments.
        variables: Of the environment, besides.
    """
    store = os.environ.get("ERC_WEIGHTS", str(ROOT / "models/weights"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ERC_WEIGHTS": store, **variables}
    environment.pop("ERC_CACHE", None)
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def dvc(folder: Path, *words: str) -> str:
    """What a command of DVC prints, which must succeed."""
    done = python(folder, "dvc", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ran(folder: Path, *options: str) -> set[str]:
    """The stages that `dvc repro` runs."""
    printed = dvc(folder, "repro", *options)
    return set(re.findall(r"^Running stage '(.+)':$", printed, flags=re.M))
