"""What a report is written from: the files of results of one corpus, and its settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from pipeline.base import paths
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
    """The sections of params.yaml that decide what was run, for one corpus."""

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
    """All there is of one corpus.

    Attributes:
        corpus: Its name.
        generated: Whether the stage `demo` made it.
        settings: What decides the run.
        origin: Its reader, and whether it is meant to be the whole release.
        utterances: The manifest.
        protocol: Labels, folds and splits.
        metrics: metrics.json.
        about: run.json.
        tables: The CSVs beside it, by name: `COLUMNS`.
        predictions: Every model's, for the test utterances.
        ledgers: The problems that each stage met.
    """

    corpus: str
    generated: bool
    settings: Settings
    origin: Origin
    utterances: Sequence[Utterance]
    protocol: Protocol
    metrics: Mapping[str, Any]
    about: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    predictions: Predictions
    ledgers: Mapping[str, Sequence[Problem]]

    @property
    def reader(self) -> Reader:
        """What is known of the corpus."""
        return READERS[self.origin.reader]

    @property
    def best_baseline(self) -> list[str]:
        """The baseline with the highest weighted F1 on test; none where none was run."""
        found = self.metrics["baselines"]
        return sorted(found, key=lambda name: -found[name]["weighted_f1"])[:1]


def read_results(params: Params, corpus: str) -> Results:
    """Reads all of a corpus' results.

    Raises:
        PipelineError: params.yaml does not know the corpus, or a file is absent or not readable.
    """
    settings = _settings(params, corpus)
    about = _json(paths.metrics(corpus, "run.json"))
    return Results(
        corpus=corpus,
        generated="demo" in params.blocks[corpus],
        settings=settings,
        origin=read_origin(paths.manifest(corpus)),
        utterances=read_manifest(paths.manifest(corpus)),
        protocol=read_protocol(paths.protocol(corpus)),
        metrics=_json(paths.metrics(corpus, "metrics.json")),
        about=about,
        tables={name: _csv(paths.metrics(corpus, f"{name}.csv"), name) for name in COLUMNS},
        predictions=read_predictions(paths.predictions(corpus)),
        ledgers={stage: read_ledger(paths.ledger(corpus, stage)) for stage in about["ledger"]},
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
        raise PipelineError(f"{path} is not JSON: {error}. Delete it, `dvc repro`.") from error
    return content


def _csv(path: Path, name: str) -> pd.DataFrame:
    try:
        # A speaker may be called NA: only an empty cell is an absent figure.
        table = pd.read_csv(
            path, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""]
        )
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise PipelineError(f"{path} is not a CSV: {error}. Delete it, `dvc repro`.") from error
    lacking = [column for column in COLUMNS[name] if column not in table]
    if lacking:
        raise PipelineError(
            f"{path} has the columns {list(table.columns)} and lacks {lacking}, written by another "
            "version; `dvc repro` writes it again."
        )
    return table


def _missing(path: Path) -> PipelineError:
    return PipelineError(f"{path} is missing: run `dvc repro` first.")
