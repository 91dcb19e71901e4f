"""What was measured: the key figures, the figures of all models, F1 by class, and each fold."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.evaluation.intervals import caution
from pipeline.records.predictions import MODEL, model_name
from pipeline.report import plots
from pipeline.report.blocks import Block, Figure, Figures, Row, Section, Table, Text, Tile, Tiles
from pipeline.report.read import Results
from pipeline.report.words import (
    INTERVALS,
    MEASURES,
    interval,
    listed,
    many,
    number,
    records,
    spread,
    whole,
)

ON_VALIDATION = f"{MODEL}, validation-selected"
SHORT = {**MEASURES, "uar": "average recall"}
ON_TEST = f"{MODEL}, test-selected"


def lead(results: Results) -> tuple[Block, ...]:
    """What was run in a sentence, the key figures, and whether they say anything."""
    blocks: list[Block] = [Text(_sentence(results)), Tiles(tuple(_tiles(results)))]
    if results.generated:
        blocks.append(
            Text(
                f"`{results.corpus}` is a generated corpus: its signal is planted. The figures "
                "show that the pipeline works from end to end; they say nothing of the method.",
                strong=True,
            )
        )
    return tuple(blocks)


def _sentence(results: Results) -> str:
    seeds = results.predictions.by_model[MODEL].seeds
    folds = len(results.protocol.folds)
    pooled = f", the test splits of {many(folds, 'fold')} pooled" if folds > 1 else ""
    return (
        f"{MODEL} on {listed(results.settings.model.modalities)}: "
        f"{many(len(results.protocol.classes), 'class', 'es')} "
        f"({', '.join(results.protocol.classes)}), {many(len(seeds), 'seed')} "
        f"({', '.join(map(str, seeds))}){pooled}."
    )


def _tiles(results: Results) -> Iterator[Tile]:
    metrics, name = results.metrics, "weighted_f1"
    yield Tile(
        "Weighted F1 on test, epoch chosen on validation",
        spread(metrics["test"], name),
        f"95 % interval {interval(metrics['test'], name)}",
    )
    for best in results.best_baseline:
        beside = metrics["baselines"][best]
        yield Tile(
            f"Best baseline: {model_name(best)}",
            spread(beside, name),
            f"95 % interval {interval(beside, name)}",
        )
    yield Tile(
        "Weighted F1, epoch chosen on test",
        spread(metrics["test_selected"], name),
        "what most published tables print; nothing here is chosen by it",
    )
    test_set = results.predictions.test_set
    yield Tile(
        "Labelled test utterances",
        f"{len(test_set.utterances):,}",
        f"in {many(len(set(test_set.dialogues)), 'dialogue')}",
    )


def section(results: Results) -> Section:
    """All figures on the test split."""
    classes = results.tables["classes"]
    few = caution(len(set(results.predictions.test_set.dialogues)))
    blocks: list[Block] = [_overall(results.metrics, few), _by_class(classes)]
    blocks.append(Figures((_class_figure(classes), _overall_figure(results.metrics))))
    if "folds" in results.metrics:
        blocks.append(_folds(results.metrics["folds"]))
    return Section("results", "Results on the test split", tuple(blocks))


def _overall(metrics: Mapping[str, Any], few: str) -> Table:
    columns = {
        ON_VALIDATION: metrics["test"],
        ON_TEST: metrics["test_selected"],
        **{model_name(name): found for name, found in metrics["baselines"].items()},
    }
    rows = [
        Row((words, *(whole(found, name) for found in columns.values())), name == "weighted_f1")
        for name, words in MEASURES.items()
    ]
    chosen = ", ".join(
        f"{words} {spread(metrics['validation'], name)}" for name, words in MEASURES.items()
    )
    return Table(
        "Overall figures on test, in percent",
        ("", *columns),
        tuple(rows),
        "l" + "r" * len(columns),
        (
            f"{INTERVALS} Models are tested on the same utterances, so two whose intervals overlap "
            "may still differ: `python -m pipeline compare` tells.",
            "Validation-selected: each run's epoch is the one with the highest weighted F1 on the "
            "validation split, which test has no part in. Test-selected: the epoch that test would "
            "have chosen, which is too high by construction.",
            f"On the validation split, at the epochs it chose: {chosen}.",
            *([few] if few else []),
        ),
    )


def _by_class(classes: pd.DataFrame) -> Table:
    models = list(classes["model"].unique())
    rows = []
    for name, group in classes.groupby("class", sort=False):
        by_model = {row["model"]: row for row in records(group)}
        own = by_model[MODEL]
        beside = [number(by_model[m]["f1"]) for m in models if m != MODEL]
        cells = (number(own["precision"]), number(own["recall"]), whole(own, "f1"))
        rows.append(Row((str(name), f"{int(own['support']):,}", *cells, *beside)))
    others = [f"F1, {model_name(model)}" for model in models if model != MODEL]
    heads = ("class", "utterances", "precision", "recall", "F1", *others)
    return Table(
        f"By class: {ON_VALIDATION}, and the baselines' F1",
        heads,
        tuple(rows),
        "l" + "r" * (len(heads) - 1),
        (
            "Precision, recall and F1 are means over seeds; `classes.csv` holds those of the "
            "baselines as well. The F1 of a class with few utterances has a wide interval.",
        ),
    )


def _class_figure(classes: pd.DataFrame) -> Figure:
    names = {"class": "group", "f1": "value", "f1_low": "low", "f1_high": "high"}
    return Figure(
        name="f1",
        title="F1 by class with 95 % intervals",
        description="For each class a mark per model at its F1 in percent and a line over its "
        "interval; the table above holds the same figures.",
        png="f1.png",
        draw=lambda: plots.by_model(classes.rename(columns=names), "F1 (%)"),
    )


def _overall_figure(metrics: Mapping[str, Any]) -> Figure:
    models = {MODEL: metrics["test"], **metrics["baselines"]}
    rows = [
        {
            "group": words,
            "model": model,
            "value": found[name],
            "low": found.get(f"{name}_low", found[name]),
            "high": found.get(f"{name}_high", found[name]),
        }
        for name, words in SHORT.items()
        for model, found in models.items()
    ]
    return Figure(
        name="overall",
        title="Overall figures with 95 % intervals",
        description="For each overall figure a mark per model and a line over its interval; the "
        "first table holds the same figures.",
        png=None,
        draw=lambda: plots.by_model(pd.DataFrame(rows), "percent"),
    )


def _folds(folds: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        Row(
            (name, f"{found['utterances']:,}", *(spread(found, measure) for measure in MEASURES)),
        )
        for name, found in folds.items()
    ]
    return Table(
        f"By fold, each on its own test split: {ON_VALIDATION}",
        ("", "utterances", *MEASURES.values()),
        tuple(rows),
        "l" + "r" * (1 + len(MEASURES)),
        ("All other figures are of the folds' predictions pooled, each utterance tested once.",),
    )
