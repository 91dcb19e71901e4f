"""A step in shards: which rows, what is told of them, and when a cluster is asked at all."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.params import Params, read_params
from pipeline.base.paths import Places, places
from pipeline.executors.spread import FEWEST, Needs
from pipeline.features.common import shards as module
from pipeline.features.common.once import Failures
from pipeline.features.common.shards import Filled, Shard, Step, fill, fill_on_cluster, shards
from pipeline.features.one_shard import carry_out, part
from pipeline.records.manifest import (
    Origin,
    Segment,
    Utterance,
    dialogue_starts,
    stream_manifest,
    write_manifest,
)
from tests.conftest import PARAMS

CLIP = Segment("a.mp4", end=1.0, sha256="0" * 64)


def write(path: Path, lengths: Sequence[int]) -> list[Utterance]:
    """A manifest of dialogues of so many turns."""
    rows = [
        Utterance(f"d{d}_{turn}", f"d{d}", turn, "s", f"word {d} {turn}", CLIP, CLIP)
        for d, length in enumerate(lengths)
        for turn in range(length)
    ]
    write_manifest(path, rows, Origin("meld", full=False))
    return rows


@pytest.mark.slow
@given(lengths=st.lists(st.integers(1, 60), max_size=40))
def test_shards_are_all_rows_in_order_and_begin_with_a_dialogue(
    lengths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.parquet"
    rows = write(path, lengths)
    cut = shards(path)
    assert [number for one in cut for number in one] == list(range(len(rows)))
    assert {one.start for one in cut} <= set(dialogue_starts(path))
    assert all(len(one) >= FEWEST for one in cut[:-1])


@pytest.mark.slow
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=5),
    ends=st.tuples(st.integers(0, 900), st.integers(0, 900)),
)
def test_any_rows_of_a_manifest_can_be_read_alone(
    lengths: list[int], ends: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.parquet"
    rows = write(path, lengths)
    assert list(stream_manifest(path, range(*ends))) == rows[slice(*ends)]


@given(st.integers(0, 50), st.integers(1, 60))
def test_the_parts_of_a_scheduler_are_all_shards_once(shards: int, parts: int) -> None:
    cut = [range(number * 20, number * 20 + 20) for number in range(shards)]
    found = [row for number in range(parts) for row in part(cut, f"{number + 1}/{parts}")]
    assert found == list(range(20 * shards))


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "1", "a/b", "1/4/2", "-1/4", "1.0/2", ""])
def test_a_part_that_does_not_exist_is_refused(shard: str) -> None:
    with pytest.raises(PipelineError, match=r"--shard: got .*expected K/N with K from 1 to N"):
        part([range(20)], shard)


class Toy(Step):
    """Rows of which those with an even number fail, and none is made before it is asked for."""

    made: ClassVar[list[int]] = []
    folder = Path("cache/toy/1")

    def __init__(self, params: Params, corpus: str, places: Places, lacking: int = 100) -> None:
        self.needs, self._lacking = Needs("audio"), lacking
        self._failed: Failures = {}

    @property
    def failed(self) -> Failures:
        return self._failed

    def lacking(self) -> Iterator[str]:
        return map(str, range(self._lacking))

    def rows(self, wanted: range | None = None) -> Iterator[int]:
        for row in wanted or range(0):
            self.made.append(row)
            if row % 2 == 0:
                self.failed[str(row)] = MediaError("crashed", "it did")
            yield row


@pytest.fixture
def params(workspace: Path) -> Params:
    Path("params.yaml").write_text(PARAMS.read_text())
    Toy.made = []
    module._last = None
    where = places("demo_meld")
    where.manifest.parent.mkdir(parents=True)
    write(where.manifest, [7] * 12)
    return read_params()


def shard(params: Params, rows: range, folder: str = "") -> Shard:
    here = folder or str(Path("cache/toy/1").absolute())
    return Shard(Toy, params.only("demo_meld"), "demo_meld", here, rows)


def test_what_failed_is_told_once(params: Params) -> None:
    first, second = (list(fill(shard(params, rows))) for rows in (range(3), range(3, 6)))
    assert first[-1].rows == 3 and set(first[-1].failed) == {"0", "2"}
    assert set(second[-1].failed) == {"4"}, "by the step that was kept"
    assert Toy.made == list(range(6))


def test_entries_under_another_name_than_the_drivers_are_refused(params: Params) -> None:
    with pytest.raises(PipelineError, match="they differ in a setting, a library, an encoder"):
        list(fill(shard(params, range(3), "/cache/audio/other")))
    assert not Toy.made, "before anything is computed"


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> list[Shard]:
    """What is handed to a cluster, which fails at its first row."""
    monkeypatch.setenv("ERC_EXECUTOR", "ray")
    handed: list[Shard] = []

    def fake(work: Any, items: Sequence[Shard], needs: Needs) -> Iterator[Filled]:
        handed.extend(items)
        for item in items:
            key = str(item.rows.start)
            yield Filled(len(item.rows), {key: MediaError("hung", "it did")})

    monkeypatch.setattr(module, "spread", fake)
    return handed


def ask(params: Params, lacking: int, where: Places | None = None) -> Toy:
    step = Toy(params, "demo_meld", places("demo_meld"), lacking)
    fill_on_cluster(Toy, step, params, "demo_meld", where or places("demo_meld"))
    return step


def test_a_cluster_fills_all_shards_and_what_failed_there_is_not_tried_again(
    params: Params, spread: list[Shard]
) -> None:
    step = ask(params, FEWEST)
    cuts = [one.rows.start for one in spread]
    assert cuts == [0, 21, 42, 63] and spread[-1].rows.stop == 84
    assert {one.folder for one in spread} == {str(step.folder.absolute())}
    assert list(spread[0].params.blocks) == ["demo_meld"], "not all that params.yaml has"
    assert set(step.failed) == {"0", "21", "42", "63"}


def test_a_few_entries_are_not_worth_a_cluster(params: Params, spread: list[Shard]) -> None:
    """Clips that fail are lacking in every run."""
    ask(params, FEWEST - 1)
    assert spread == []


def test_a_conversation_in_a_folder_of_ones_own_is_not_sent_away(
    params: Params, spread: list[Shard], tmp_path: Path
) -> None:
    mine = places("demo_meld")
    ask(params, FEWEST, Places(**{**vars(mine), "manifest": tmp_path / "m.parquet"}))
    assert spread == []


def test_without_a_cluster_nothing_is_looked_for(
    params: Params, spread: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ERC_EXECUTOR")
    ask(params, FEWEST)
    assert spread == []


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("frame", "got the stage 'frame'; did you mean 'frames'"),
        ("text", "does not extract text"),
        ("audio", "manifests/demo_iemocap.parquet is missing"),
    ],
)
def test_a_shard_that_cannot_be_filled_is_refused_in_words(
    params: Params, stage: str, message: str
) -> None:
    corpus = "demo_meld" if stage == "text" else "demo_iemocap"
    block = params.blocks[corpus]
    extracted = {**block["extract"], "modalities": ["audio"]}
    params = Params(**{**vars(params), "blocks": {corpus: {**block, "extract": extracted}}})
    with pytest.raises(PipelineError, match=message):
        carry_out(params, corpus, stage, "1/2")
