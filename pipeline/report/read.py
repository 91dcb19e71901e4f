"""Read the results and settings of one corpus that a report is written from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from pipeline.base import paths
from pipeline.base.display import plain_cell
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import ComputeSettings
from pipeline.corpora.reader import Reader
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.records.ledger import Problem, read_ledger
from pipeline.records.manifest import Origin, Utterance, read_manifest, read_origin
from pipeline.records.predictions import Predictions, read_predictions
from pipeline.records.protocol import Protocol, read_protocol
from pipeline.systems.settings import LossSettings, ModelSettings
from pipeline.training.settings import TrainSettings

COLUMNS = {
    "classes": ("class", "model", "precision", "recall", "f1", "f1_low", "f1_high", "support"),
    "slices": (
        *("by", "slice", "utterances", "dialogues", "accuracy"),
        *("weighted_f1", "weighted_f1_low", "weighted_f1_high"),
    ),
    "reliability": ("low", "high", "confidence", "accuracy", "utterances"),
    "curves": ("fold", "seed", "epoch", "split", "weighted_f1"),
    "history": ("fold", "seed", "epoch", "train_total", "train_cross_entropy"),
}
WORDS = ("class", "model", "by", "slice", "split")


@dataclass(frozen=True)
class Settings:
    """The sections of params.yaml that define a run."""

    protocol: ProtocolSettings
    model: ModelSettings
    loss: LossSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    compute: ComputeSettings

    def sections(self) -> Mapping[str, BaseModel]:
        """Each section by its name."""
        return vars(self)


@dataclass(frozen=True)
class Results:
    """All results of one corpus.

    Attributes:
        corpus: The corpus' name.
        generated: Whether the stage `demo` made it.
        settings: Settings of the run.
        origin: Its reader, and whether it should be the whole release.
        utterances: The manifest.
        protocol: Labels, folds and splits.
        metrics: Content of metrics.json.
        run: Content of run.json.
        tables: The CSV files, by name: `COLUMNS`.
        predictions: Every model's predictions for the test utterances.
        ledgers: Problems by stage.
    """

    corpus: str
    generated: bool
    settings: Settings
    origin: Origin
    utterances: Sequence[Utterance]
    protocol: Protocol
    metrics: Mapping[str, Any]
    run: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    predictions: Predictions
    ledgers: Mapping[str, Sequence[Problem]]

    @property
    def reader(self) -> Reader:
        """The corpus' reader."""
        return READERS[self.origin.reader]

    @property
    def best_baseline(self) -> list[str]:
        """The baseline with the highest weighted F1 on test; empty if none was run."""
        baselines = self.metrics["baselines"]
        return sorted(baselines, key=lambda name: -baselines[name]["weighted_f1"])[:1]


def read_results(params: Params, corpus: str) -> Results:
    """Read all of a corpus' results.

    Raises:
        PipelineError: params.yaml does not know the corpus, or a file is absent or unreadable.
    """
    settings = _settings(params, corpus)
    run = _json(paths.metrics(corpus, "run.json"))
    return Results(
        corpus=corpus,
        generated="demo" in params.blocks[corpus],
        settings=settings,
        origin=read_origin(paths.manifest(corpus)),
        utterances=read_manifest(paths.manifest(corpus)),
        protocol=read_protocol(paths.protocol(corpus)),
        metrics=_json(paths.metrics(corpus, "metrics.json")),
        run=run,
        tables={name: _csv(paths.metrics(corpus, f"{name}.csv"), name) for name in COLUMNS},
        predictions=read_predictions(paths.predictions(corpus)),
        ledgers={stage: read_ledger(paths.ledger(corpus, stage)) for stage in run["ledger"]},
    )


def _settings(params: Params, corpus: str) -> Settings:
    return Settings(
        protocol=params.of(ProtocolSettings, corpus),
        model=params.of(ModelSettings, corpus),
        loss=params.of(LossSettings, corpus),
        train=params.of(TrainSettings, corpus),
        evaluate=params.of(EvaluateSettings, corpus),
        compute=params.of(ComputeSettings),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise PipelineError(
            f"{path} is not JSON: {error}. Delete it and run `dvc repro`."
        ) from error
    return content


def _csv(path: Path, name: str) -> pd.DataFrame:
    try:
        # A speaker may be called NA: only an empty cell means a missing figure.
        table = pd.read_csv(
            path, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""]
        )
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise PipelineError(
            f"{path} is not a CSV: {error}. Delete it and run `dvc repro`."
        ) from error
    for column in filter(set(table).__contains__, WORDS):
        table[column] = table[column].map(plain_cell, na_action="ignore")
    missing = [column for column in COLUMNS[name] if column not in table]
    if missing:
        raise PipelineError(
            f"{path} has the columns {list(table.columns)} and lacks {missing}: it was written by "
            "another version. Run `dvc repro`."
        )
    return table


def _missing(path: Path) -> PipelineError:
    return PipelineError(f"{path} is missing: run `dvc repro` first.")
