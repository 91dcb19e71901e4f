"""What reads fine-tuned features best: `python -m benchmarks.finetune_heads OUT.md PREDICTIONS...`.

Each table of predictions is of one fine-tuned encoder: its own head, MCN-CL and logistic regression
on the same features. Pooled over encoders, each less the head, by resamples of whole dialogues.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.finetune_lines import RARE, measures
from pipeline.base.files import write_text
from pipeline.evaluation.finetuned import NAME
from pipeline.evaluation.intervals import Interval, Resampled, difference, drawn, resampled
from pipeline.evaluation.scores import confusions
from pipeline.experiments.pairing import apart
from pipeline.experiments.tables import markdown
from pipeline.records.predictions import MODEL, Predictions, model_name, read_predictions

READERS = (NAME, MODEL, "logistic_regression")
PAGE = "docs/experiments/meld-text-finetune-heads.md"
HEAD = f"""# What reads fine-tuned features best, on real MELD text

```sh
for seed in 1 2 3 4 5; do     # params.yaml with corpora: [meld_text], after `make meld-text`
  python -m benchmarks.finetune_store results final $seed
  python -m stages.train meld_text && python -m stages.evaluate meld_text
  cp data/predictions/meld_text.parquet predictions-$seed.parquet
done
python -m benchmarks.finetune_heads {PAGE} predictions-*.parquet
```

Written by the last of these commands; do not edit. `results` are those of
[the table of options](meld-text-finetune.md): encoders of its final setting, one per seed. Test, in
percent; intervals hold 95 % of 2,000 resamples of the test dialogues, differences are paired and
averaged over encoders."""


def pooled(tables: Sequence[Predictions]) -> dict[str, np.ndarray]:
    """[run, dialogue, actual, predicted] of each reader, the runs of one encoder after another.

    Raises:
        SystemExit: The tables are not of the same utterances and labels.
    """
    tested = tables[0].tested
    for table in tables:
        if table.tested.utterances != tested.utterances or apart(tested, table.tested):
            raise SystemExit("the tables are not of the same utterances and labels")
    found: dict[str, list[np.ndarray]] = {name: [] for name in READERS}
    for table in tables:
        for name, counts in found.items():
            said = table.said[name].predicted
            counts.append(confusions(tested.actual, said, tested.clusters, len(tested.classes)))
    return {name: np.concatenate(counts) for name, counts in found.items()}


def rows(counts: Mapping[str, np.ndarray], classes: Sequence[str]) -> list[list[str]]:
    """A line for each reader."""
    head = counts[NAME]
    weights = resampled(head.shape[1])
    scores, lines = measures(classes), []
    for name, mine in counts.items():
        draws = Resampled(mine.sum(1), drawn(mine, weights))
        own = [_cell(draws.interval(score)) for score in scores]
        less = [
            "" if name == NAME else str(difference(mine, head, weights, score)) for score in scores
        ]
        lines.append([model_name(name), str(len(mine)), *own, *less])
    return lines


def _cell(found: Interval) -> str:
    return f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"


def page(tables: Sequence[Predictions]) -> str:
    """The whole page."""
    heads = ["", "runs", "weighted F1", *RARE, "less the encoder alone: weighted F1", *RARE]
    body = rows(pooled(tables), tables[0].tested.classes)
    return "\n".join([HEAD, "", *markdown(heads, body, "|".join(["---:"] * 7)), ""])


def main(
    out: Annotated[Path, typer.Argument(help="A page in Markdown.")],
    predictions: Annotated[list[Path], typer.Argument(help="A table of each encoder.")],
) -> None:
    """Writes the page."""
    write_text(out, page([read_predictions(path) for path in predictions]))


if __name__ == "__main__":
    typer.run(main)
