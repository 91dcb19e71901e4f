"""Epoch predictions to figures: metrics, tables for plots, predictions, pictures."""

import pandas as pd

from pipeline import paths
from pipeline.evaluation import pictures, results
from pipeline.evaluation.curves import f1_curves
from pipeline.evaluation.evaluate import baseline_scores, metrics, selected_runs
from pipeline.evaluation.summary import about_run, read_ledgers, show
from pipeline.features import Features, read_features
from pipeline.files import write_text
from pipeline.ledger import page
from pipeline.manifest import read_manifest
from pipeline.params import Params
from pipeline.protocol import read_protocol
from pipeline.settings.evaluate import EvaluateSettings
from pipeline.settings.model import ModelSettings
from pipeline.stage import run
from pipeline.training.epochs import read_epochs


def work(params: Params, corpus: str) -> None:
    """Writes every file of results and prints the table."""
    protocol = read_protocol(paths.protocol(corpus))
    epochs = read_epochs(paths.epochs(corpus))
    modalities = params.of(ModelSettings, corpus).modalities
    stores: dict[str, Features] = {m: read_features(paths.features(corpus, m)) for m in modalities}
    texts = {u.utterance: u.text for u in read_manifest(paths.manifest(corpus))}
    settings = params.of(EvaluateSettings, corpus)
    found = metrics(epochs, protocol, baseline_scores(protocol, stores, texts, settings))
    test = selected_runs(epochs, protocol, "test")
    results.write_json(paths.metrics(corpus, "metrics.json"), found)
    ledgers = read_ledgers(corpus)
    about = about_run(corpus, protocol, stores, ledgers)
    results.write_json(paths.metrics(corpus, "run.json"), about)
    write_text(paths.metrics(corpus, "ledger.md"), page(corpus, ledgers))
    results.write_predictions(paths.predictions(corpus), test, protocol.classes)
    results.write_confusion(paths.metrics(corpus, "confusion.csv"), test, protocol.classes)
    results.write_f1(paths.metrics(corpus, "f1.csv"), found)
    pictures.draw_confusion(paths.metrics(corpus, "confusion.png"), corpus, test, protocol.classes)
    pictures.draw_f1(paths.metrics(corpus, "f1.png"), corpus, results.f1_table(found))
    history = pd.read_csv(paths.metrics(corpus, "history.csv"))
    curves = f1_curves(history, epochs, protocol)
    results.write_csv(paths.metrics(corpus, "curves.csv"), curves)
    pictures.draw_history(paths.metrics(corpus, "history.png"), history, curves)
    show(corpus)


if __name__ == "__main__":
    run(work)
