"""The demo corpora through their readers: what was written comes back, faults are in the ledger."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.corpora import iemocap, meld
from pipeline.corpora.inspect import inspected
from pipeline.corpora.reader import RawCorpus
from pipeline.demo import iemocap_plan
from pipeline.demo import meld as demo_meld
from pipeline.demo.iemocap_annotation import CLASSES
from pipeline.demo.settings import DemoSettings
from pipeline.demo.tree import write_tree
from pipeline.media.packets import Window
from pipeline.media.video import Wanted, sample_segments
from pipeline.records.manifest import Utterance
from tests.demo.conftest import SESSIONS
from tests.demo.conftest import SMALL as TINY

SMALL = TINY | {
    "workers": 2,
    "min_turns": 6,
    "max_turns": 7,
    "min_seconds": 0.6,
    "max_seconds": 0.9,
}
OPTIONS = iemocap.IemocapOptions(reader="iemocap", full=False, max_seconds=60, letterbox=112 / 480)


@pytest.fixture(scope="module")
def settings() -> DemoSettings:
    dialogues = SESSIONS | {"Session1": 2, "Session5": 2}
    return DemoSettings(layout="iemocap", dialogues=dialogues, fps=10, **SMALL)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(settings: DemoSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "IEMOCAP_full_release"
    write_tree(settings, folder)
    return folder


@pytest.fixture(scope="module")
def raw(root: Path) -> RawCorpus:
    return iemocap.read(root, OPTIONS)


@pytest.mark.slow
def test_what_was_planned_is_read(settings: DemoSettings, raw: RawCorpus) -> None:
    planned = {t.utterance: t for s in iemocap_plan.plan(settings) for t in s.annotation.turns}
    assert {u.utterance for u in raw.utterances} == set(planned)
    for u in raw.utterances:
        turn = planned[u.utterance]
        assert (u.text, u.emotion, u.session) == (turn.text, turn.code, u.dialogue[4])
        assert (u.video.start, u.video.end) == (turn.start, turn.end)
        votes = {v.rater: v.codes for v in u.votes}
        assert votes == {r.rater: [CLASSES[w] for w in r.labels] for r in turn.ratings}


def test_dialogues_keep_the_order_of_their_transcription(
    settings: DemoSettings, raw: RawCorpus
) -> None:
    planned = sorted(iemocap_plan.plan(settings), key=lambda s: s.annotation.dialogue)
    order = [t.utterance for s in planned for t in s.annotation.turns]
    assert [u.utterance for u in raw.utterances] == order
    starts = [u.video.start for u in raw.utterances]
    assert starts != sorted(starts)


def test_odd_lines_are_counted_by_kind(raw: RawCorpus) -> None:
    kinds = {kind for kind, number in raw.left_aside.items() if number}
    assert {
        "transcription lines without a turn's name",
        "transcription lines with XX in the turn's name",
        "transcription lines without times",
    } <= kinds
    assert not any("outside the grammar" in kind for kind in kinds)


def test_broken_sounds_are_in_the_ledger_and_nothing_else(
    workspace: Path, root: Path, raw: RawCorpus, settings: DemoSettings
) -> None:
    done, problems = inspected(raw.utterances, root, 60, "test")
    assert Counter((p.modality, p.kind) for p in problems) == {
        ("audio", "absent"): 1,
        ("audio", "empty"): 1,
    }
    dialogues = iemocap_plan.plan(settings)
    absent = [name for one in dialogues for name in one.absent]
    assert [p.utterance for p in problems if p.kind == "absent"] == absent
    for u in done:
        if u.audio.missing is None:
            assert u.audio.end == pytest.approx(u.video.end - u.video.start, abs=1e-3)  # type: ignore[operator]


def test_the_region_shows_whoever_speaks(root: Path, raw: RawCorpus) -> None:
    """The mouth moves in the speaker's half, and less in the listener's."""
    alone = [u for u in raw.utterances if not any(overlap(u, v) for v in raw.utterances)]
    assert len({u.utterance[-4] for u in alone}) == 2, "turns of both actors are looked at"
    ratios = [motion(root, u, own=True) / motion(root, u, own=False) for u in alone]
    assert np.median(ratios) > 1.5 and np.mean(np.array(ratios) > 1) > 0.8


def overlap(u: Utterance, v: Utterance) -> bool:
    assert u.video.end is not None and v.video.end is not None
    within = v.video.start < u.video.end and u.video.start < v.video.end
    return u.dialogue == v.dialogue and u is not v and within


def motion(root: Path, u: Utterance, *, own: bool) -> float:
    """Change from frame to frame in the lower half of the speaker's or of the other's region."""
    assert u.video.region is not None and u.video.end is not None
    left, *rest = u.video.region
    region = (left if own else 0.5 - left, *rest)
    window = Window(u.video.start, u.video.end, 60)
    ((_, frames),) = sample_segments(root / u.video.path, 6, [Wanted(window, region)])
    images = np.stack([f.image for f in frames]).astype(float)  # type: ignore[union-attr]
    lower = images[:, images.shape[1] // 2 :]
    return float(np.abs(np.diff(lower, axis=0)).max(axis=3).mean())


@pytest.mark.slow
def test_meld_comes_back_too(workspace: Path) -> None:
    dialogues = {"train": 2, "dev": 1, "test": 1}
    settings = DemoSettings(layout="meld", dialogues=dialogues, fps=10, **SMALL)  # type: ignore[arg-type]
    root = workspace / "MELD.Raw"
    write_tree(settings, root)
    options = meld.MeldOptions(reader="meld", full=False, max_seconds=60, test_twins="final")
    raw = meld.read(root, options)
    planned = demo_meld.plan(settings)
    texts = [
        turn.text
        for split in ("train", "dev", "test")
        for turn in planned[split].turns
        if turn not in planned[split].unannotated
    ]
    assert [u.text.replace("\u2019", "'") for u in raw.utterances] == texts
    _, problems = inspected(raw.utterances, root, 60, "test")
    assert Counter(p.kind for p in problems) == {"absent": 2, "truncated": 2, "no_audio": 2}
