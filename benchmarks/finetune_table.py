"""What a fine-tuning benchmark found, as a page and CSV: `python -m benchmarks.finetune_table`."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.finetune_found import Results
from benchmarks.finetune_lines import RARE, Reading, Truth, truth
from benchmarks.finetune_runs import Where, read
from pipeline.base.files import write_text
from pipeline.evaluation.intervals import Resampled, drawn, resampled
from pipeline.evaluation.scores import f1, weighted_f1
from pipeline.experiments.tables import markdown
from pipeline.finetuning.scores import figures

PAGE = "docs/experiments/meld-text-finetune.md"
COMMANDS = (
    "```sh",
    "python -m benchmarks.finetune_pack pack --csv DIR         # the folder with MELD's three CSVs",
    "python -m benchmarks.finetune_meld results --folder pack  # on a GPU; again: goes on",
    f"python -m benchmarks.finetune_table results {PAGE} --folder pack",
    "```",
)
PHASES = {
    "rate": "Learning rate",
    "context": "Context, at the best learning rate",
    "reading": "Speaker marks and pooling, with the context chosen by then",
    "options": "One option alone, on top of what was chosen",
    "together": "Options that helped, together",
    "final": "The final setting",
    "no context": "The final setting without context",
}


def page(reading: Reading, test: Truth) -> str:
    """The whole page in Markdown."""
    about = [row for row in reading.results.rows if "device" in row]
    lines = [
        "# Fine-tuning on real MELD text",
        "",
        *COMMANDS,
        "",
        "Written by the last of these commands; do not edit. Figures are on validation, in "
        "percent, unless a heading or row says otherwise: mean ± sample standard deviation over "
        "the seeds counted. Differences are over the seeds that both have, so a row with fewer "
        "seeds can have the higher mean and a negative difference; with 95 % intervals over "
        "resamples of whole dialogues, which know nothing of how many rows there are. *final* is "
        "what the first call had chosen, with more seeds; a later call, with more seeds of each "
        "context, may go on from another one. The figures are those of the encoder's own head, not "
        "of MCN-CL.",
        "",
        f"On {about[0]['device']}, torch {about[0]['torch']}, {about[0]['precision']} (on a GPU "
        "float32 means TF32 products), with kernels whose last bits may differ from run to run.",
    ]
    for phase, title in PHASES.items():
        contexts = reading.contexts(phase)
        for context in contexts:
            on = f", with {context}" if len(contexts) > 1 else ""
            lines += ["", f"## {title}{on}", "", *_variants(reading, phase, context)]
            if chosen := reading.runs(phase, context).get("chosen"):
                lines += ["", f"What was chosen: `{json.dumps(chosen[0]['text'])}`"]
    final = [rows for name, rows in reading.runs("final").items()]
    if final:
        settings = {**final[0][0]["text"], **final[0][0]["finetune"]}
        lines += ["", f"Settings: `{json.dumps(settings)}`"]
        lines += ["", "## Test, of the final setting alone", ""]
        lines += _tested(reading, final[0], test)
    lines += _gap(reading)
    return "\n".join(lines) + "\n"


def _variants(reading: Reading, phase: str, context: str) -> list[str]:
    found = list(reading.lines(phase, context))
    head = ["", "seeds", "weighted F1", "macro F1", *RARE]
    if any(line.differences for line in found):
        head += [f"less {reading.base(phase, context)[1]}: weighted F1", *RARE]
    cells = [line.cells() for line in found]
    return _table(head, [[*row, *[""] * (len(head) - len(row))] for row in cells])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return markdown(heads, rows, "|".join(["---:"] * (len(heads) - 1)))


def _tested(reading: Reading, rows: list[dict[str, Any]], test: Truth) -> list[str]:
    """Selected by validation, with intervals; and the epochs that test would have chosen."""
    arrays = reading.results.arrays
    every = [arrays[f"{row['run']}|test"].astype(np.float32) for row in rows]
    chosen = np.stack(
        [found[row["epoch"] - 1].argmax(1) for row, found in zip(rows, every, strict=True)]
    )
    counts = test.counts(chosen)
    draws = Resampled(counts.sum(1), drawn(counts, resampled(counts.shape[1])))
    seeds = 100 * weighted_f1(counts.sum(1))
    interval = draws.interval(weighted_f1)
    best = [
        max(figures(test.actual.tolist(), epoch, test.classes)["weighted_f1"] for epoch in found)
        for found in every
    ]
    lines = [
        [name, f"{found.value:.1f}", f"{found.low:.1f}-{found.high:.1f}"]
        for name, found in zip(test.classes, draws.by_class(f1), strict=True)
    ]
    ends = f"{interval.low:.1f}-{interval.high:.1f}"
    lines.append(["**weighted F1**", _mean_std(seeds), ends])
    lines.append(["weighted F1, epochs chosen on test", _mean_std(best), ""])
    return _table(["F1 on test, %", "mean of the seeds", "95 % by dialogue"], lines)


def _mean_std(values: Sequence[float] | np.ndarray) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"


def _gap(reading: Reading) -> list[str]:
    found = [row for row in reading.results.rows if row.get("phase") == "gap"]
    if not found:
        return []
    row = found[-1]
    words = {
        "seen": "train utterances, by the encoder that saw them",
        "unseen": f"train utterances, by {row['parts']} encoders that did not",
        "unseen_by_the_whole_head": "the same vectors, by the first encoder's head",
        "validation": "validation, by the first encoder",
        "probe_on_seen": "validation, by logistic regression on vectors of seen train utterances",
        "probe_on_unseen": "validation, by logistic regression on vectors of unseen ones",
    }
    lines = _table(
        ["weighted F1, %, seed 1", ""],
        [[text, f"{row[name]:.2f}"] for name, text in words.items()],
    )
    return ["", "## Features of utterances that were seen in training", "", *lines]


def table(reading: Reading) -> str:
    """Every variant as CSV."""
    file = io.StringIO(newline="")
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["phase", "context", "variant", "seeds", "weighted_f1", "std", "macro_f1", *RARE])
    for phase, context in ((p, c) for p in PHASES for c in reading.contexts(p)):
        for line in reading.lines(phase, context):
            values = [line.weighted_f1, line.deviation, line.macro_f1, *line.rare]
            rounded = [round(value, 2) for value in values]
            rows.writerow([phase, context, line.name, len(line.seeds), *rounded])
    return file.getvalue()


def main(
    results: Annotated[Path, typer.Argument(help="Of benchmarks.finetune_meld.")],
    out: Annotated[Path, typer.Argument(help="NAME.md; NAME.csv is written beside it.")],
    folder: Annotated[Path, typer.Option(help="Of benchmarks.finetune_pack: the CSVs.")],
    dialogues: Annotated[int, typer.Option(help="As the benchmark had it.")] = 0,
) -> None:
    """Writes page and table."""
    utterances, protocol = read(Where(folder, "cpu", "float32", dialogues))
    reading = Reading(Results(results), truth(utterances, protocol, "valid"))
    write_text(out, page(reading, truth(utterances, protocol, "test")))
    write_text(out.with_suffix(".csv"), table(reading))


if __name__ == "__main__":
    typer.run(main)
