"""Peak memory of stages: a long clip among short ones, a hundred times as many utterances.

A stage and all processes it starts are looked at together, some times a second, on Linux as the
sum of their proportional set sizes (a page that several share counts once); a peak that is
shorter than that is missed.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.table import Table
from transformers import AutoConfig

from benchmarks.bare_steps import write_text_network
from benchmarks.encoding import write_repeated
from benchmarks.full_size import free_box, stub_clip
from benchmarks.material import CLIP_SECONDS, make_corpus_clips, make_texts
from benchmarks.our_extraction import WEIGHTS
from benchmarks.workspace import CORPUS, Workspace, clip_name
from pipeline.base.files import sha256_file
from pipeline.weights.record import FileRecord, read_record, write_record

INTERVAL = 0.05  # seconds between two looks
MB = 2**20


def memory_table(
    folder: Path, encoded: list[Path], clips: int, seconds: float, utterances: tuple[int, int]
) -> Table:
    """Measures all stages.

    Args:
        folder: An empty folder.
        encoded: Clips of 3 s.
        clips: Of the small corpora.
        seconds: Of the long clip.
        utterances: A small and a large number.
    """
    table = Table("stage", "corpus", "peak MB", title="peak memory of a stage and its processes")
    short = _with_clips(folder / "short", encoded, clips, 0)
    long = _with_clips(folder / "long", encoded, clips, seconds)
    for stage in ("frames", "audio"):
        for workspace, told in ((short, "all of 3 s"), (long, f"one of them of {seconds:.0f} s")):
            table.add_row(stage, f"{clips} clips, {told}", f"{_peak(workspace, stage):.0f}")
    spaces = {number: _with_stubs(folder / str(number), number) for number in utterances}
    for stage, note in (("manifest", "stub clips"), ("text", "a network of one layer")):
        for number, workspace in spaces.items():
            told = f"{number} utterances, {note}"
            table.add_row(stage, told, f"{_peak(workspace, stage):.0f}")
    return table


def _with_clips(folder: Path, encoded: list[Path], clips: int, seconds: float) -> Workspace:
    workspace = Workspace(folder)
    names = [clip_name(n) for n in range(clips)]
    made = make_corpus_clips(encoded, workspace.clips, names)
    if seconds:
        write_repeated(encoded[0], made[clips // 2], round(seconds / CLIP_SECONDS))
    workspace.annotate(make_texts(clips))
    workspace.install_encoders()
    workspace.run("manifest")
    return workspace


def _with_stubs(folder: Path, utterances: int) -> Workspace:
    """A corpus of clips of 0.2 s, with a text encoder that costs little and gives as much."""
    workspace = Workspace(folder)
    clip = stub_clip(folder)
    for number in range(utterances):
        content = free_box(number.to_bytes(4, "big"))
        (workspace.clips / clip_name(number)).write_bytes(clip + content)
    workspace.annotate(make_texts(utterances))
    workspace.install_encoders()
    _shrink_text_encoder(folder / f"models/pretrained/{CORPUS}/text")
    workspace.run("finetune")
    return workspace


def _shrink_text_encoder(folder: Path) -> None:
    """Puts a network with one layer and random weights in the place of MiniLM."""
    record = read_record(folder)
    config = AutoConfig.from_pretrained(WEIGHTS / "all-MiniLM-L6-v2", local_files_only=True)
    config.update({"num_hidden_layers": 1, "intermediate_size": 64})
    write_text_network(folder, config)
    files = {
        path.name: FileRecord(bytes=path.stat().st_size, sha256=sha256_file(path))
        for path in folder.iterdir()
        if path.name in record.files
    }
    write_record(folder, record.model_copy(update={"files": files}))


def _peak(workspace: Workspace, stage: str) -> float:
    return peak(workspace, workspace.command(stage))


def peak(workspace: Workspace, command: Sequence[str]) -> float:
    """Runs a command; the MB that it and all its processes take at most."""
    with (workspace.root / "said").open("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=workspace.root,
            env=workspace.environment,
            stdout=said,
            stderr=said,
        )
        most = 0.0
        while process.poll() is None:
            most = max(most, _taken(process.pid))
            time.sleep(INTERVAL)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read()}")
    return most / MB


def _taken(pid: int) -> float:
    """Bytes of a process and all that descend from it."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(map(_bytes, family))


def _bytes(process: psutil.Process) -> float:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(getattr(memory, "pss", memory.rss))
