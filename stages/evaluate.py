"""Epoch predictions to figures: predictions, metrics, tables for plots, pictures."""

from collections.abc import Mapping, Sequence

import pandas as pd

from pipeline.base import paths
from pipeline.base.display import say, write_csv
from pipeline.base.files import write_text
from pipeline.base.params import Params
from pipeline.base.progress import track
from pipeline.base.stage import run
from pipeline.evaluation import pictures, tables
from pipeline.evaluation.baselines import (
    chosen_baselines,
    fit_baselines,
    pool_folds,
    predict_finetuned_head,
)
from pipeline.evaluation.evaluate import collect_predictions, metrics
from pipeline.evaluation.scores import reliability
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.slices import slices
from pipeline.evaluation.summary import about_run, headline, read_ledgers
from pipeline.records.epochs import EpochPrediction, read_epochs
from pipeline.records.features import Features, read_features
from pipeline.records.ledger import page
from pipeline.records.manifest import read_manifest
from pipeline.records.predictions import MODEL, ModelPredictions, Predictions, write_predictions
from pipeline.records.protocol import Protocol, read_protocol
from pipeline.systems.settings import ModelSettings


def work(params: Params, corpus: str) -> None:
    """Writes every file of results and prints the figures that count most."""
    protocol = read_protocol(paths.protocol(corpus))
    epochs = read_epochs(paths.epochs(corpus))
    modalities = params.of(ModelSettings, corpus).modalities
    stores: dict[str, Features] = {m: read_features(paths.features(corpus, m)) for m in modalities}
    baselines = predict_finetuned_head(paths.head(corpus), protocol, stores)
    baselines |= _baselines(corpus, protocol, stores, params.of(EvaluateSettings, corpus))
    predictions = collect_predictions(epochs, protocol, baselines)
    write_predictions(paths.predictions(corpus), predictions)
    _write_figures(corpus, predictions, epochs, protocol)
    _write_slices(corpus, predictions, protocol, stores)
    _write_history(corpus, epochs, protocol)
    _write_about(corpus, protocol, stores)
    say(headline(corpus))


def _baselines(
    corpus: str, protocol: Protocol, stores: Mapping[str, Features], settings: EvaluateSettings
) -> dict[str, ModelPredictions]:
    texts = {u.utterance: u.text for u in read_manifest(paths.manifest(corpus))}
    fits = fit_baselines(protocol, stores, texts, settings)
    chosen = chosen_baselines(protocol, texts, settings)
    for name in set(settings.baselines).difference(chosen):
        say(f"note: the baseline {name} is left out: no text of the train split holds a word")
    count = len(protocol.folds) * len(chosen)
    return pool_folds(track(fits, f"evaluate {corpus}, baselines", count))


def _write_figures(
    corpus: str, predictions: Predictions, epochs: Sequence[EpochPrediction], protocol: Protocol
) -> None:
    test_set, model = predictions.test_set, predictions.by_model[MODEL]
    assert model.probabilities is not None  # the model gives them
    figures = metrics(predictions, epochs, protocol)
    classes = tables.class_table(predictions)
    confusion = tables.confusion_table(test_set, model)
    bins = reliability(test_set.actual, model.probabilities)
    tables.write_json(paths.metrics(corpus, "metrics.json"), figures)
    for name, table in (("classes", classes), ("confusion", confusion), ("reliability", bins)):
        write_csv(paths.metrics(corpus, f"{name}.csv"), table)
    pictures.draw_f1(paths.metrics(corpus, "f1.png"), corpus, classes)
    pictures.draw_confusion(
        paths.metrics(corpus, "confusion.png"), corpus, confusion, protocol.classes
    )
    pictures.draw_reliability(
        paths.metrics(corpus, "reliability.png"), corpus, bins, figures["test"]["ece"]
    )


def _write_slices(
    corpus: str, predictions: Predictions, protocol: Protocol, stores: Mapping[str, Features]
) -> None:
    table = slices(predictions.test_set, predictions.by_model[MODEL], protocol.entries, stores)
    write_csv(paths.metrics(corpus, "slices.csv"), table)
    pictures.draw_slices(paths.metrics(corpus, "slices.png"), corpus, table)


def _write_history(corpus: str, epochs: Sequence[EpochPrediction], protocol: Protocol) -> None:
    history = pd.read_csv(paths.metrics(corpus, "history.csv"))
    curves = tables.f1_curves(history, epochs, protocol)
    write_csv(paths.metrics(corpus, "curves.csv"), curves)
    pictures.draw_history(paths.metrics(corpus, "history.png"), history, curves)


def _write_about(corpus: str, protocol: Protocol, stores: Mapping[str, Features]) -> None:
    ledgers = read_ledgers(corpus)
    about = about_run(corpus, protocol, stores, ledgers)
    tables.write_json(paths.metrics(corpus, "run.json"), about)
    write_text(paths.metrics(corpus, "ledger.md"), page(corpus, ledgers))


if __name__ == "__main__":
    run(work)
