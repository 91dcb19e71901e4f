"""dvc.lock: what stages read and wrote when they last ran.

DVC empties the file and writes it anew after each stage. A run that is killed in that moment
leaves it empty, cut off, or without some of its entries, of which DVC says nothing.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pipeline.base.errors import PipelineError

LOCK = Path("dvc.lock")


def stages_of(text: str) -> dict[str, Any]:
    """The stages of a dvc.lock by name; refuse what is left of one whose writing was killed."""
    try:
        content = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        content = None
    stages = content.get("stages", {}) if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        raise PipelineError(
            f"{LOCK} is empty or cut off, by a run that was killed while DVC wrote it; DVC cannot "
            f"start with it. `git checkout {LOCK}` puts the last commit's back (without one, "
            "delete it): stages that ran since run again, but compute nothing that a cache holds."
        )
    return stages


def stages_here() -> dict[str, Any]:
    """Those of the working folder; none where nothing ever ran."""
    return stages_of(_text()) if LOCK.is_file() else {}


def lost() -> list[str]:
    """Stages of which the last commit has an entry that is gone here, or cut off."""
    before, here = stages_of(_committed() or "stages: {}"), stages_here()
    whole = {name for name, entry in here.items() if "outs" in (entry or ())}
    return [name for name, entry in before.items() if "outs" in entry and name not in whole]


def note_of_loss(stage: str) -> str:
    """What to say before a stage that runs because its entry is gone; empty if it is not."""
    entry = re.compile(rf"^  {re.escape(stage)}:$", re.M)
    if (LOCK.is_file() and entry.search(_text())) or not entry.search(_committed()):
        return ""
    return (
        f"note: {LOCK} has lost the entry of {stage} that the last commit has, which happens to a "
        "run that is killed while DVC writes the file; so it runs again. `git diff "
        f"{LOCK}` shows what else is gone.\n"
    )


def _text() -> str:
    return LOCK.read_text(encoding="utf-8", errors="replace")


def _committed() -> str:
    """The last commit's dvc.lock; empty where there is none."""
    try:
        command = ["git", "show", f"HEAD:./{LOCK}"]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def digest(stages: dict[str, Any], stage: str, side: str, path: Path) -> str | None:
    """What a stage (`train@demo_meld`) read (`deps`) or wrote (`outs`) at a path, if known."""
    files = stages.get(stage, {}).get(side, [])
    return next((file["md5"] for file in files if file["path"] == path.as_posix()), None)
