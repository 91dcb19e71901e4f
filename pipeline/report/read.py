"""Read the results and settings of one corpus that a report is written from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base import paths
from pipeline.base.costs import Timing, read_timings
from pipeline.base.display import plain_cell
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.base.settings import MODALITIES, ComputeSettings
from pipeline.corpora.reader import Reader
from pipeline.corpora.registry import KNOWN
from pipeline.corpora.settings import ProtocolSettings
from pipeline.evaluation.evaluate import on_test
from pipeline.evaluation.slices import Presence, slices
from pipeline.evaluation.tables import COLUMNS, RUN, class_table, leaderboard
from pipeline.records.features import read_presence
from pipeline.records.foreign import read_foreign
from pipeline.records.ledger import Problem, counted, read_ledger
from pipeline.records.manifest import Origin, Utterance, read_manifest, read_origin
from pipeline.records.predictions import Predictions, SystemPredictions, read_systems
from pipeline.records.protocol import Entry, Protocol, counts, read_protocol
from pipeline.report.words import records
from pipeline.systems.registry import title

FOREIGN = "not run here"  # the fidelity of predictions that others made
LEDGERS = ("manifest", "frames", "audio")


@dataclass(frozen=True)
class SystemResults:
    """The results of one system.

    Attributes:
        name: Its name.
        about: Its row of the leaderboard, citation, commit and what was adapted.
        predictions: For the test utterances.
        metrics: Content of metrics.json; of a foreign system `test` alone.
        classes: See `tables.class_table`.
        slices: See `slices.slices`.
        settings: Its block of params.yaml; None if it is foreign.
        history: Losses by epoch; None where it was fitted at once, or is foreign.
        curves: F1 by epoch; likewise.
        timing: Of training and prediction; None if it was not trained here.
    """

    name: str
    about: Mapping[str, Any]
    predictions: SystemPredictions
    metrics: Mapping[str, Any]
    classes: pd.DataFrame
    slices: pd.DataFrame
    settings: Mapping[str, Any] | None
    history: pd.DataFrame | None
    curves: pd.DataFrame | None
    timing: Timing | None


@dataclass(frozen=True)
class Results:
    """All results of one corpus.

    Attributes:
        corpus: The corpus' name.
        generated: Whether the stage `demo` made it.
        protocol_settings: Its block `protocol`.
        compute: The block `compute`.
        origin: Its reader, and whether it should be the whole release.
        utterances: The manifest.
        protocol: Labels, folds and splits.
        predictions: Every system's predictions for the test utterances.
        leaderboard: See `tables.leaderboard`.
        reference: The title of the system that others are compared with.
        systems: Best first.
        left_out: Why, by title.
        features: Provenance of the stores, by modality in use.
        masked: Number of utterances without it, by modality in use.
        ledgers: Problems by stage.
    """

    corpus: str
    generated: bool
    protocol_settings: ProtocolSettings
    compute: ComputeSettings
    origin: Origin
    utterances: Sequence[Utterance]
    protocol: Protocol
    predictions: Predictions
    leaderboard: pd.DataFrame
    reference: str
    systems: Sequence[SystemResults]
    left_out: Mapping[str, str]
    features: Mapping[str, Mapping[str, Any]]
    masked: Mapping[str, int]
    ledgers: Mapping[str, Sequence[Problem]]

    @property
    def reader(self) -> Reader:
        """The corpus' reader."""
        return KNOWN[self.origin.reader]

    @property
    def dialogues(self) -> int:
        """Number of test dialogues."""
        return len(set(self.predictions.test_set.dialogues))

    def run(self) -> dict[str, Any]:
        """Content of run.json: what the figures were computed from."""
        by_fold = {f"fold {fold}": counts(self.protocol, fold) for fold in self.protocol.folds}
        return {
            "corpus": self.corpus,
            "labelled_utterances": by_fold if len(by_fold) > 1 else counts(self.protocol),
            "features": self.features,
            "masked": self.masked,
            "ledger": {stage: counted(problems) for stage, problems in self.ledgers.items()},
        }


def read_results(params: Params, corpus: str, foreign: Sequence[Path] = ()) -> Results:
    """Read all of a corpus' results.

    Args:
        params: Checked settings.
        corpus: Which.
        foreign: Files of predictions that others made; each is a system beside the others.

    Raises:
        PipelineError: params.yaml does not know the corpus, or a file is absent or unreadable.
    """
    protocol_settings = params.of(ProtocolSettings, corpus)
    predictions = _with(read_systems(corpus, params.systems), foreign)
    about, protocol = predictions.about, read_protocol(paths.protocol(corpus))
    board = leaderboard(predictions, params.reference)
    # Without those that are left out: what they would read may not be extracted.
    settings = [of.get("settings", {}) for of in about.values() if "left_out" not in of]
    used: list[str] = [
        m for m in MODALITIES if any(m in of.get("modalities", ()) for of in settings)
    ]
    stores = {m: read_presence(paths.features(corpus, m)) for m in used}
    present = {modality: there for modality, (_, there) in stores.items()}
    return Results(
        corpus=corpus,
        generated="demo" in params.blocks[corpus],
        protocol_settings=protocol_settings,
        compute=params.of(ComputeSettings),
        origin=read_origin(paths.manifest(corpus)),
        utterances=read_manifest(paths.manifest(corpus)),
        protocol=protocol,
        predictions=predictions,
        leaderboard=board,
        reference=title(params.reference),
        systems=[
            _system(corpus, predictions, row, protocol.entries, present) for row in records(board)
        ],
        left_out={of["title"]: of["left_out"] for of in about.values() if "left_out" in of},
        features={modality: provenance for modality, (provenance, _) in stores.items()},
        masked={m: sum(not there for there in of.values()) for m, of in present.items()},
        ledgers={stage: read_ledger(paths.ledger(corpus, stage)) for stage in LEDGERS},
    )


def _with(predictions: Predictions, foreign: Sequence[Path]) -> Predictions:
    """Add the predictions of files, and the titles of all systems."""
    about = {name: {"title": title(name), **facts} for name, facts in predictions.about.items()}
    by_system = dict(predictions.by_system)
    for number, path in enumerate(foreign):
        name = f"foreign{number}"  # an id in the page, where a file may be called anything
        by_system[name] = read_foreign(path, predictions.test_set)
        taken = {facts["title"] for facts in about.values()}
        called = f"{path} ({number + 1})" if path.name in taken else path.name
        about[name] = {"title": called, "fidelity": FOREIGN}
    return replace(predictions, by_system=by_system, about=about)


def _system(
    corpus: str,
    predictions: Predictions,
    row: Mapping[str, Any],
    entries: Sequence[Entry],
    present: Mapping[str, Presence],
) -> SystemResults:
    name = row["system"]
    about = {**predictions.about[name], **row}
    settings = about.get("settings")
    test_set, of_system = predictions.test_set, predictions.by_system[name]
    history = curves = None
    if settings is None:
        metrics = {"test": on_test(test_set, of_system)}
        parts = slices(test_set, of_system, entries, present)
    else:
        metrics = _json(paths.metrics(corpus, name, "metrics.json"))
        parts = _table(corpus, name, "slices")
        losses = _csv(paths.metrics(corpus, name, "history.csv"), RUN)
        if len(losses) and losses["epoch"].max() > 1:
            history, curves = losses, _table(corpus, name, "curves")
    return SystemResults(
        name=name,
        about=about,
        predictions=of_system,
        metrics=metrics,
        classes=class_table(test_set, of_system),
        slices=parts,
        settings=settings,
        history=history,
        curves=curves,
        timing=read_timings(corpus).get(name),
    )


def _json(path: Path) -> dict[str, Any]:
    with _results(path):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _table(corpus: str, system: str, name: str) -> pd.DataFrame:
    return _csv(paths.metrics(corpus, system, "tables", f"{name}.csv"), COLUMNS[name])


def _csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    with _results(path):
        # A speaker may be called NA or 7: only an empty cell means a missing figure.
        table = pd.read_csv(path, dtype={"slice": str}, keep_default_na=False, na_values=[""])
        if missing := [column for column in columns if column not in table]:
            raise ValueError(f"it has the columns {list(table.columns)} and lacks {missing}")
    if "slice" in table:
        table["slice"] = table["slice"].map(plain_cell)
    return table


@contextmanager
def _results(path: Path) -> Iterator[None]:
    """Turn what may be wrong with a file of results into one kind of error."""
    try:
        yield
    except FileNotFoundError as error:
        raise PipelineError(f"{path} is missing: run `dvc repro` first.") from error
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: {error}. Delete it and run `dvc repro`.") from error
