"""`predict` on a conversation of the corpus gives the probabilities that were evaluated."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.params import read_params
from pipeline.corpora import meld
from pipeline.corpora.registry import CorpusSettings
from pipeline.records.epochs import read_epochs
from pipeline.records.manifest import Utterance
from tests.dag.clone import python

pytestmark = pytest.mark.slow

CORPUS, SYSTEM, SEED = "demo_meld", "mcn_cl", 2


def of_test(repository: Path) -> list[Utterance]:
    """The utterances of a dialogue of the test split, as the raw tree has them."""
    options = read_params(repository / "params.yaml").of(CorpusSettings, CORPUS).root
    raw = meld.read(repository / "data/raw" / CORPUS, options)
    tested = [u for u in raw.utterances if u.official_split == "test"]
    return [u for u in tested if u.dialogue == tested[0].dialogue]


def hand_over(raw: Path, utterances: list[Utterance], folder: Path) -> None:
    """Clips, speakers and words as a user would hand them over, under other names."""
    folder.mkdir()
    with (folder / "utterances.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "speaker", "text"])
        for u in utterances:
            shutil.copy(raw / u.video.path, folder / f"clip {u.turn}.mp4")
            writer.writerow([f"clip {u.turn}.mp4", u.speaker, u.text])


def entries(repository: Path) -> set[Path]:
    """What the clip cache has of the feature steps."""
    steps = ("frames", "visual", "audio", "text")
    return {p for step in steps for p in (repository / "data/cache" / step).glob("*/*/*")}


def test_predict_gives_the_probabilities_that_were_evaluated(
    reproduced: Path, tmp_path: Path
) -> None:
    utterances = of_test(reproduced)
    folder = tmp_path / "talk"
    hand_over(reproduced / "data/raw" / CORPUS, utterances, folder)
    checkpoint = f"models/checkpoints/{CORPUS}/{SYSTEM}/fold0-seed{SEED}.safetensors"
    before = entries(reproduced)
    words = ("predict", "--model", checkpoint, "--input", str(folder))
    done = python(reproduced, "pipeline", *words)
    assert done.returncode == 0, done.stderr
    assert entries(reproduced) == before != set(), "the clips were in the cache, by their content"
    table = pd.read_parquet(folder / "predictions/predictions.parquet")
    (known,) = (
        row
        for row in read_epochs(reproduced / f"data/epochs/{CORPUS}/{SYSTEM}.parquet")[0]
        if row.selected and row.split == "test" and row.seed == SEED
    )
    places = [known.utterances.index(u.utterance) for u in utterances]
    predicted = table.filter(like="probability of ").to_numpy()
    assert predicted.shape == (len(utterances), 7)
    assert np.abs(predicted - known.probabilities[places]).max() < 1e-5
    assert len(list((folder / "predictions/timelines").iterdir())) == 1
