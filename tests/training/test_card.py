"""Model cards: true to their facts, the same each time, and safe to show."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.base import paths
from pipeline.records.protocol import Entry
from pipeline.training.card import card
from pipeline.training.checkpoint import stated_system
from pipeline.training.train import train_system
from tests.synthetic import lay_out
from tests.systems.dialogues import settings_of
from tests.systems.zoo import shrunk
from tests.training.toy import toy

CHECKPOINT = Path("models/checkpoints/demo_x/mcn_cl/fold1-seed7.safetensors")
ENCODER = {
    "name": "some-bert",
    "architecture": "BertModel",
    "revision": "abc",
    "sha256": "d" * 64,
    "licence": "CC <BY>|4.0",
}
FACTS: dict[str, Any] = {
    "corpus": "demo_x",
    "classes": ["calm", "ang|ry"],
    "system": "mcn_cl",
    "settings": settings_of(context="gru").model_dump(exclude={"enabled", "workers"}),
    "shape": {"features": {"text": 4, "audio": 3}, "classes": 2, "speakers": 2},
    "sizes": {},
    "features": {
        "text": {"extractor": "text", "settings": {"pooling": "cls"}, "encoder": ENCODER}
        | {"dimension": 4},
        "audio": {"extractor": "opensmile", "settings": {"feature_set": "IS09", "level": "x"}}
        | {"dimension": 3, "versions": {"opensmile": "2.6"}},
    },
    "fold": 1,
    "seed": 7,
    "epoch": 3,
    "epochs": 5,
    "valid_weighted_f1": 61.2345,
}


def entry(split: str, number: int, speaker: str, label: int | None, fold: int = 1) -> Entry:
    return Entry(fold, split, f"{split}{number}", f"{split}{number}_0", speaker, label)


ENTRIES = [
    entry("train", 0, "Ann", 0, fold=0),
    entry("train", 0, "Ann", 0),
    entry("train", 1, "Bob", 1),
    entry("train", 2, "Bob", 1),
    entry("train", 3, "Cid", None),
    entry("valid", 0, "Cid", 1),
    entry("test", 0, "Ann", None),
    entry("test", 1, "Dora", None),
]


def made(**others: Any) -> str:
    return card(CHECKPOINT, {**FACTS, **others}, ENTRIES)


def test_counts_what_the_fold_holds() -> None:
    text = made()
    for row in (
        "| split | dialogues | speakers | utterances | labelled | calm | ang\\|ry |",
        "| train | 4 | 3 | 4 | 3 | 1 | 2 |",
        "| valid | 1 | 1 | 1 | 1 | 0 | 1 |",
        "| test | 2 | 2 | 2 | not read |  |  |",
    ):
        assert row in text.splitlines()
    assert "fold 1 of 2" in text
    assert "Of the 2 speakers of test, 1 also speak in train." in " ".join(text.split())


def test_says_what_computes_and_under_which_licence() -> None:
    text = made()
    digest = "d" * 64
    row = f"| text | `some-bert` | `abc` | `{digest}` | CC &lt;BY&gt;\\|4.0 | 4 |"
    assert row in text.splitlines()
    assert "| audio | `IS09 x` | `openSMILE 2.6` |  | openSMILE's own | 3 |" in text
    assert "no commercial use" in text
    alone = {"text": FACTS["features"]["text"]}
    shape = {**FACTS["shape"], "features": {"text": 4}}
    assert "commercial" not in made(features=alone, shape=shape)


def test_says_whether_other_turns_are_read() -> None:
    alone = "It looks at the utterance alone."
    assert alone not in made()
    assert alone in made(settings={**FACTS["settings"], "context": "none"})
    settings = shrunk("tfn", modalities=("text", "audio"))
    stated = settings.model_dump(exclude={"enabled", "workers"})
    assert alone in made(system="tfn", settings=stated)


def test_standardising_by_speaker_is_told_with_what_it_needs() -> None:
    assert "own mean and deviation" not in made()
    card = made(settings={**FACTS["settings"], "standardise": "speaker"})
    assert "hand over at least 8 utterances of a speaker" in card
    assert "evaluate`'s: `metrics/demo_x/mcn_cl/metrics.json`.\n\n## How" in made()


def test_every_parameter_is_counted_once() -> None:
    whole = sum(parameter.numel() for parameter in stated_system(FACTS).parameters())
    rows = [line for line in made().splitlines() if line.startswith("| ") and "," in line]
    assert f"| **all** | **{whole:,}** |" in rows
    text = made()
    table = text[text.index("| part |") : text.index("| **all**")].splitlines()[2:]
    counts = [int(row.split("|")[2].replace(",", "")) for row in table]
    assert sum(counts) == whole


@pytest.mark.parametrize(("corpus", "said"), [("demo_x", True), ("meld", False)])
def test_generated_data_is_told(corpus: str, said: bool) -> None:
    assert ("generated data" in made(corpus=corpus)) is said


def test_names_the_epoch_the_command_and_where_test_figures_are() -> None:
    text = made()
    assert "Epoch 3 of 5" in text and "61.23 %" in text
    assert f"python -m pipeline predict --model {CHECKPOINT} --input DIR" in text
    assert "`metrics/demo_x/mcn_cl/metrics.json`" in text


def test_training_writes_one_beside_each_checkpoint(workspace: Path) -> None:
    lay_out("toy")
    train_system(toy(seeds=(1,), epochs=1))
    text = (paths.checkpoints("toy", "mcn_cl") / "fold0-seed1.md").read_text()
    assert text.startswith("# Model card: `mcn_cl`, `toy`, fold 0, seed 1\n")
    assert "| train | 8 | 3 | 48 | 48 |" in text and "not read" in text
