"""What was predicted of a conversation: a table as CSV and Parquet, and what was wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class Predicted:
    """A conversation and its predictions.

    Attributes:
        classes: Names by class number.
        utterances: Dialogue by dialogue.
        present: [utterance] bool, by modality that the system reads.
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

    def missing(self, place: int) -> list[str]:
        """The modalities that an utterance lacks."""
        return [modality for modality, there in self.present.items() if not there[place]]

    def dialogues(self) -> Iterator["Predicted"]:
        """Each dialogue by itself."""
        begin = 0
        for _, group in groupby(self.utterances, key=lambda u: u.dialogue):
            part = slice(begin, begin + len(list(group)))
            present = {modality: there[part] for modality, there in self.present.items()}
            yield Predicted(self.classes, self.utterances[part], present, self.probabilities[part])
            begin = part.stop


def write_predicted(
    folder: Path, predicted: Predicted, provenance: Mapping[str, Any], problems: Sequence[Problem]
) -> None:
    """Write predictions.csv, predictions.parquet, and what was wrong as ledger.csv."""
    rows, present = predicted.utterances, predicted.present.items()
    table = pa.table(
        {
            "dialogue": [u.dialogue for u in rows],
            "utterance": [u.utterance for u in rows],
            "turn": pa.array([u.turn for u in rows], pa.int32()),
            "speaker": [u.speaker for u in rows],
            "text": [u.text for u in rows],
            "modalities present": [
                ", ".join(m for m, there in present if there[place]) or "none"
                for place in range(len(rows))
            ],
            "predicted": predicted.labels,
            **{
                f"{PROBABILITY}{name}": pa.array(column, pa.float32())
                for name, column in zip(predicted.classes, predicted.probabilities.T, strict=True)
            },
        }
    )
    write_table(folder / "predictions.parquet", table, VERSION, dict(provenance))
    write_csv(folder / "predictions.csv", table.to_pandas(), "%.6f")
    columns = ["utterance", "modality", "kind", "detail"]
    write_csv(folder / "ledger.csv", pd.DataFrame([vars(p) for p in problems], columns=columns))
