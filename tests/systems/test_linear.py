"""Systems that are fitted at once: what they learn from, and a shortcut that changes no score."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier
from sklearn.svm import LinearSVC

from pipeline.base import paths
from pipeline.nn.batch import Dialogue, collate
from pipeline.nn.linear import rotated, take_over
from pipeline.records.head import Head, write_head
from pipeline.systems.base import FittedSettings, LeftOut, ProbeSettings, Shape, system

ONE = FittedSettings(enabled=True, modalities=("text",))


def linear(*strengths: float, modalities: tuple[Any, ...] = ("text",)) -> ProbeSettings:
    return ProbeSettings(
        enabled=True, modalities=modalities, regularisation=strengths, standardise="corpus"
    )


def said(*turns: tuple[str, int]) -> Dialogue:
    """A dialogue of words alone; -1 is no label."""
    texts, labels = zip(*turns, strict=True)
    features = torch.zeros(len(turns), 1)
    present = torch.ones(len(turns), dtype=torch.bool)
    return Dialogue(
        name="d",
        utterances=list(texts),
        features={"text": features},
        frame_mask=None,
        present={"text": present},
        speakers=torch.zeros(len(turns), dtype=torch.long),
        labels=torch.tensor(labels),
        texts=list(texts),
    )


def felt(features: np.ndarray, labels: list[int], present: list[bool] | None = None) -> Dialogue:
    """A dialogue of text features, [turn, feature]."""
    dialogue = said(*((str(n), label) for n, label in enumerate(labels)))
    there = torch.tensor(present or [True] * len(labels))
    vectors = {"text": torch.from_numpy(features).float()}
    return Dialogue(**{**vars(dialogue), "features": vectors, "present": {"text": there}})


def shape(features: int = 1, classes: int = 3) -> Shape:
    return Shape({"text": features}, classes, speakers=1)


def predicted(model: torch.nn.Module, dialogue: Dialogue) -> list[int]:
    numbers: list[int] = model(collate([dialogue])).logits[0].argmax(-1).tolist()
    return numbers


def test_majority_by_hand() -> None:
    model = system("majority")(ONE, shape())
    model.fit([said(("a", 2), ("b", 2), ("c", 0), ("d", -1))], [], "x")
    chances = model(collate([said(("what", -1))])).logits[0, 0].softmax(-1)
    assert chances.tolist() == pytest.approx([1 / 3, 1e-6, 2 / 3], abs=1e-5)


def test_tfidf_takes_words_and_marks_apart() -> None:
    train = said(("oh no!", 1), ("oh yes.", 0))
    model = system("tfidf")(linear(100.0), shape(classes=2))
    model.fit([train], [said(("so!", 1), ("well.", 0))], "x")
    assert predicted(model, said(("so!", 1), ("well.", 0))) == [1, 0], "the mark alone is known"


def test_tfidf_is_the_same_from_its_state_alone() -> None:
    train = [said(("oh no!", 1), ("oh yes.", 0), ("naïve “ß”?", 2), ("unseen", -1))]
    kind = system("tfidf")
    model = kind(linear(1.0), shape())
    model.fit(train, train, "x")
    state = model.state_dict()
    copy = kind(linear(1.0), shape(), **kind.sizes_of(state))
    copy.load_state_dict(state)
    batch = collate([*train, said(("oh", -1))])
    assert torch.equal(model(batch).logits, copy(batch).logits)
    assert "unseen" not in bytes(state["vocabulary"].numpy()).decode()


def test_tfidf_is_left_out_where_no_text_of_train_holds_a_word() -> None:
    model = system("tfidf")(linear(1.0), shape())
    with pytest.raises(LeftOut, match="no text of the train split holds a word"):
        model.fit([said((" \u3000\n", 0), ("", 1))], [said(("word", 0))], "x")


@pytest.mark.parametrize("name", ["logistic_regression", "linear_svm"])
def test_a_class_that_train_lacks_is_never_predicted(name: str) -> None:
    generator = np.random.default_rng(0)
    labels = [0, 2] * 20
    rows = generator.normal(size=(40, 3)) + 3 * np.eye(3)[labels]
    model = system(name)(linear(0.1, 1.0), shape(3))
    model.fit([felt(rows, labels)], [felt(rows, labels)], "x")
    chances = model(collate([felt(rows, labels)])).logits[0].softmax(-1)
    assert predicted(model, felt(rows, labels)) == labels
    assert chances[:, 1].max() == 0 and chances.isfinite().all()


def test_logistic_regression_gives_the_scores_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 60)
    rows = generator.normal(size=(60, 5)) + 2 * np.eye(5)[labels]
    model = system("logistic_regression")(linear(0.5), shape(5))
    train = felt(rows, labels.tolist())
    model.fit([train], [train], "x")
    scaled = ((rows - rows.mean(0)) / rows.std(0)).clip(-10, 10)
    theirs = LogisticRegression(C=0.5, max_iter=500).fit(scaled, labels)
    ours = model(collate([train])).logits[0].softmax(-1).detach().numpy()
    assert ours == pytest.approx(theirs.predict_proba(scaled), abs=1e-4)


def test_a_strength_at_the_edge_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 2, 80).tolist()
    rows = generator.normal(size=(80, 2)) + 0.3 * np.eye(2)[labels]
    train = felt(rows, labels)
    for strengths, told in [((1e-9, 1.0), "C = 1,"), ((1.0,), ""), ((1e-9, 1.0, 1.0001), "")]:
        system("logistic_regression")(linear(*strengths), shape(2, 2)).fit([train], [train], "x")
        said = capsys.readouterr().out
        assert told in said and ("at the edge of" in said) == bool(told), strengths


def test_the_svms_vote_as_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 4, 120)
    rows = generator.normal(size=(120, 6)) + 0.5 * np.eye(6)[labels]
    model = system("linear_svm")(linear(0.1), shape(6, 4))
    train = felt(rows, labels.tolist())
    model.fit([train], [train], "x")
    scaled = ((rows - rows.mean(0)) / rows.std(0)).clip(-10, 10)
    theirs = OneVsOneClassifier(LinearSVC(C=0.1, dual="auto", random_state=0)).fit(scaled, labels)
    ours = model(collate([train])).logits[0].detach().numpy()
    assert ours == pytest.approx(theirs.decision_function(scaled), abs=1e-4)
    assert (ours.argmax(1) == theirs.predict(scaled)).all()


def test_two_svm_votes_by_hand() -> None:
    """Margins of (0, 1), (0, 2), (1, 2): 2, -4 and 0.5, so 0 has one vote, 1 one and 2 one."""
    model = system("linear_svm")(linear(0.1), shape(1, 3))
    model.fitted.fill_(True)
    with torch.no_grad():
        model.margins.weight.zero_()
        model.margins.bias.copy_(torch.tensor([2.0, -4.0, 0.5]))
    scores = model(collate([felt(np.zeros((1, 1)), [0])])).logits[0, 0]
    # Sums: 0 has -2 + 4 = 2, 1 has 2 - 0.5 = 1.5, 2 has -4 + 0.5 = -3.5.
    expected = [1 + 2 / 9, 1 + 1.5 / 7.5, 1 - 3.5 / 13.5]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_fewer_directions_give_the_same_logistic_regression() -> None:
    generator = np.random.default_rng(0)
    train, test = generator.normal(size=(40, 90)), generator.normal(size=(20, 90))
    labels = generator.integers(0, 3, 40)
    basis = rotated(train)
    assert basis is not None and basis.shape == (40, 90) and rotated(train[:, :40]) is None
    exact = LogisticRegression(tol=1e-10, max_iter=5000)
    wide = exact.fit(train, labels).decision_function(test)
    layer = torch.nn.Linear(90, 3)
    take_over(layer, exact.fit(train @ basis.T, labels), basis)
    narrow = layer(torch.from_numpy(test).float()).detach().numpy()
    assert np.abs(wide - narrow).max() < 1e-4


def test_two_classes_are_one_row_of_scikit_learn() -> None:
    rows, labels = np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    fitted = LogisticRegression().fit(rows, labels)
    layer = torch.nn.Linear(1, 2)
    take_over(layer, fitted)
    chances = layer(torch.from_numpy(rows).float()).softmax(-1).detach().numpy()
    assert chances == pytest.approx(fitted.predict_proba(rows), abs=1e-6)


def test_a_missing_modality_takes_the_train_mean_and_one_that_nobody_has_says_nothing() -> None:
    rows, labels = np.array([[4.0], [8.0], [np.nan]]), [0, 1, 1]
    model = system("logistic_regression")(linear(1.0), shape(1, 2))
    train = felt(rows, labels, [True, True, False])
    model.fit([train], [train], "x")
    logits = model(collate([train])).logits[0]
    assert logits.isfinite().all()
    assert logits[2].tolist() == pytest.approx(logits[:2].mean(0).tolist(), abs=1e-5)
    nobody = felt(rows, labels, [False] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit([nobody], [nobody], "x")
    assert predicted(model, nobody) == [1, 1, 1], "the classes' shares alone"


def test_the_fine_tuned_head_is_a_linear_map_of_the_stored_vectors(workspace: Path) -> None:
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(3, 4)).astype(np.float32)
    bias = generator.normal(size=3).astype(np.float32)
    write_head(paths.head("x"), Head(("a", "b", "c"), weight, bias))
    rows = generator.normal(size=(5, 4))
    model = system("finetuned_head")(ONE, shape(4))
    model.fit([], [], "x")
    dialogue = felt(rows, [0] * 5, [True] * 4 + [False])
    scores = model(collate([dialogue])).logits[0].detach().numpy()
    assert scores[:4] == pytest.approx(rows[:4] @ weight.T + bias, abs=1e-5)
    assert scores[4] == pytest.approx(bias), "without text the biases decide"


def test_without_fine_tuning_the_head_is_left_out(workspace: Path) -> None:
    write_head(paths.head("x"), None)
    model = system("finetuned_head")(ONE, shape(4))
    with pytest.raises(LeftOut, match=r"x\.finetune\.enabled is false"):
        model.fit([], [], "x")
