"""What was predicted of a conversation: a table as CSV and Parquet, and what was wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.base.display import write_csv
from pipeline.base.tables import write_table
from pipeline.records.ledger import Problem
from pipeline.records.manifest import Utterance
from pipeline.records.predictions import PROBABILITY

VERSION = "predicted/1"
PRESENT = "modalities present"


@dataclass(frozen=True)
class Predicted:
    """A conversation and what the model says of it.

    Attributes:
        classes: Names by class number.
        utterances: Dialogue by dialogue.
        present: [utterance] bool, by modality that the model reads.
        probabilities: [utterance, class] float32.
    """

    classes: tuple[str, ...]
    utterances: Sequence[Utterance]
    present: Mapping[str, np.ndarray]
    probabilities: np.ndarray

    @property
    def labels(self) -> list[str]:
        """[utterance] name of the most probable class."""
        return [self.classes[number] for number in self.probabilities.argmax(axis=1)]

    @property
    def modalities(self) -> list[str]:
        """[utterance] what is there of it, in words."""
        return [self._there(place) or "none" for place in range(len(self.utterances))]

    def missing(self, place: int) -> list[str]:
        """The modalities that an utterance lacks."""
        return [modality for modality, there in self.present.items() if not there[place]]

    def _there(self, place: int) -> str:
        return ", ".join(modality for modality, there in self.present.items() if there[place])

    def dialogues(self) -> list["Predicted"]:
        """Each dialogue by itself."""
        found, begin = [], 0
        for _, group in groupby(self.utterances, key=lambda u: u.dialogue):
            part = slice(begin, begin + len(list(group)))
            present = {modality: there[part] for modality, there in self.present.items()}
            found.append(
                Predicted(self.classes, self.utterances[part], present, self.probabilities[part])
            )
            begin = part.stop
        return found


def write_predicted(folder: Path, predicted: Predicted, about: Mapping[str, Any]) -> None:
    """Writes predictions.csv and predictions.parquet.

    Args:
        folder: Where to.
        predicted: What they hold, a row per utterance.
        about: Whose predictions these are; JSON can hold it.
    """
    table = _table(predicted)
    write_table(folder / "predictions.parquet", table, VERSION, dict(about))
    write_csv(folder / "predictions.csv", table.to_pandas(), "%.6f")


def write_problems(folder: Path, problems: Sequence[Problem]) -> None:
    """Writes ledger.csv: utterance, modality, kind and detail of all that was wrong."""
    columns = ["utterance", "modality", "kind", "detail"]
    write_csv(folder / "ledger.csv", pd.DataFrame([vars(p) for p in problems], columns=columns))


def _table(predicted: Predicted) -> pa.Table:
    rows = predicted.utterances
    texts = {
        "dialogue": [u.dialogue for u in rows],
        "utterance": [u.utterance for u in rows],
        "turn": pa.array([u.turn for u in rows], pa.int32()),
        "speaker": [u.speaker for u in rows],
        "text": [u.text for u in rows],
        PRESENT: predicted.modalities,
        "predicted": predicted.labels,
    }
    shares = {
        f"{PROBABILITY}{name}": pa.array(predicted.probabilities[:, number], pa.float32())
        for number, name in enumerate(predicted.classes)
    }
    return pa.table({**texts, **shares})
