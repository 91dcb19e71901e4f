"""Systems on shared draws: by hand, and by a loop over resamples."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.evaluation.intervals import difference, resample_weights
from pipeline.evaluation.ranking import rare_classes, standings
from pipeline.evaluation.scores import confusions
from pipeline.records.predictions import Predictions, SystemPredictions, TestSet


def corpus_of(actual: list[int], dialogues: str, classes: int = 2) -> TestSet:
    names = tuple("abcdef"[:classes])
    utterances = tuple(f"u{n}" for n in range(len(actual)))
    folds = np.zeros(len(actual), np.int32)
    return TestSet(names, utterances, tuple(dialogues), folds, np.array(actual))


def system(*runs: list[int]) -> SystemPredictions:
    return SystemPredictions(tuple(range(len(runs))), np.array(runs), None)


# Dialogues d and e with an utterance of class 0 and one of class 1 each.
SMALL = corpus_of([0, 1, 0, 1], "ddee")
DRAWS = np.array([[1, 1], [2, 0], [0, 2], [0, 2]], float)


def test_ranks_and_differences_by_hand() -> None:
    """`left` is right in d alone, `right` in e alone, else both say 0; `floor` always says 0.

    Weighted F1 of `left` is 11/15 on both dialogues, 1 on d twice, 1/3 on e twice; of `right` the
    same with d and e changed; of `floor` always 1/3.
    """
    systems = {
        "floor": system([0, 0, 0, 0]),
        "left": system([0, 1, 0, 0]),
        "right": system([0, 0, 0, 1]),
    }
    rows = {row.system: row for row in standings(Predictions(SMALL, systems), "floor", DRAWS)}
    assert {name: row.rank for name, row in rows.items()} == {"left": 1, "right": 1, "floor": 3}
    # The first two share the first draw; d twice is left's; e twice is right's, twice.
    firsts = {"left": 100 * 1.5 / 4, "right": 100 * 2.5 / 4, "floor": 0}
    assert {name: row.first for name, row in rows.items()} == pytest.approx(firsts)
    assert rows["left"].ranks == (1, 2), "beside right's draws it is as good as the floor"
    assert rows["floor"].ranks == (2, 3)
    assert rows["floor"].difference is None
    gain = rows["left"].difference
    assert gain is not None and gain.value == pytest.approx(100 * (11 / 15 - 1 / 3))
    assert gain.low == pytest.approx(0) and gain.high > 60 and not gain.clear
    assert rows["left"].scores["weighted_f1"].value == pytest.approx(100 * 11 / 15)


def test_systems_with_equal_predictions_share_what_is_to_be_shared() -> None:
    """However many seeds say the same."""
    systems = {"one": system([0, 1, 0, 0]), "same": system(*[[0, 1, 0, 0]] * 3)}
    one, same = standings(Predictions(SMALL, systems), "one")
    assert (one.rank, same.rank, one.ranks, same.ranks) == (1, 1, (1, 1), (1, 1))
    assert (one.first, same.first) == (50, 50)
    assert same.difference is not None and (same.difference.low, same.difference.high) == (0, 0)
    assert np.isnan(one.deviations["weighted_f1"]) and same.deviations["weighted_f1"] == 0


def test_a_reference_that_is_left_out_leaves_ranks() -> None:
    (row,) = standings(Predictions(SMALL, {"one": system([0, 1, 0, 0])}), "gone")
    assert (row.rank, row.first, row.difference) == (1, 100, None)


@pytest.mark.parametrize(
    ("support", "rare"),
    [
        ([150, 99, 300, 20], [1, 3]),
        ([150, 101, 300, 0], [1]),
        ([150, 300, 200, 0], [0]),
        ([5, 3, 9, 3], [1]),
    ],
    ids=["below 100", "only those that occur", "or the rarest", "also where all are below"],
)
def test_which_classes_are_rare(support: list[int], rare: list[int]) -> None:
    actual = [label for label, count in enumerate(support) for _ in range(count)]
    assert rare_classes(corpus_of(actual, "d" * len(actual), 4)) == rare


def test_ranks_are_those_of_a_loop_over_resamples() -> None:
    """Draw dialogues one by one, score each system with sklearn, and rank by sorting."""
    generator = np.random.default_rng(0)
    actual, dialogues = generator.integers(3, size=40), np.repeat(list("abcdefgh"), 5)
    corpus = corpus_of(actual.tolist(), "".join(dialogues), 3)
    systems = {}
    for name, skill, seeds in (("weak", 0.4, 2), ("fair", 0.6, 3), ("good", 0.7, 1)):
        wrong = generator.integers(3, size=(seeds, 40))
        predicted = np.where(generator.random((seeds, 40)) < skill, actual, wrong)
        systems[name] = SystemPredictions(tuple(range(seeds)), predicted, None)
    weights, drawn = resample_weights(8, 60), []
    for row in weights:
        taken = [u for d in range(8) for _ in range(int(row[d])) for u in range(5 * d, 5 * d + 5)]
        drawn.append([mean_f1(actual, taken, of_system) for of_system in systems.values()])
    ranks = np.array([[1 + sum(other > own for other in row) for own in row] for row in drawn])
    rows = {r.system: r for r in standings(Predictions(corpus, systems), "weak", weights)}
    counts = {n: confusions(actual, s.predicted, corpus.clusters, 3) for n, s in systems.items()}
    for place, name in enumerate(systems):
        assert rows[name].first == pytest.approx(100 * (ranks[:, place] == 1).mean())
        assert rows[name].ranks[0] == np.percentile(ranks[:, place], 2.5, method="nearest")
        score = rows[name].scores["weighted_f1"]
        ends = np.percentile(100 * np.array(drawn)[:, place], [2.5, 97.5])
        assert (score.low, score.high) == pytest.approx(tuple(ends))
        if name != "weak":
            assert rows[name].difference == difference(counts[name], counts["weak"], weights)


def mean_f1(actual: np.ndarray, taken: list[int], predictions: SystemPredictions) -> float:
    runs = [run[taken] for run in predictions.predicted]
    return float(np.mean([f1_score(actual[taken], run, average="weighted") for run in runs]))
