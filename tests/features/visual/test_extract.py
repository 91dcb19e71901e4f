"""The stream of pictures through a network: in order, whole batches, nothing twice, same bytes."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.random_network import random_network
from pipeline.base.cache import ClipCache
from pipeline.base.errors import PipelineError
from pipeline.features.common.images import encode_image
from pipeline.features.visual import stream as visual
from pipeline.features.visual.encoder import ImageEncoder
from pipeline.features.visual.plan import Row
from pipeline.features.visual.stream import visual_of
from pipeline.records.features import VECTORS
from pipeline.records.frames import Pictures

SIDE = 8


class CountingEncoder:
    """Mean grey level as the one feature; counts batches and pictures, which are never black."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.counts: list[int] = []
        self.unread = self.most_unread = 0

    def room(self) -> np.ndarray:
        return np.full((self.batch_size, SIDE, SIDE, 3), 77, np.uint8)

    def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        levels = batch.mean((1, 2, 3), dtype=np.float32)
        self.counts.append(int((levels > 0).sum()))
        self.unread += 1
        self.most_unread = max(self.most_unread, self.unread)
        return lambda: self._read(levels[:, None])

    def _read(self, vectors: np.ndarray) -> np.ndarray:
        self.unread -= 1
        return vectors


def grey(level: int) -> bytes:
    return encode_image(np.full((SIDE, SIDE, 3), level, np.uint8), "png", 95)


def row(name: str, *levels: int) -> Row:
    return name, Pictures([0.0] * len(levels), [], "one", [grey(level) for level in levels])


def found(
    rows: Sequence[Row], encoder: CountingEncoder, cache: ClipCache
) -> dict[str, list[float] | None]:
    """Vectors by utterance; counts of the encoder are those of this run."""
    encoder.counts = []
    vectors = dict(visual_of(lambda: iter(rows), encoder, cache))
    assert list(vectors) == [name for name, _ in rows]
    return {name: None if v is None else v[:, 0].tolist() for name, v in vectors.items()}


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache("visual", 1, VECTORS, tmp_path)


def test_vectors_go_to_their_utterance_in_whole_batches(cache: ClipCache) -> None:
    rows = [row(f"u{n}", *range(n + 1, n + 2 + n % 3)) for n in range(100)]
    rows[5] = ("u5", None)
    rows[99] = ("u99", None)
    encoder = CountingEncoder(batch_size=16)
    vectors = found(rows, encoder, cache)
    assert vectors["u5"] is None and vectors["u99"] is None
    for number in (0, 64, 98):
        assert vectors[f"u{number}"] == list(range(number + 1, number + 2 + number % 3))
    distinct = {image for _, p in rows if p for image in p.images}
    assert sum(encoder.counts) == len(distinct)
    assert encoder.counts[:-1] == [16] * (len(distinct) // 16)
    assert encoder.most_unread == visual.STARTED
    assert found(rows, encoder, cache) == vectors and not encoder.counts


def test_a_picture_is_computed_once_wherever_it_is(cache: ClipCache) -> None:
    rows = [
        row("pause", 1, 1, 2, 1),
        row("overlap", 2, 3),
        row("twin", 1, 1, 2, 1),
        row("of others", 3, 1),
        *(row(f"between {n}", 10 + n) for n in range(80)),
        row("late overlap", 3, 200, 12),
        row("late twin", 2, 3),
    ]
    encoder = CountingEncoder()
    vectors = found(rows, encoder, cache)
    assert vectors == {name: [float(v) for v in levels(p)] for name, p in rows}
    assert sum(encoder.counts) == 3 + 80 + 1


def levels(pictures: Pictures | None) -> list[int]:
    assert pictures is not None
    return [next(n for n in range(256) if grey(n) == image) for image in pictures.images]


def test_what_a_later_utterance_has_in_the_cache_is_not_computed(cache: ClipCache) -> None:
    encoder = CountingEncoder()
    found([row("later", 5, 6)], encoder, cache)
    vectors = found([row("new", 6, 7), row("later", 5, 6)], encoder, cache)
    assert vectors == {"new": [6, 7], "later": [5, 6]}
    assert encoder.counts == [1]


def test_one_new_utterance_costs_its_own_pictures(cache: ClipCache) -> None:
    rows = [row(f"u{n}", n + 1, n + 101) for n in range(90)]
    encoder = CountingEncoder()
    found(rows, encoder, cache)
    rows.insert(40, row("new", 250, 251))
    assert found(rows, encoder, cache)["new"] == [250, 251]
    assert encoder.counts == [2]


def test_few_utterances_wait_for_a_batch_that_does_not_fill(
    cache: ClipCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.features.visual.plan.HELD", 10)
    encoder = CountingEncoder(batch_size=100)
    found([row(f"u{n}", n + 1) for n in range(50)], encoder, cache)
    rows = [row("new", 200), *(row(f"u{n}", n + 1) for n in range(50)), row("last", 201)]
    assert found(rows, encoder, cache)["last"] == [201]
    assert encoder.counts == [1, 1]


def test_rows_are_taken_few_ahead(cache: ClipCache) -> None:
    taken: list[int] = []

    def rows() -> Iterator[Row]:
        taken.clear()
        for number in range(1, 250):
            taken.append(number)
            yield f"u{number}", Pictures([0.0], [], "one", [grey(number)])

    vectors = visual_of(rows, CountingEncoder(batch_size=2), cache)
    next(vectors)
    assert len(taken) < 200
    vectors.close()  # type: ignore[attr-defined]


def test_what_is_no_picture_is_told(cache: ClipCache) -> None:
    rubbish = ("u0", Pictures([0.0], [], "one", [b"rubbish"]))
    with pytest.raises(PipelineError, match="no JPEG or PNG"):
        found([rubbish], CountingEncoder(), cache)
    small = (
        "u0",
        Pictures([0.0], [], "one", [encode_image(np.zeros((4, 4, 3), np.uint8), "png", 9)]),
    )
    with pytest.raises(PipelineError, match=r"\(4, 4, 3\) picture, expected \(8, 8, 3\)"):
        found([small], CountingEncoder(), cache)


def test_a_cache_pruned_while_it_is_read_costs_a_second_computation(cache: ClipCache) -> None:
    rows = [row(f"u{n}", n + 1) for n in range(200)]
    encoder = CountingEncoder()
    whole = found(rows, encoder, cache)
    vectors = visual_of(lambda: iter(rows), encoder, cache)
    next(vectors)
    prune(cache)
    assert {name: v[0, 0] for name, v in vectors if v is not None} == {
        name: levels[0] for name, levels in whole.items() if levels and name != "u0"
    }


def test_a_cache_pruned_while_pictures_are_computed_is_told(cache: ClipCache) -> None:
    class Pruning(CountingEncoder):
        def start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
            prune(cache)
            return super().start(batch)

    rows = [row(f"u{n}", n + 1) for n in range(200)]
    found(rows, CountingEncoder(), cache)
    with pytest.raises(PipelineError, match="pruned"):
        found([row("new", 250), *rows], Pruning(), cache)


def prune(cache: ClipCache) -> None:
    for path in [p for p in cache.folder.rglob("*") if p.is_file()]:
        path.unlink()


BACKENDS = ("torch", "onnxruntime")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageEncoder]:
    path = tmp_path_factory.mktemp("weights") / "shufflenet.pth"
    torch.save(random_network("shufflenet_v2_x0_5").state_dict(), path)
    return {
        backend: ImageEncoder(
            architecture="shufflenet_v2_x0_5",
            weights=path,
            layer="logits",  # a linear layer's bits depend on its batch's shape
            device="cpu",
            precision="float32",
            batch_size=4,
            backend=backend,
            threads=2,
        )
        for backend in BACKENDS
    }


def photographs(count: int) -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 3), dtype=np.uint8)
    return [encode_image(image.repeat(8, 0).repeat(8, 1), "jpeg", 90) for image in noise]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_bytes_depend_on_nothing_but_the_picture(
    tmp_path: Path, encoders: dict[str, ImageEncoder], backend: str
) -> None:
    """Other orders, other company, some of it cached: the same bytes."""
    images, encoder = photographs(18), encoders[backend]
    rows: list[Row] = [
        (f"u{n}", Pictures([], [], "one", [images[p] for p in places]))
        for n, places in enumerate([(0, 1, 2, 3, 4), (5,), (4, 6, 7), (8, 9, 10, 11), (12, 12, 13)])
    ] + [("u5", Pictures([], [], True, images[14:]))]

    def bytes_of(some: Iterable[Row], folder: str) -> dict[str, bytes]:
        cache = ClipCache("visual", 1, VECTORS, tmp_path / folder)
        some = list(some)
        found = visual_of(lambda: iter(some), encoder, cache)
        return {name: v.tobytes() for name, v in found if v is not None}

    undisturbed = bytes_of(rows, "a")
    assert len(undisturbed) == len(rows) == len(set(undisturbed.values()))
    for seed in range(4):
        order = random.Random(seed).sample(rows, len(rows))
        bytes_of(order[: seed + 1], f"b{seed}")
        assert bytes_of(order, f"b{seed}") == undisturbed
    alone: dict[str, bytes] = {}
    for place, one in enumerate(rows):
        alone |= bytes_of([one], f"c{place}")
    assert alone == undisturbed
