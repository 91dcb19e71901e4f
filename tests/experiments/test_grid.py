"""Searches: which points are tried, what they set, what of a choice is tested."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.experiments.reading import Request
from pipeline.experiments.recipe import AS_IT_IS, CHOSEN, Search

GOOD = """\
about: Why.
corpora: [m, i]
changes: [CORPUS.SYSTEM.workers=1]
grid:
  CORPUS.SYSTEM.learning_rate: [0.001, 1e-05]
  CORPUS.SYSTEM.hard_ratio: [0.3, null]
  CORPUS.SYSTEM.psa: [true, false]
budget: 8
quick: 3
"""


def written(folder: Path, text: str = GOOD) -> Search:
    (folder / "r.yaml").write_text(text)
    recipe = Request("r").recipe("s", folder)
    assert isinstance(recipe, Search)
    return recipe


def test_all_points_of_a_grid_within_the_budget(tmp_path: Path) -> None:
    search = written(tmp_path)
    points = search.points()
    assert list(points) == [f"p{number}" for number in range(1, 9)]
    values = [tuple(point.values()) for point in points.values()]
    assert values == list(product(("0.001", "1e-05"), ("0.3", "null"), ("true", "false")))
    runs = search.runs()
    assert list(runs) == [AS_IT_IS, *points]
    workers = ["m.s.workers=1", "i.s.workers=1"]
    assert runs[AS_IT_IS] == workers
    assert runs["p4"] == [
        *workers,
        *("m.s.learning_rate=0.001", "i.s.learning_rate=0.001"),
        *("m.s.hard_ratio=null", "i.s.hard_ratio=null"),
        *("m.s.psa=false", "i.s.psa=false"),
    ]


@given(st.integers(2, 30), st.integers(0, 9), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_sample_holds_different_points_in_the_grids_order(
    budget: int, seed: int, lengths: list[int]
) -> None:
    grid = {f"a.CORPUS.k{key}": tuple(range(count)) for key, count in enumerate(lengths)}
    search = Search(about="x", corpora=("m",), systems=("s",), grid=grid, budget=budget, seed=seed)
    everything = [tuple(map(str, point)) for point in product(*grid.values())]
    found = [tuple(point.values()) for point in search.points().values()]
    assert len(found) == min(budget, len(everything)) and len(set(found)) == len(found)
    assert [everything.index(point) for point in found] == sorted(map(everything.index, found))
    assert search.points() == search.points()


def test_the_seed_draws_the_sample() -> None:
    grid = {"a.CORPUS.k": tuple(range(100))}
    drawn = [
        list(
            Search(about="x", corpora=("m",), systems=("s",), grid=grid, budget=5, seed=seed)
            .points()
            .values()
        )
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_quick_search_has_one_seed_and_the_quick_budget(tmp_path: Path) -> None:
    quick = written(tmp_path).quickened()
    assert len(quick.points()) == 3 and len(quick.runs()) == 4
    assert quick.runs()[AS_IT_IS][-2:] == ["m.s.seeds=[1]", "i.s.seeds=[1]"]


def test_each_corpus_is_tested_with_what_it_chose(tmp_path: Path) -> None:
    decided = written(tmp_path).decided({("m", "s"): "p1", ("i", "s"): "p8"})
    workers = ["m.s.workers=1", "i.s.workers=1"]
    assert decided == {
        AS_IT_IS: workers,
        CHOSEN: [
            *workers,
            *("m.s.learning_rate=0.001", "m.s.hard_ratio=0.3", "m.s.psa=true"),
            *("i.s.learning_rate=1e-05", "i.s.hard_ratio=null", "i.s.psa=false"),
        ],
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "CORPUS.SYSTEM.learning_rate",
            "m.train.lr",
            "grid: got 'm.train.lr', expected CORPUS.section.",
        ),
        ("[true, false]", "[true, true]", "grid.CORPUS.SYSTEM.psa: got [True, True], expected"),
        ("[true, false]", "[]", "grid.CORPUS.SYSTEM.psa: got [], expected values that differ"),
        ("budget: 8", "budget: 2", "quick: got 3, expected no more than the budget, 2"),
        ("budget: 8\n", "", "budget: missing; Points that are tried at most"),
        ("quick: 3", "quick: 5", "quick: got 5; Input should be less than or equal to 4"),
        (
            "CORPUS.SYSTEM.psa: [true, false]\n",
            "CORPUS.mcn_cl.psa: [true, false]\nsystems: [a, b]\n",
            "grid: got 'CORPUS.mcn_cl.psa', expected CORPUS.SYSTEM.key, as each system chooses",
        ),
        ("budget: 8", "budget: 8\nreference: x", "reference: unknown key, expected some of"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(PipelineError) as error:
        written(tmp_path, GOOD.replace(old, new))
    assert said in str(error.value)


def test_a_grid_of_one_point_is_told(tmp_path: Path) -> None:
    one = "about: x\ncorpora: [m]\ngrid: {a.CORPUS.b: [1]}\nbudget: 2\n"
    with pytest.raises(PipelineError, match="grid: has one point, expected two or more"):
        written(tmp_path, one)
