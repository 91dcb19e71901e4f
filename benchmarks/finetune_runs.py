"""One run of fine-tuning on MELD's three CSVs, as the pipeline does it, without the DVC graph."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.finetune_options import BASE, Variant
from pipeline.base.cache import digest_of
from pipeline.base.settings import ComputeSettings
from pipeline.corpora import meld
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.settings import ProtocolSettings
from pipeline.features.common.device import set_threads
from pipeline.features.text.extract import read_turns, window_of
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import Turn, Window
from pipeline.finetuning.examples import Examples, examples
from pipeline.finetuning.loop import Run
from pipeline.finetuning.scores import figures
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.finetuning.task import Task, task_of
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import Protocol

CORPUS = "meld_text"
PARAMS = Path(__file__).parents[1] / "params.yaml"
LEARNT = ("train", "valid")
WARM_STEPS, TIMED_STEPS = 10, 40


@dataclass(frozen=True)
class Where:
    """What runs read, and on what.

    Attributes:
        folder: With `csv/` and `encoder/`, as benchmarks.finetune_pack writes it.
        device: `cuda` or `cpu`.
        precision: As compute.precision has it; float32 on a GPU means TF32 products.
        dialogues: Of each split, at most; 0: all.
    """

    folder: Path
    device: str
    precision: str
    dialogues: int = 0


@dataclass(frozen=True)
class Job:
    """A run.

    Attributes:
        phase: What it is part of.
        variant: Its settings.
        seed: Of the head, batches and dropout.
        test: Whether test is predicted too; its labels are not looked at.
        vectors: Whether the vectors of the whole corpus are kept.
        left_out: Dialogues of the train split that it does not see, and whose vectors are kept.
        epochs: Without validation, so many; 0: validation chooses.
    """

    phase: str
    variant: Variant
    seed: int
    test: bool = False
    vectors: bool = False
    left_out: tuple[str, ...] = ()
    epochs: int = 0

    @property
    def key(self) -> str:
        """Names the run; the same variant of other settings chosen before is another run."""
        settings = digest_of(self.variant.text, self.variant.finetune)[:6]
        return f"{self.phase}|{self.variant.name}|{self.seed}|{settings}"


@dataclass(frozen=True)
class Found:
    """What a run found.

    Attributes:
        row: Figures and settings; JSON can hold it.
        arrays: `valid` [utterance, class] of the chosen epoch; where they are asked for `test`
            [epoch, utterance, class], `vectors` [utterance, feature] of the whole corpus, or of
            the dialogues that were left out, and with them the head's `weight` and `bias`.
    """

    row: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def run(job: Job, where: Where) -> Found:
    """Trains, and scores on validation."""
    start = time.perf_counter()
    _prepare(where)
    task = task_for(job, where)
    trained = Run(task)
    test = turns_of(where, window_of(task.text), ("test",)) if job.test else []
    tested: list[np.ndarray] = []
    for _ in trained.steps():
        if job.test and len(trained.state.history) > len(tested):
            tested.append(trained.predict(test).numpy())
    state = trained.state
    row: dict[str, Any] = {
        "run": job.key,
        "phase": job.phase,
        "name": job.variant.name,
        "kind": job.variant.kind,
        "seed": job.seed,
        "text": dict(job.variant.text),
        "finetune": dict(job.variant.finetune),
        "epoch": state.best_epoch,
        "history": [{k: round(v, 4) for k, v in values.items()} for values in state.history],
    }
    arrays: dict[str, np.ndarray] = {}
    if task.valid:
        arrays["valid"] = state.valid.numpy()
        actual = [e.label for e in task.valid]
        row["validation"] = figures(actual, arrays["valid"], read(where)[1].classes)
    if job.test:
        arrays["test"] = np.stack(tested)
    if job.vectors or job.left_out:
        arrays |= _vectors(trained, job, where, task)
    row["seconds"] = round(time.perf_counter() - start, 2)
    return Found(row, arrays)


def milliseconds(where: Where) -> float:
    """Of a step, on the clock, once the device is warm."""
    _prepare(where)
    trained = Run(task_for(Job("", BASE, 1), where))
    steps = trained.steps()
    for _ in range(WARM_STEPS):
        next(steps)
    _wait(where)
    start = time.perf_counter()
    for _ in range(TIMED_STEPS):
        next(steps)
    _wait(where)
    return 1000 * (time.perf_counter() - start) / TIMED_STEPS


def _prepare(where: Where) -> None:
    set_threads(1)
    torch.set_float32_matmul_precision("high" if where.device == "cuda" else "highest")


def _wait(where: Where) -> None:
    if where.device == "cuda":
        torch.cuda.synchronize()


def _vectors(trained: Run, job: Job, where: Where, task: Task) -> dict[str, np.ndarray]:
    trained.encoder.restore(trained.state.best)
    window = window_of(task.text)
    if job.left_out:
        found = labelled(where, window)
        turns = [e.turn for e in found.train if e.dialogue in set(job.left_out)]
    else:
        turns = turns_of(where, window, (*LEARNT, "test"))
    head = trained.encoder.model.head
    return {
        "vectors": trained.encoder.vectors(trained.encoder.read(turns)).numpy(),
        "weight": head.weight.detach().cpu().numpy(),
        "bias": head.bias.detach().cpu().numpy(),
    }


def task_for(job: Job, where: Where) -> Task:
    """What a run is given."""
    sections = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    settings = {**sections["finetune"][CORPUS], **job.variant.finetune, "seed": job.seed}
    text = TextSettings.model_validate({**sections["text"][CORPUS], **job.variant.text})
    compute = ComputeSettings.model_validate(
        {
            "device": where.device,
            "threads": 1,
            "precision": where.precision,
            "deterministic": False,
        }
    )
    task = task_of(
        labelled(where, window_of(text)),
        where.folder / "encoder",
        text,
        FinetuneSettings.model_validate(settings),
        compute,
    )
    return task.without(job.left_out, job.epochs) if job.left_out else task


@lru_cache(maxsize=2)
def labelled(where: Where, window: Window) -> Examples:
    """The examples of train and validation."""
    utterances, protocol = read(where)
    return examples(utterances, protocol, window)


def turns_of(where: Where, window: Window, splits: tuple[str, ...]) -> list[Turn]:
    """What is read of each utterance of some splits, in manifest order."""
    utterances, protocol = read(where)
    mine = {e.utterance for e in protocol.entries if e.split in splits}
    return [turn for u, turn in read_turns(utterances, window) if u.utterance in mine]


@lru_cache(maxsize=2)
def read(where: Where) -> tuple[list[Utterance], Protocol]:
    """Utterances and protocol.

    Raises:
        PipelineError: The CSVs are not there, or not MELD's.
    """
    options = meld.MeldOptions(reader="meld", full=True, max_seconds=60, test_twins="final")
    utterances = meld.read(where.folder / "csv", options).utterances
    if where.dialogues:
        kept = _first(utterances, where.dialogues)
        utterances = [u for u in utterances if u.dialogue in kept]
    settings = ProtocolSettings(
        label_set="emotion", label_policy="consensus", unlabelled="drop", splits="official"
    )
    return utterances, make_protocol(utterances, settings)


def _first(utterances: list[Utterance], number: int) -> set[str]:
    """The first dialogues of each split."""
    found: dict[str | None, dict[str, None]] = {}
    for u in utterances:
        found.setdefault(u.official_split, {})[u.dialogue] = None
    return {name for names in found.values() for name in list(names)[:number]}
