"""Fine-tune a corpus' text encoder and write the folder that the stage `text` reads."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file
from sklearn.metrics import classification_report

from pipeline.base import paths
from pipeline.base.cache import folder_of
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder, write_text
from pipeline.base.fingerprint import code_digest, versions
from pipeline.base.progress import progress
from pipeline.base.settings import ComputeSettings
from pipeline.base.state import StateFile
from pipeline.executors.spread import on_cluster, spread
from pipeline.features.common.device import (
    arithmetic,
    chosen_device,
    needs_of,
    refuse_nondeterminism,
    set_threads,
)
from pipeline.features.text.settings import TextSettings
from pipeline.features.text.turns import window_of
from pipeline.finetuning.examples import Examples, Task, read_examples
from pipeline.finetuning.learner import TextLearner, limits_of, steps_per_epoch
from pipeline.finetuning.network import TunedEncoder
from pipeline.finetuning.settings import FinetuneSettings
from pipeline.records.head import Head, write_head
from pipeline.training.fit import Run, RunState
from pipeline.weights.folder import (
    Encoder,
    FinetunedRecord,
    load,
    read_record,
    record_of,
    write_record,
)

LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
CODE = ("pipeline.finetuning.learner",)
NOT_READING = {"encoder", "tokens_per_batch"}  # the encoder's files count, not its name
WEIGHTS = "model.safetensors"


def finetune_corpus(
    corpus: str, text: TextSettings, settings: FinetuneSettings, compute: ComputeSettings
) -> None:
    """Fine-tune an encoder; write it, its head and its validation scores.

    Raises:
        PipelineError: A file is missing; the protocol has several folds; a split has nothing to
            learn from; no such device; training diverged.
    """
    pretrained = load(paths.pretrained(corpus, "text"))
    examples = read_examples(corpus, window_of(text))
    task = Task(pretrained.folder, examples, text, settings, _prepared(compute))
    state = _trained(task, _cache(task, pretrained) / "run.pt", f"finetune {corpus}")
    _write(corpus, pretrained, task, state)


def _prepared(compute: ComputeSettings) -> ComputeSettings:
    """Set threads and determinism for this process; return the settings with a resolved device.

    Raises:
        PipelineError: No such device.
    """
    set_threads(compute.threads)
    if compute.deterministic:
        refuse_nondeterminism()
    return compute.model_copy(update={"device": chosen_device(compute.device)})


def _cache(task: Task, pretrained: Encoder) -> Path:
    """Where a run is kept, so that editing a file that changes nothing here costs no training."""
    values = {**task.text.model_dump(), **task.settings.model_dump()}
    return folder_of(
        "finetune",
        code_digest(*CODE),
        [task.examples.train, task.examples.valid, len(task.examples.classes)],
        [task.text.model_dump(exclude=NOT_READING), task.settings.model_dump()],
        _arithmetic(task.compute),
        pretrained.digest,
        _versions(task.settings),
        about={"encoder": pretrained.about, "settings": values},
    )


def _arithmetic(compute: ComputeSettings) -> dict[str, Any]:
    """The compute settings that change the numbers."""
    facts = arithmetic(compute.device, compute.threads, compute.precision)
    return {**facts, "deterministic": compute.deterministic}


def _versions(settings: FinetuneSettings) -> dict[str, str]:
    return versions(*LIBRARIES, *["peft"] * bool(settings.lora_rank))


def _trained(task: Task, path: Path, label: str) -> RunState:
    """Finish a run, or read its state if it has finished before."""
    file = StateFile(path, RunState)
    state = file.read() or RunState()
    if state.finished(limits_of(task.settings)):
        return state
    per_epoch = steps_per_epoch(task)
    done = len(state.history) * per_epoch + len(state.terms)
    if done:
        say(f"  {label}: resumes at step {done + 1}")
    work = (task, path)
    steps = spread(learn, [work], needs_of("finetune", task.compute))
    with progress(f"{label}, steps at most", task.settings.epochs * per_epoch, done=done) as loop:
        for count in steps if on_cluster() else learn(work):
            loop.advance(count=count)
    if not ((ended := file.read()) and ended.finished(limits_of(task.settings))):
        raise PipelineError(f"{path} is gone or damaged; run again, it trains what is missing.")
    return ended


def learn(work: tuple[Task, Path]) -> Iterator[int]:
    """Train, and tell of each step: the work of `spread`. The file has what comes of it."""
    task, path = work
    _prepared(task.compute)
    for _ in Run(TextLearner(task)).go(StateFile(path, RunState)):
        yield 1


def _write(corpus: str, pretrained: Encoder, task: Task, state: RunState) -> None:
    """Write the encoder, its record, its head and its scores on validation, never on test."""
    here = task.compute.model_copy(update={"device": "cpu"})  # a cluster's GPUs are elsewhere
    encoder = TunedEncoder(replace(task, compute=here))
    encoder.restore(state.best)
    with replacing_folder(paths.text_encoder(corpus)) as folder:
        _write_encoder(folder, encoder, pretrained)
        _write_record(folder, corpus, task, state)
    head = encoder.model.head
    weight, bias = (p.detach().cpu().numpy() for p in (head.weight, head.bias))
    write_head(paths.head(corpus), Head(task.examples.classes, weight, bias))
    scores = _scores(task.examples, state.valid[state.best_epoch - 1].numpy())
    metrics = {"epoch": state.best_epoch, "validation": scores}
    write_text(paths.metrics(corpus, "finetune.json"), json.dumps(metrics, indent=2) + "\n")
    say(
        f"finetune: epoch {state.best_epoch} of {len(state.history)}, validation weighted F1 "
        f"{scores['weighted_f1']:.2f}"
    )


def _write_encoder(folder: Path, encoder: TunedEncoder, pretrained: Encoder) -> None:
    """Write an encoder's files into a folder.

    Args:
        folder: Exists.
        encoder: After `restore`, so that LoRA is merged.
        pretrained: The encoder it came from; configuration and tokenizer are copied.
    """
    for name in pretrained.files:
        if ".safetensors" not in name:  # weights, shards or their index
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pretrained.folder / name, target)
    state = encoder.model.text.network.state_dict()
    tensors = {name: value.contiguous().cpu() for name, value in state.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def _write_record(folder: Path, corpus: str, task: Task, state: RunState) -> None:
    base = read_record(paths.pretrained(corpus, "text"))
    provenance = base.model_copy(
        update={
            "revision": f"{base.revision}, fine-tuned on {corpus}",
            "description": f"{base.description} Fine-tuned on the train split of {corpus}.",
        }
    )
    finetuned = FinetunedRecord(
        corpus=corpus,
        settings={
            "finetune": task.settings.model_dump(),
            "text": task.text.model_dump(),
            "compute": _arithmetic(task.compute),
            "versions": _versions(task.settings),
        },
        epoch=state.best_epoch,
        history=tuple({n: float(f"{v:.6g}") for n, v in row.items()} for row in state.history),
    )
    write_record(folder, record_of(folder, provenance, finetuned))


def _scores(examples: Examples, probabilities: np.ndarray) -> dict[str, Any]:
    """Weighted F1, macro F1, accuracy and F1 by class on validation, in percent."""
    report = classification_report(
        [e.label for e in examples.valid],
        probabilities.argmax(1),
        labels=range(len(examples.classes)),
        output_dict=True,
        zero_division=0,
    )

    def percent(share: float) -> float:
        return round(100 * share, 2)

    return {
        "weighted_f1": percent(report["weighted avg"]["f1-score"]),
        "macro_f1": percent(report["macro avg"]["f1-score"]),
        "accuracy": percent(report["accuracy"]),
        "f1": {
            name: percent(report[str(number)]["f1-score"])
            for number, name in enumerate(examples.classes)
        },
    }
