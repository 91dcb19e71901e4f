"""Small predictions and what they are made from, without any network."""

import numpy as np

from pipeline.prediction.predicted import Predicted
from pipeline.records.manifest import Segment, Utterance

CLASSES = ("calm", "angry", "$x$")
GONE = Segment("no_clip", missing="no_clip")


def predicted(*dialogues: int, classes: tuple[str, ...] = CLASSES) -> Predicted:
    """Dialogues of so many turns by two speakers; every third turn lacks audio."""
    rows = [
        Utterance(f"d{d}_{turn}", f"a/d{d}", turn, f"s{turn % 2}", f"text, {turn}", GONE, GONE)
        for d, turns in enumerate(dialogues)
        for turn in range(turns)
    ]
    count = len(rows)
    shares = np.random.default_rng(1).dirichlet(np.ones(len(classes)), count).astype(np.float32)
    audio = np.arange(count) % 3 != 0
    return Predicted(classes, rows, {"text": np.ones(count, bool), "audio": audio}, shares)
