"""Summary of a run: the table on the terminal, and run.json."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.base import paths
from pipeline.base.display import terminal
from pipeline.base.errors import PipelineError
from pipeline.evaluation.scores import OVERALL
from pipeline.records.features import Features
from pipeline.records.ledger import Problem, counted, read_ledger
from pipeline.records.predictions import MODEL, model_name
from pipeline.records.protocol import Protocol, counts

LEDGERS = ("manifest", "frames", "audio")


def read_ledgers(corpus: str) -> dict[str, list[Problem]]:
    """Read the problems met, by stage."""
    return {stage: read_ledger(paths.ledger(corpus, stage)) for stage in LEDGERS}


def about_run(
    corpus: str,
    protocol: Protocol,
    stores: Mapping[str, Features],
    ledgers: Mapping[str, Sequence[Problem]],
) -> dict[str, Any]:
    """Content of run.json: what the figures were computed from."""
    return {
        "corpus": corpus,
        "labelled_utterances": _by_fold(protocol),
        "features": {m: store.provenance for m, store in stores.items()},
        "masked": {m: int((~store.present).sum()) for m, store in stores.items()},
        "ledger": {stage: counted(problems) for stage, problems in ledgers.items()},
    }


def _by_fold(protocol: Protocol) -> dict[str, Any]:
    """Labelled utterances by split and class; by fold first if there are several."""
    by_fold = {f"fold {fold}": counts(protocol, fold) for fold in protocol.folds}
    return by_fold if len(by_fold) > 1 else counts(protocol)


def show(corpus: str, console: Console | None = None) -> None:
    """Print a corpus' results.

    Raises:
        PipelineError: There are none yet.
    """
    console = console or terminal()
    metrics, run = (_read(corpus, name) for name in ("metrics.json", "run.json"))
    console.print(_table(corpus, metrics))
    for modality, provenance in run["features"].items():
        console.print(
            f"  {modality}: {_source(provenance)}, {run['masked'][modality]} masked",
            soft_wrap=True,
        )
    console.print(
        "  mean ± std over seeds; 95 % intervals by resampling test dialogues",
        soft_wrap=True,
    )
    problems = {f"{s}: {k}": n for s, kinds in run["ledger"].items() for k, n in kinds.items()}
    listed = ", ".join(f"{kind} {count}" for kind, count in problems.items()) or "empty"
    console.print(f"  ledger: {listed}", soft_wrap=True)


def headline(corpus: str) -> str:
    """Weighted F1 on validation and test in one line."""
    metrics = _read(corpus, "metrics.json")
    splits = ("validation", "test")
    figures = ", ".join(f"{_cell(metrics[s], 'weighted_f1')} on {s}" for s in splits)
    return f"{corpus}: weighted F1 {figures}; `python -m pipeline summary {corpus}` prints the rest"


def _read(corpus: str, name: str) -> dict[str, Any]:
    path = paths.metrics(corpus, name)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing: run `dvc repro` first.") from error
    return content


def _table(corpus: str, metrics: Mapping[str, Any]) -> Table:
    columns = {
        f"{MODEL}\nvalidation-\nselected": metrics["test"],
        f"{MODEL}\ntest-\nselected": metrics["test_selected"],
        **{model_name(name): scores for name, scores in metrics["baselines"].items()},
    }
    table = Table(title=f"{corpus}: F1 on test, in percent", title_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True  # seven columns fit into 80 characters
    for head in ("", *columns):
        table.add_column(head, min_width=max(map(len, head.split()), default=0))
    for name in metrics["test"]["f1"]:
        table.add_row(name, *(_cell(c.get("f1", {}), name) for c in columns.values()))
    table.add_section()
    for name in OVERALL:
        table.add_row(name.replace("_", " "), *(_cell(c, name) for c in columns.values()))
        table.add_row("  95 %", *(_interval(c, name) for c in columns.values()), style="dim")
    return table


def _cell(summary: Mapping[str, Any], name: str) -> str:
    if name not in summary:
        return "-"
    deviation = summary.get(f"{name}_std")
    return f"{summary[name]:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")


def _interval(summary: Mapping[str, Any], name: str) -> str:
    """Interval by dialogue; test-selected epochs have none."""
    if f"{name}_low" not in summary:
        return ""
    return f"{summary[f'{name}_low']:.1f}-{summary[f'{name}_high']:.1f}"


def _source(provenance: Mapping[str, Any]) -> str:
    settings = provenance["settings"]
    if "encoder" not in provenance:
        return " ".join(settings[key] for key in ("feature_set", "level") if key in settings)
    kind = settings.get("layer") or settings.get("pooling") or settings.get("layers")
    if turns := settings.get("context_turns"):
        kind = f"{kind}, {turns} turns before"
    if turns := settings.get("context_turns_after"):
        kind = f"{kind}, {turns} after"
    if (marks := settings.get("speaker_marks", "none")) != "none":
        kind = f"{kind}, speakers' {marks}"
    encoder = provenance["encoder"]
    return f"{encoder['name']} ({encoder['revision']}), {kind}"
