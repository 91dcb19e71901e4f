"""Late fusion by hand, in loops, and its weights against a search with scikit-learn."""

import math
from dataclasses import replace

import pytest
import torch
from sklearn.metrics import f1_score

from pipeline.base import state as keeping
from pipeline.base.state import StateFile
from pipeline.nn.entropy import Entropy
from pipeline.systems.late_fusion import best_weights, fused
from pipeline.training.fit import Run, RunState
from pipeline.training.learner import DialogueLearner
from tests.systems.zoo import (
    CLASSES,
    TEST,
    batch_of,
    conversations,
    fold_of,
    in_float64,
    learned,
    logits,
    make,
    size_of,
    with_garbage,
)

NAME = "late_fusion"
THREE = torch.tensor([[[0.6, 0.4]], [[0.9, 0.1]], [[0.3, 0.7]]])  # [modality, row, class]
EQUAL = torch.full((3, 1), 1 / 3)


def mean(available, weights=EQUAL):
    return fused(THREE.log(), torch.tensor(available).unsqueeze(1), weights).exp()[0]


def test_the_mean_of_three_modalities_by_hand():
    torch.testing.assert_close(mean([True, True, True]), torch.tensor([0.6, 0.4]))


def test_a_turn_takes_the_mean_of_the_modalities_that_it_has():
    torch.testing.assert_close(mean([True, False, True]), torch.tensor([0.45, 0.55]))
    torch.testing.assert_close(mean([False, True, False]), torch.tensor([0.9, 0.1]))
    assert torch.equal(mean([False, False, False]), mean([True, True, True]))


def test_weights_count_among_the_modalities_that_a_turn_has():
    weights = torch.tensor([[0.5], [0.25], [0.25]])
    torch.testing.assert_close(mean([True, True, True], weights), torch.tensor([0.6, 0.4]))
    # Half a share and a quarter: two thirds and a third.
    expected = torch.tensor([(2 * 0.6 + 0.9) / 3, (2 * 0.4 + 0.1) / 3])
    torch.testing.assert_close(mean([True, True, False], weights), expected)
    text = torch.tensor([[1.0], [0], [0]])
    torch.testing.assert_close(mean([False, True, True], text), torch.tensor([0.6, 0.4]))


def naive_logits(made, encoded, available):
    """One turn from its encoded modalities, [modality][width]."""
    said = []
    for head, vector in zip(made.heads.values(), encoded, strict=True):
        first, last = head[1], head[4]
        hidden = (first.weight @ vector + first.bias).clamp(min=0)
        said.append((last.weight @ hidden + last.bias).softmax(0))
    there = [m for m in range(3) if available[m]] or [0, 1, 2]
    total = sum(made.weights[m] for m in there)
    return (sum(made.weights[m] * said[m] for m in there) / total).log()


def test_it_equals_a_loop_over_turns():
    lengths = (6, 1, 4)
    made = make(NAME).double()
    made.weights.copy_(torch.tensor([0.2, 0.7, 0.1]))
    batch = in_float64(batch_of(made, conversations(lengths, missing=0.5), turns=2))
    encoded, available = made.inputs(batch), batch.all_available(("text", "audio", "visual"))
    assert not available[:, batch.turn_mask].any(0).all(), "one turn has nothing"
    expected = [
        naive_logits(made, encoded[:, row, turn], available[:, row, turn])
        for row, length in enumerate(lengths)
        for turn in range(length)
    ]
    torch.testing.assert_close(logits(made, batch), torch.stack(expected))


def test_all_the_weight_on_text_is_text_alone():
    made, alone = make(NAME), make(NAME, modalities=("text",))
    made.weights.copy_(torch.tensor([1.0, 0, 0]))
    alone.heads.load_state_dict(made.heads.state_dict(), strict=False)
    alone.inputs.encoders.load_state_dict(made.inputs.encoders.state_dict(), strict=False)
    dialogues = conversations((6, 1, 4), missing=0.0)
    first, second = (logits(m, batch_of(m, dialogues)) for m in (made, alone))
    torch.testing.assert_close(first, second.log_softmax(-1))


def test_each_modality_has_a_loss_of_its_own_and_their_mean_has_none():
    # Scores are 0 but for a bias of ln 3 on class 2: p = (1, 1, 3, 1) / 6.
    made = make(NAME, modalities=("text", "audio"))
    with torch.no_grad():
        for head in made.heads.values():
            head[4].weight.zero_()
            head[4].bias.copy_(torch.tensor([0, 0, math.log(3), 0]))
    batch = batch_of(made, conversations([3], labelled=1.0, missing=0.0))
    batch.labels.copy_(torch.tensor([[2, 2, 0]]))
    terms = made.losses(made(batch), batch, Entropy())
    assert list(terms) == ["cross_entropy_text", "cross_entropy_audio"]
    for term in terms.values():
        assert term.item() == pytest.approx((2 * math.log(2) + math.log(6)) / 3)
    terms["cross_entropy_text"].backward()
    assert all(p.grad is None for p in made.heads["audio"].parameters())


def test_a_classifier_learns_from_turns_that_have_its_modality_or_none():
    made = make(NAME, modalities=("text", "audio"))
    batch = batch_of(made, conversations([3], labelled=1.0, missing=0.0))
    batch.present["text"].copy_(torch.tensor([[True, False, False]]))
    batch.present["audio"].copy_(torch.tensor([[True, True, False]]))
    output = made(batch)
    terms = made.losses(output, batch, Entropy())
    for modality, turns in (("text", [0, 2]), ("audio", [0, 1, 2])):
        own = [
            -output.extra[modality][0, t].log_softmax(0)[batch.labels[0, t]].item() for t in turns
        ]
        expected = pytest.approx(sum(own) / len(own))
        assert terms[f"cross_entropy_{modality}"].item() == expected
    batch.present["text"].zero_()
    batch.present["audio"].fill_(True)
    term = made.losses(made(batch), batch, Entropy())["cross_entropy_text"]
    term.backward()
    assert term.item() == 0, "no turn to learn from"


@pytest.mark.slow
@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_the_weights_are_those_that_a_search_with_scikit_learn_finds(modalities):
    """A loop over turns with each of the weights; among the best, the nearest to equal."""
    draw = torch.Generator().manual_seed(modalities)
    chances = torch.randn(modalities, 60, CLASSES, generator=draw).double()
    labels = chances.mean(0).argmax(-1)
    labels[::3] = torch.randint(CLASSES, (20,), generator=draw)
    chances = (chances + 0.7 * torch.randn(chances.shape, generator=draw)).log_softmax(-1)
    available = torch.rand(modalities, 60, generator=draw) < 0.8
    twentieths = range(21)
    every = {
        1: [[20]],
        2: [[text, 20 - text] for text in twentieths],
        3: [[text, audio, 20 - text - audio] for text in twentieths for audio in range(21 - text)],
    }[modalities]
    tried = []
    for parts in every if modalities < 3 else [[20 / 3] * 3, *every]:
        predicted = [turn_of(chances[:, row].exp(), available[:, row], parts) for row in range(60)]
        score = f1_score(labels, predicted, average="weighted", zero_division=0)
        distance = sum((part / 20 - 1 / modalities) ** 2 for part in parts)
        tried.append((round(score, 9), -round(distance, 9), parts))
    assert len(tried) == {1: 1, 2: 21, 3: 232}[modalities]
    best = max(tried)
    found = best_weights(chances, available, labels)
    assert tuple(found.shape) == (modalities,) and found.sum().item() == pytest.approx(1)
    assert [best[:2]] == [t[:2] for t in tried if t[2] == pytest.approx((20 * found).tolist())]
    if modalities == 3:
        assert best[0] > tried[0][0], "a search that finds nothing would prove nothing"


def turn_of(chances, available, parts):
    """The class of one turn, from [modality][class]."""
    there = [m for m in range(len(parts)) if available[m]] or list(range(len(parts)))
    weights = [parts[m] for m in there]
    if not sum(weights):
        weights = [1] * len(there)
    total = sum(w * chances[m] for w, m in zip(weights, there, strict=True))
    return int(total.argmax())


def test_of_equally_good_weights_the_nearest_to_equal_are_taken():
    sure = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log()
    labels, there = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    agreed = best_weights(torch.stack((sure, sure)), there, labels)
    assert agreed.tolist() == [0.5, 0.5]
    # The second is wrong. 0.9 w + 0.3 (1 - w) > 0.5 from w = 0.35 on, and
    # 0.8 w + 0.3 (1 - w) > 0.5 from w = 0.45 on: 0.5 is among the best.
    wrong = torch.tensor([[0.3, 0.7], [0.7, 0.3]]).log()
    assert best_weights(torch.stack((sure, wrong)), there, labels).tolist() == [0.5, 0.5]
    # 0.9 w + 0.05 (1 - w) > 0.5 from w = 0.55 on, and 0.8 w + 0.1 (1 - w) > 0.5 from w = 0.6 on.
    wrong = torch.tensor([[0.05, 0.95], [0.9, 0.1]]).log()
    found = best_weights(torch.stack((sure, wrong)), there, labels).tolist()
    assert found == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize("turns", [0, 5])
def test_weights_of_classifiers_that_agree_or_see_no_labelled_turn_are_exactly_equal(turns):
    same = torch.randn(turns, 2).log_softmax(-1).expand(3, -1, -1)
    there = torch.ones(3, turns, dtype=torch.bool)
    found = best_weights(same, there, torch.arange(turns) % 2)
    assert torch.equal(found, torch.full((3,), 1 / 3))


@pytest.fixture
def every_epoch_is_kept(monkeypatch):
    monkeypatch.setattr(keeping, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(keeping, "LARGEST_SHARE", 1e9)


CLEAR = {
    "train": conversations((9, 8, 9, 7), seed=1, clarity=1.0),
    "valid": conversations((9, 7, 8), seed=2, clarity=1.0),
}


def run_of(fold, file):
    return Run(DialogueLearner(fold, seed=1)).go(file)


def test_weights_by_validation_hang_neither_on_kills_nor_on_the_test_split(
    tmp_path, every_epoch_is_kept
):
    chosen = {"weights": "validation", "dropout": 0.3, "learning_rate": 0.01, **CLEAR}
    fold = fold_of(NAME, **chosen)
    whole, killed, poisoned = (
        StateFile(tmp_path / file, RunState) for file in ("whole.pt", "killed.pt", "poisoned.pt")
    )
    weights = [state.best["weights"].tolist() for state in run_of(fold, whole)]
    for _ in range(fold.settings.epochs):
        run = run_of(fold, killed)
        next(run)
        run.close()
    assert learned(killed) == learned(whole)
    assert weights[-1] != pytest.approx([1 / 3] * 3), "it did search"
    others = [
        replace(d, features={m: v + 9 for m, v in d.features.items()}, labels=(d.labels + 1) % 4)
        for d in TEST
    ]
    for _ in run_of(fold_of(NAME, test=others, **chosen), poisoned):
        pass
    assert learned(poisoned) == learned(whole)


def test_weights_by_validation_are_never_worse_there_and_train_the_same_classifiers(tmp_path):
    states = {}
    for weights in ("equal", "validation"):
        fold = fold_of(NAME, weights=weights, learning_rate=0.01, **CLEAR)
        *_, states[weights] = run_of(fold, StateFile(tmp_path / f"{weights}.pt", RunState))
    equal, chosen = states["equal"], states["validation"]
    pairs = list(zip(equal.history, chosen.history, strict=True))
    assert all(e["train_total"] == c["train_total"] for e, c in pairs)
    gains = [c["valid_weighted_f1"] - e["valid_weighted_f1"] for e, c in pairs]
    assert max(gains) > 1
    assert equal.best["weights"].tolist() == pytest.approx([1 / 3] * 3)


def test_no_chosen_weight_reads_padding_or_gaps():
    made = make(NAME, weights="validation")
    clean = batch_of(made, conversations((6, 1, 4)), turns=2)
    results = []
    for batch in (clean, with_garbage(clean, torch.nan, 17)):
        made.after_epoch([(made(batch), batch)])
        results.append(made.weights.clone())
    assert torch.equal(*results)
    assert results[0].sum().item() == pytest.approx(1)


def test_it_has_as_many_parameters_as_the_reference():
    """0.20 M beside the inputs, of 256 features: three times 67,591 for 7 classes."""
    assert size_of(NAME, width=256) == 3 * (67_591 - 257)
