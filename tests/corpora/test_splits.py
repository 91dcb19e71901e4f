"""Splits: no dialogue in two of them, the published folds, and no dependence on hash order."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.corpora.iemocap import COSMIC
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.registry import READERS
from pipeline.corpora.settings import ProtocolSettings
from pipeline.corpora.splits import Fold
from pipeline.corpora.splits import folds as folds_of
from pipeline.records.manifest import Segment, Utterance
from pipeline.records.protocol import Protocol
from tests.conftest import ROOT

LOSO = "leave_one_speaker_out"
GONE = Segment("x.avi", missing="absent")
IEMOCAP = READERS["iemocap"]


def folds(rows: list[Utterance], chosen: ProtocolSettings) -> list[Fold]:
    return folds_of(rows, chosen, IEMOCAP.validation)


def dialogue(name: str, turns: int = 2, session: str | None = None) -> list[Utterance]:
    session = name[4] if session is None else session
    return [
        Utterance(
            f"{name}_{'FM'[n % 2]}{n // 2:03}",
            name,
            n,
            f"Ses0{session}{'FM'[n % 2]}",
            "t",
            GONE,
            GONE,
            emotion=("neu", "sad")[n % 2],
            session=session,
        )
        for n in range(turns)
    ]


def corpus(per_session: int = 8, sessions: str = "12345") -> list[Utterance]:
    names = [f"Ses0{s}F_impro{n:02}" for s in sessions for n in range(per_session)]
    return [u for name in names for u in dialogue(name)]


def settings(splits: str = "session5", **more: object) -> ProtocolSettings:
    usual = {
        "label_set": "six",
        "label_policy": "erc7433",
        "unlabelled": "drop",
        "control": "none",
        "splits": splits,
    }
    return ProtocolSettings.model_validate({**usual, **more})


def of(found: dict[str, str], split: str) -> list[str]:
    return [name for name, s in found.items() if s == split]


def test_cosmics_dialogues_are_the_published_ones(shared: Path) -> None:
    assert list(COSMIC) == (shared / "iemocap_cosmic_valid.txt").read_text().split()


def test_cosmic_on_the_real_dialogues(shared: Path) -> None:
    lines = (shared / "iemocap_dialogues.txt").read_text().splitlines()
    names = [line.split("\t")[0] for line in lines]
    rows = [u for name in names for u in dialogue(name)]
    (found,) = folds(rows, settings(validation="cosmic"))
    assert {s: len(of(found, s)) for s in ("train", "valid", "test")} == {
        "train": 108,
        "valid": 12,
        "test": 31,
    }
    (last,) = folds(rows, settings(validation="last_20"))
    assert of(last, "valid") == [n for n in names if n[4] != "5"][-20:]


def test_cosmic_needs_its_dialogues() -> None:
    with pytest.raises(PipelineError, match=r"Ses01M_impro01.*last_20 or fraction"):
        folds(corpus(), settings(validation="cosmic"))


def test_the_last_twenty() -> None:
    rows = corpus(per_session=6)
    (found,) = folds(rows, settings(validation="last_20"))
    learnt = [name for name in found if name[4] != "5"]
    assert of(found, "valid") == learnt[-20:] and of(found, "train") == learnt[:4]
    with pytest.raises(PipelineError, match="from 20 dialogues"):
        folds(corpus(per_session=5), settings(validation="last_20"))


@given(fraction=st.floats(0.01, 0.9), seed=st.integers(0, 99), per_session=st.integers(2, 9))
def test_a_fraction_is_stratified_by_session(fraction: float, seed: int, per_session: int) -> None:
    chosen = settings(validation="fraction", valid_fraction=fraction, seed=seed)
    (found,) = folds(corpus(per_session), chosen)
    expected = max(1, round(fraction * per_session))
    assert Counter(name[4] for name in of(found, "valid")) == dict.fromkeys("1234", expected)
    assert {name[4] for name in of(found, "test")} == {"5"}


def test_another_seed_draws_others_and_a_new_dialogue_moves_few() -> None:
    chosen = settings(validation="fraction", valid_fraction=0.25)
    (one,) = folds(corpus(), chosen)
    (other,) = folds(corpus(), chosen.model_copy(update={"seed": 2}))
    assert of(one, "valid") != of(other, "valid")
    (more,) = folds(corpus() + dialogue("Ses01M_script01_1"), chosen)
    assert len(set(of(one, "valid")) - set(of(more, "valid"))) <= 1


def test_each_session_is_tested_on_once() -> None:
    chosen = settings("leave_one_session_out", validation="fraction", valid_fraction=0.25)
    found = folds(corpus(), chosen)
    assert len(found) == 5
    for number, fold in enumerate(found, start=1):
        assert {name[4] for name in of(fold, "test")} == {str(number)}
        assert len(of(fold, "valid")) == 8 and len(of(fold, "train")) == 24


def everyone(protocol: Protocol) -> dict[int, dict[str, set[str]]]:
    found: dict[int, dict[str, set[str]]] = {}
    for e in protocol.entries:
        found.setdefault(e.fold, {}).setdefault(e.dialogue, set()).add(e.split)
    return found


@pytest.mark.parametrize(
    "chosen",
    [
        settings(validation="fraction", valid_fraction=0.2),
        settings(validation="last_20"),
        settings("leave_one_session_out", validation="last_20"),
        settings("leave_one_session_out", validation="fraction", valid_fraction=0.3),
    ],
)
def test_no_dialogue_is_in_two_splits(chosen: ProtocolSettings) -> None:
    for fold in everyone(make_protocol(corpus(), chosen, IEMOCAP)).values():
        assert all(len(splits) == 1 for splits in fold.values()) and len(fold) == 40


def clips(speakers: int, each: int = 3) -> list[Utterance]:
    return [
        Utterance(name, name, 0, name[:4], "t", GONE, GONE, ("neu", "sad")[n % 2])
        for s in range(speakers)
        for n in range(each)
        for name in [f"{1000 + s}_{n}"]
    ]


@given(speakers=st.integers(3, 40), seed=st.integers(0, 50))
def test_no_speaker_is_in_two_splits(speakers: int, seed: int) -> None:
    chosen = settings("speakers", valid_fraction=0.15, test_fraction=0.25, seed=seed)
    entries = make_protocol(clips(speakers), chosen, IEMOCAP).entries
    split_of: dict[str, set[str]] = {}
    for e in entries:
        split_of.setdefault(e.speaker, set()).add(e.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    counts = Counter(splits.pop() for splits in split_of.values())
    assert counts["test"] == max(1, round(0.25 * speakers))
    assert counts["valid"] == max(1, round(0.15 * (speakers - counts["test"])))


def test_speakers_who_meet_cannot_be_kept_apart() -> None:
    rows = [u for s in "12345" for n in range(3) for u in dialogue(f"Ses0{s}F_impro0{n}", 2)]
    with pytest.raises(PipelineError, match="joins speakers of the splits"):
        folds(rows, settings("speakers", valid_fraction=0.3, test_fraction=0.3))


def test_each_speaker_is_tested_on_once_in_order_of_appearance() -> None:
    rows = clips(9)[::-1]
    found = folds(rows, settings(LOSO, valid_fraction=0.25))
    assert [{name[:4] for name in of(fold, "test")} for fold in found] == [
        {str(1000 + n)} for n in reversed(range(9))
    ]
    for fold in found:
        speakers = {split: {name[:4] for name in of(fold, split)} for split in ("train", "valid")}
        assert len(speakers["valid"]) == 2 and len(speakers["train"]) == 6
        assert not speakers["valid"] & speakers["train"] and len(fold) == len(rows)
    (least,) = {len(of(f, "valid")) for f in folds(rows, settings(LOSO, valid_fraction=0.01))}
    assert least == 3, "one speaker at least is validated on"


def test_speakers_who_meet_cannot_be_left_out_one_by_one() -> None:
    with pytest.raises(PipelineError, match="splits: leave_one_speaker_out suits corpora"):
        folds(corpus(), settings(LOSO, valid_fraction=0.3))
    with pytest.raises(PipelineError, match=r"the splits \['valid'\] of fold 0"):
        make_protocol(clips(2), settings(LOSO, valid_fraction=0.3), IEMOCAP)


def test_what_a_corpus_lacks_is_told() -> None:
    with pytest.raises(PipelineError, match="has no session; this corpus needs another value"):
        folds(clips(4), settings(validation="fraction", valid_fraction=0.2))
    with pytest.raises(PipelineError, match=r"splits \['test'\] of fold 0"):
        chosen = settings(validation="fraction", valid_fraction=0.2)
        make_protocol(corpus(sessions="123"), chosen, IEMOCAP)


@pytest.mark.slow
def test_nothing_depends_on_the_order_of_hashes() -> None:
    code = """
from tests.corpora.test_splits import *
chosen = [settings("leave_one_session_out", validation="fraction", valid_fraction=0.25)]
print([folds(corpus(), c) for c in chosen])
print(folds(clips(20), settings("speakers", valid_fraction=0.2, test_fraction=0.3)))
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(printed) == 1
