"""A feature step on its own: what it writes where, and what its store says of itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.features.text import extract as text
from pipeline.features.text.turns import Turn
from pipeline.records.features import read_features
from pipeline.records.manifest import Origin, write_manifest
from pipeline.weights.folder import Encoder
from tests.conftest import ROOT
from tests.features.text.test_extract import said

CORPUS = "demo_meld"
ENCODER = Encoder("tiny", "text", "BertModel", "1", "MIT", Path("nowhere"), {"model": "a" * 64})


class Lengths:
    """Lengths of texts as features."""

    def encode(self, turns: Sequence[Turn]) -> Iterator[tuple[int, np.ndarray]]:
        for place, turn in enumerate(turns):
            yield place, np.array([len(turn.text), 1], np.float32)


def test_what_has_no_words_has_no_text(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "network", lambda *_: Lengths())
    monkeypatch.setattr(text, "load", lambda folder: ENCODER)
    where = places(CORPUS)
    rows = [said(0, "one"), said(1, " \t"), said(2, ""), said(3, "three")]
    write_manifest(where.manifest, rows, Origin("meld", False))
    params = read_params(ROOT / "params.yaml")
    text.extract(params, CORPUS, where)
    store = read_features(where.stores["text"])
    assert store.utterances == ["d0", "d1", "d2", "d3"]
    assert store.present.tolist() == [True, False, False, True]
    assert store.values.tolist() == [[3, 1], [5, 1]]
    assert store.provenance == {**text.about(params, CORPUS, where), "dimension": 2}
    assert store.provenance["encoder"]["licence"] == "MIT"
