"""dvc.lock: what stages read and wrote when they last ran."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

LOCK = Path("dvc.lock")


def stages_of(text: str) -> dict[str, Any]:
    """The stages of a dvc.lock, by name."""
    content = YAML(typ="safe", pure=True).load(text) or {}
    stages: dict[str, Any] = content.get("stages") or {}
    return stages


def stages_here() -> dict[str, Any]:
    """Those of the working folder; none where nothing ever ran."""
    return stages_of(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else {}


def digest(stages: dict[str, Any], stage: str, side: str, path: Path) -> str | None:
    """What a stage read or wrote at a path; None if it is not known.

    Args:
        stages: Of a dvc.lock.
        stage: Its name, `train@demo_meld`.
        side: `deps` or `outs`.
        path: Of the file.
    """
    files = stages.get(stage, {}).get(side, [])
    return next((file["md5"] for file in files if file["path"] == path.as_posix()), None)
