"""Epoch predictions of a system to its figures: predictions, metrics, tables."""

from typing import Any

import pandas as pd

from pipeline.base import paths
from pipeline.base.display import say, write_csv
from pipeline.base.files import replacing_folder, write_json
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.evaluation import tables
from pipeline.evaluation.evaluate import collect_predictions, labelled_test_set, metrics
from pipeline.evaluation.scores import reliability
from pipeline.evaluation.slices import slices
from pipeline.evaluation.summary import headline
from pipeline.records.epochs import read_epochs
from pipeline.records.features import read_presence
from pipeline.records.predictions import Predictions, write_predictions
from pipeline.records.protocol import read_protocol


def work(params: Params, corpus: str, system: str) -> None:
    """Write every file of a system's results and print the figures that count most."""
    rows, about = read_epochs(paths.epochs(corpus, system))
    protocol = read_protocol(paths.protocol(corpus))
    if why := about.get("left_out"):
        left_out = Predictions(labelled_test_set(protocol), {}, {system: about})
        _write(corpus, system, left_out, {"left_out": why}, {})
        say(f"{corpus}, {system}: left out, {why}")
        return
    test_set, predictions = collect_predictions(rows, protocol)
    assert predictions.probabilities is not None  # every epoch has them
    present = {
        modality: read_presence(paths.features(corpus, modality))[1]
        for modality in about["settings"]["modalities"]
    }
    history = pd.read_csv(paths.metrics(corpus, system, "history.csv"))
    figures = metrics(rows, protocol)
    written = {
        "confusion": tables.confusion_table(test_set, predictions),
        "classes": tables.class_table(test_set, predictions),
        "slices": slices(test_set, predictions, protocol.entries, present),
        "reliability": reliability(test_set.actual, predictions.probabilities),
        "curves": tables.f1_curves(history, rows, protocol),
    }
    of_system = Predictions(test_set, {system: predictions}, {system: about})
    _write(corpus, system, of_system, figures, written)
    say(headline(corpus, system, figures))


def _write(
    corpus: str,
    system: str,
    predictions: Predictions,
    figures: dict[str, Any],
    written: dict[str, pd.DataFrame],
) -> None:
    write_predictions(paths.predictions(corpus, system), predictions)
    write_json(paths.metrics(corpus, system, "metrics.json"), figures)
    with replacing_folder(paths.metrics(corpus, system, "tables")) as folder:
        for name, columns in tables.COLUMNS.items():
            table = written.get(name, pd.DataFrame(columns=columns))
            plotted = name in tables.PLOTTED
            file = (
                paths.metrics(corpus, system, f"{name}.csv") if plotted else folder / f"{name}.csv"
            )
            write_csv(file, table)


if __name__ == "__main__":
    run(work)
