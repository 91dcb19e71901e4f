"""Fine-tuning on real MELD text, the whole table of options: `python -m benchmarks.finetune_meld`.

Needs a folder of benchmarks.finetune_pack and nothing from the net. Writes every run as it ends, so
that nothing is lost when time is up, and goes on from what is there: `runs.jsonl`,
`probabilities.npz`, and of the final setting `vectors-NAME.npz`. Options are compared on validation
alone; test is predicted for the final setting, and nothing here looks at its labels.
benchmarks.finetune_table makes a page of it.
"""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.finetune_found import Results
from benchmarks.finetune_gap import GAP_PARTS, gap_row
from benchmarks.finetune_options import Phase, Variant, plan
from benchmarks.finetune_runs import Found, Job, Where, labelled, milliseconds, run, task_for
from pipeline.features.text.extract import window_of
from pipeline.finetuning.cross_fit import parts_of

# Shares of the time after which no run of a phase is started; each seed of all comes before the
# next one, so what is left out are seeds.
UNTIL = {
    "rate": 0.1,
    "context": 0.25,
    "reading": 0.35,
    "options": 0.68,
    "together": 0.75,
    "final": 1.0,
    "no context": 1.0,
}


class Runner:
    """Processes that share a device.

    Args:
        where: What they read, and on what they run.
        results: What is kept.
        processes: How many.
        minutes: From when it is made.
    """

    def __init__(self, where: Where, results: Results, processes: int, minutes: float) -> None:
        self.where, self.results, self.processes = where, results, processes
        self._start, self._seconds = time.monotonic(), 60 * minutes
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(processes, mp_context=context)

    def choose_precision(self, wanted: str) -> None:
        """Takes what is wanted, or the faster one; an earlier call's choice before all.

        A small network waits for its kernels to be launched, and lower precision has more of them.
        """
        cuda = self.where.device == "cuda"
        name = torch.cuda.get_device_name() if cuda else "CPU"
        row: dict[str, Any] = {"device": name, "torch": torch.__version__}
        before = [r["precision"] for r in self.results.rows if "precision" in r]
        if before or not cuda or wanted != "fastest":
            row["precision"] = before[0] if before else wanted if cuda else "float32"
        else:
            timed = {p: self._milliseconds(p) for p in ("float32", "bfloat16")}
            row |= {"milliseconds_a_step": timed, "precision": min(timed, key=timed.__getitem__)}
        print(row, flush=True)
        self.results.write(row)
        self.where = replace(self.where, precision=row["precision"])

    def _milliseconds(self, precision: str) -> float:
        where = replace(self.where, precision=precision)
        return round(self._pool.submit(milliseconds, where).result(), 2)

    def share_used(self) -> float:
        """Of the time."""
        return (time.monotonic() - self._start) / self._seconds

    def run(self, jobs: Sequence[Job], until: float) -> dict[str, Found]:
        """Runs what was not run before, in order, until so much of the time is used.

        Returns:
            What was found, by run.
        """
        waiting = []
        for job in jobs:
            if self.results.has(job):
                continue
            if known := self.results.of_same_settings(job):
                self.results.add(job, known)
            else:
                waiting.append(job)
        running: dict[Future[Found], Job] = {}
        found: dict[str, Found] = {}
        while running or (waiting and self.share_used() < until):
            while waiting and len(running) < self.processes and self.share_used() < until:
                job = waiting.pop(0)
                running[self._pool.submit(run, job, self.where)] = job
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(done)
                found |= self._taken(job, done)
        if waiting:
            print(f"time is up: {len(waiting)} runs of {waiting[0].phase} left out", flush=True)
        self.results.save()
        return found

    def _taken(self, job: Job, done: Future[Found]) -> dict[str, Found]:
        if (error := done.exception()) is not None:
            print(f"{job.key}: {type(error).__name__}: {error}", flush=True)
            self.results.write({"failed": job.key, "error": f"{type(error).__name__}: {error}"})
            return {}
        found = done.result()
        self.results.add(job, found)
        score = found.row.get("validation", {}).get("weighted_f1", float("nan"))
        print(f"{job.key}: {score:.2f}, {found.row['seconds']:.1f} s", flush=True)
        return {job.key: found}

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(cancel_futures=True)


def carry_out(runner: Runner, options: bool) -> None:
    """All phases, the final setting last."""
    for phase in plan(runner.results):
        until = UNTIL[phase.name]
        if until < 1 and not options:
            continue
        found = runner.run(
            [_job(phase, *pair) for pair in product(phase.seeds, phase.variants)], until
        )
        _keep_vectors(runner.results.folder, found)
        if phase.name == "final" and found:
            _gap(runner, phase, found)


def _job(phase: Phase, seed: int, variant: Variant) -> Job:
    """Test is predicted for the final setting alone; without context one seed's vectors do."""
    final = phase.name == "final"
    vectors = final or (phase.name == "no context" and seed == phase.seeds[0])
    return Job(phase.name, variant, seed, test=final, vectors=vectors)


def _keep_vectors(folder: Path, found: dict[str, Found]) -> None:
    """In half precision, with the head: what of a fine-tuned encoder fits into a small file."""
    for name, run_found in found.items():
        if "vectors" in run_found.arrays:
            phase, _, seed, _ = name.split("|")
            path = folder / f"vectors-{phase.replace(' ', '-')}-{seed}.npz"
            vectors, weight, bias = (
                run_found.arrays[n].astype(np.float16) for n in ("vectors", "weight", "bias")
            )
            np.savez(path, vectors=vectors, weight=weight, bias=bias)


def _gap(runner: Runner, phase: Phase, found: dict[str, Found]) -> None:
    """Cross-fits the first seed, and keeps how far seen train utterances differ from unseen."""
    (variant,) = phase.variants
    whole = found.get(_job(phase, phase.seeds[0], variant).key)
    if whole is None:
        return
    task = task_for(Job("", variant, phase.seeds[0]), runner.where)
    known = labelled(runner.where, window_of(task.text))
    parts = parts_of(known.dialogues, GAP_PARTS, phase.seeds[0])
    job = Job("cross-fit", variant, phase.seeds[0], epochs=whole.row["epoch"])
    named = [
        replace(job, left_out=part, variant=replace(variant, name=f"part {n}"))
        for n, part in enumerate(parts)
    ]
    done = runner.run(named, until=1.0)
    if len(done) == len(parts):
        by_part = [done[job.key] for job in named]
        runner.results.write({"phase": "gap", **gap_row(known, parts, whole, by_part)})


def main(
    out: Annotated[Path, typer.Argument(help="Where results are written.")],
    folder: Annotated[Path, typer.Option(help="Of benchmarks.finetune_pack.")],
    minutes: Annotated[float, typer.Option(help="Of everything.")] = 8.0,
    processes: Annotated[int, typer.Option(help="Runs at a time.")] = 8,
    precision: Annotated[
        str, typer.Option(help="float32 (TF32 on a GPU), bfloat16, or fastest: what is measured.")
    ] = "fastest",
    dialogues: Annotated[int, typer.Option(help="Of each split; 0: all.")] = 0,
    options: Annotated[bool, typer.Option(help="Else the final setting of what is there.")] = True,
) -> None:
    """Runs the table."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results = Results(out)
    runner = Runner(Where(folder, device, "float32", dialogues), results, processes, minutes)
    try:
        runner.choose_precision(precision)
        carry_out(runner, options)
    finally:
        results.save()
        runner.close()
    print(f"{len(results.rows)} lines in {out}, {100 * runner.share_used():.0f} % of the time")


if __name__ == "__main__":
    typer.run(main)
