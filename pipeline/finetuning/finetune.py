"""Fine-tune a corpus' text encoder and write the folder that the stage `text` reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.base import paths
from pipeline.base.cache import folder_of
from pipeline.base.display import say
from pipeline.base.files import replacing_folder, write_text
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.progress import progress
from pipeline.base.settings import ComputeSettings
from pipeline.base.state import StateFile
from pipeline.features.common.device import (
    arithmetic,
    refuse_nondeterminism,
    resolve_device,
    set_threads,
)
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import window_of
from pipeline.finetuning.cross_fit import Gap, parts_of
from pipeline.finetuning.examples import Examples, read_examples
from pipeline.records.head import Head, write_head
from pipeline.finetuning.loop import Run, TuningState
from pipeline.finetuning.network import TunedEncoder
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.finetuning.task import Task, task_of
from pipeline.finetuning.writing import figures, write_encoder, write_finetuned_record
from pipeline.weights.folder import PART_FOLDER, Encoder, FinetunedRecord, load

LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
CODE = ("pipeline.finetuning.loop",)
NOT_READING = {"encoder", "tokens_per_batch"}  # the encoder's files count, not its name


def finetune_corpus(
    corpus: str, text: TextSettings, settings: FinetuneSettings, compute: ComputeSettings
) -> None:
    """Fine-tune an encoder; write it, its head and its validation scores.

    Raises:
        PipelineError: A file is missing; the protocol has several folds; a split or what a part
            leaves of it has nothing to learn from; no such device; training diverged.
    """
    pretrained = load(paths.pretrained(corpus, "text"))
    examples = read_examples(corpus, window_of(text))
    task = task_of(examples, pretrained.folder, text, settings, prepared(compute))
    parts = parts_of(examples.dialogues, settings.cross_fit, settings.seed)
    # Cached, so that editing a file that changes nothing here costs no training.
    values = {**text.model_dump(), **settings.model_dump()}
    about = {"encoder": pretrained.about, "settings": values}
    folder = folder_of("finetune", *_key(task, parts, pretrained), about=about)
    for part in parts:
        task.without(part, task.epochs)  # raise before hours of training
    whole = _trained(task, folder / "whole/run.pt", f"finetune {corpus}, steps at most")
    tasks = [task.without(part, whole.best_epoch) for part in parts]
    states = [
        _trained(part, folder / f"part{n}/run.pt", f"finetune {corpus} without part {n}, steps")
        for n, part in enumerate(tasks)
    ]
    _write(corpus, pretrained, examples, [(task, whole), *zip(tasks, states, strict=True)], parts)


def prepared(compute: ComputeSettings) -> ComputeSettings:
    """Set threads and determinism for this process; return the settings with a resolved device.

    Raises:
        PipelineError: No such device.
    """
    set_threads(compute.threads)
    if compute.deterministic:
        refuse_nondeterminism()
    return compute.model_copy(update={"device": resolve_device(compute.device)})


def _key(task: Task, parts: Sequence[Sequence[str]], pretrained: Encoder) -> list[Any]:
    """Cache key of the runs: examples, settings, code, encoder and library versions."""
    return [
        code_digest(*CODE),
        [task.train, task.valid, task.classes, parts],
        [task.text.model_dump(exclude=NOT_READING), task.settings.model_dump()],
        _arithmetic(task.compute),
        pretrained.digest,
        _versions(task.settings),
    ]


def _arithmetic(compute: ComputeSettings) -> dict[str, Any]:
    """The compute settings that change the numbers."""
    facts = arithmetic(compute.device, compute.threads, compute.precision)
    return {**facts, "deterministic": compute.deterministic}


def _versions(settings: FinetuneSettings) -> dict[str, str]:
    return versions(*LIBRARIES, *["peft"] * bool(settings.lora_rank))


def _trained(task: Task, path: Path, label: str) -> TuningState:
    """Finish a run, or read its state if it has finished before."""
    file = StateFile(path, TuningState)
    with file.alone():
        state = file.read() or TuningState()
        if state.finished(task.epochs, task.settings):
            return state
        if state.step:
            say(f"  {label}: resumes at step {state.step + 1}")
        run = Run(task)
        with progress(label, task.epochs * run.steps_per_epoch, done=state.step) as loop:
            for _ in run.steps(file):
                loop.advance()
        return run.state


def _write(
    corpus: str,
    pretrained: Encoder,
    examples: Examples,
    runs: Sequence[tuple[Task, TuningState]],
    parts: Sequence[Sequence[str]],
) -> None:
    """Write the results of the run on all dialogues, the first, and of those of the parts."""
    (task, state), *rest = runs
    encoder = _restored(task, state)
    gap = Gap(encoder, examples.classes)
    with replacing_folder(paths.text_encoder(corpus)) as folder:
        write_encoder(folder, encoder, pretrained)
        for number, ((part_task, part_state), names) in enumerate(zip(rest, parts, strict=True)):
            unseeing = _restored(part_task, part_state)
            write_encoder(folder / f"{PART_FOLDER}{number}", unseeing, pretrained)
            left_out = set(names)
            gap.add([e for e in task.train if e.dialogue in left_out], unseeing)
        record = _record(corpus, task, state, parts)
        write_finetuned_record(folder, paths.pretrained(corpus, "text"), record)
    head = encoder.model.head
    weight, bias = (p.detach().cpu().numpy() for p in (head.weight, head.bias))
    write_head(paths.head(corpus), Head(examples.classes, weight, bias))
    actual = [e.label for e in examples.valid]
    validation = figures(actual, state.valid.numpy(), examples.classes)
    metrics: dict[str, Any] = {"epoch": state.best_epoch, "validation": validation}
    if parts:
        metrics["train_weighted_f1"] = gap.figures()
    write_text(paths.metrics(corpus, "finetune.json"), json.dumps(metrics, indent=2) + "\n")
    say(
        f"finetune: epoch {state.best_epoch} of {len(state.history)}, validation weighted F1 "
        f"{validation['weighted_f1']:.2f}"
    )


def _restored(task: Task, state: TuningState) -> TunedEncoder:
    encoder = TunedEncoder(task)
    encoder.restore(state.best)
    return encoder


def _record(
    corpus: str, task: Task, state: TuningState, parts: Sequence[Sequence[str]]
) -> FinetunedRecord:
    return FinetunedRecord(
        corpus=corpus,
        settings={
            "finetune": task.settings.model_dump(),
            "text": task.text.model_dump(),
            "compute": _arithmetic(task.compute),
            "versions": _versions(task.settings),
        },
        epoch=state.best_epoch,
        history=tuple({n: float(f"{v:.6g}") for n, v in row.items()} for row in state.history),
        parts=tuple(map(tuple, parts)),
    )
