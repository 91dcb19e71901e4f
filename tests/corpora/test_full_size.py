"""Whole releases: generated IEMOCAP of the real size and shape, real MELD annotations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.corpora.iemocap import PUBLISHED, READER, IemocapOptions, read
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.published import differences, split_differences
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Utterance, read_manifest, read_origin
from pipeline.records.protocol import counts
from tests.conftest import PARAMS, ROOT
from tests.corpora.full_size import conversations, read_sizes, write_iemocap, write_meld
from tests.corpora.iemocap_tree import lay_out

OPTIONS = IemocapOptions(reader="iemocap", full=True, max_seconds=60, letterbox=0.25)


@pytest.fixture(scope="module")
def iemocap(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    sizes = read_sizes(shared / "iemocap_dialogues.txt")
    root = lay_out(tmp_path_factory.mktemp("iemocap"), list(conversations(sizes)))
    return read(root, OPTIONS).utterances


@pytest.mark.slow
def test_every_published_count_comes_out(iemocap: list[Utterance]) -> None:
    assert len(iemocap) == 10_039 and len({u.dialogue for u in iemocap}) == 151
    assert differences(iemocap, PUBLISHED) == []


@pytest.mark.parametrize(
    ("label_set", "policy", "validation", "labelled"),
    [
        ("six", "erc7433", "cosmic", 7433),
        ("six", "consensus", "cosmic", 7380),
        ("six", "erc7433", "last_20", 7433),
        ("four", "consensus", "cosmic", 5531),
        ("four_no_exc", "consensus", "cosmic", 4490),
        ("all", "consensus", "cosmic", 10_039 - 2507),
    ],
)
def test_the_published_labelled_utterances(
    iemocap: list[Utterance], label_set: str, policy: str, validation: str, labelled: int
) -> None:
    settings = ProtocolSettings(
        label_set=label_set,
        label_policy=policy,
        unlabelled="drop",
        control="none",
        splits="session5",
        validation=validation,  # type: ignore[arg-type]
    )
    protocol = make_protocol(iemocap, settings, READER)
    assert len(protocol.entries) == labelled
    published = settings.published(READER)
    assert bool(published) == (label_set != "all")
    assert split_differences(counts(protocol), published) == []
    kept = make_protocol(iemocap, settings.model_copy(update={"unlabelled": "context"}), READER)
    assert len(kept.entries) == 10_039 and counts(kept) == counts(protocol)


def test_sessions_of_the_four_class_task(iemocap: list[Utterance]) -> None:
    settings = ProtocolSettings(
        label_set="four",
        label_policy="consensus",
        unlabelled="drop",
        control="none",
        splits="leave_one_session_out",
        validation="last_20",
    )
    protocol = make_protocol(iemocap, settings, READER)
    assert protocol.folds == [0, 1, 2, 3, 4]
    tested = [sum(counts(protocol, fold)["test"].values()) for fold in protocol.folds]
    assert sum(tested) == 5531 and tested[4] == 1241


def test_a_difference_is_told_with_its_likely_cause(iemocap: list[Utterance]) -> None:
    lost = differences([u for u in iemocap if u.session != "3"], PUBLISHED)
    assert lost[0] == (
        "session 3: 0 dialogues (published 32), 0 utterances (published 2136). "
        "Likely: its folder or annotation is not there, unpacked incompletely"
    )
    assert "whole dialogues are not there" in lost[1], "the whole release"
    names = [u.dialogue for u in iemocap]
    one_less = [u for u in iemocap if u.dialogue != names[0]]
    assert "whole dialogues are not there" in differences(one_less, PUBLISHED)[0]
    edited = differences(iemocap[1:], PUBLISHED)
    assert edited[0].startswith(
        "session 1: 1818 utterances (published 1819). Likely: the dialogues"
    )


@pytest.mark.slow
def test_the_stage_on_whole_releases_with_stub_clips(workspace: Path, shared: Path) -> None:
    (workspace / "params.yaml").write_bytes(PARAMS.read_bytes())
    write_iemocap(workspace / "data/raw/iemocap", read_sizes(shared / "iemocap_dialogues.txt"))
    write_meld(workspace / "data/raw/meld", shared / "meld_csv")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for corpus, size in (("iemocap", 10_039), ("meld", 13_708)):
        printed = [
            subprocess.run(
                [sys.executable, "-m", f"stages.{stage}", corpus],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for stage in ("manifest", "protocol")
        ]
        assert "counts: as published" in printed[0] and "0 problems in the ledger" in printed[0]
        assert "not as published" not in printed[1]
        path = workspace / f"data/manifests/{corpus}.parquet"
        found = read_manifest(path)
        assert len(found) == size and read_origin(path).full
        assert all(u.video.missing is None and u.audio.missing is None for u in found)
