"""How features of train utterances that an encoder has seen differ from those it has not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.finetune_runs import Found
from pipeline.finetuning.examples import Example, Examples
from pipeline.finetuning.head import Head
from pipeline.finetuning.scores import figures

GAP_PARTS = 5
STRENGTHS = (0.003, 0.03)


def gap_row(
    known: Examples, parts: Sequence[Sequence[str]], whole: Found, by_part: Sequence[Found]
) -> dict[str, Any]:
    """Weighted F1 in percent, of heads on train and of a probe on validation.

    Args:
        known: The labelled utterances.
        parts: Dialogues by part.
        whole: The run that saw them all; its vectors are of train, validation and test, in
            manifest order, every utterance being labelled.
        by_part: The run that left each part out; its vectors are of that part.

    Returns:
        `seen`, `unseen`, `unseen_by_the_whole_head`: of heads on train utterances, see
        `pipeline.finetuning.cross_fit.Gap`; `probe_on_seen`, `probe_on_unseen`: on validation, of
        logistic regression fitted to either kind of train vectors.
    """
    order = [n for part in parts for n, e in enumerate(known.train) if e.dialogue in set(part)]
    train = [known.train[n] for n in order]
    seen = whole.arrays["vectors"][order]
    first = len(known.train)
    valid = whole.arrays["vectors"][first : first + len(known.valid)]
    unseen = np.concatenate([found.arrays["vectors"] for found in by_part])
    own = [_head(known, f).probabilities(f.arrays["vectors"]) for f in by_part]
    head = _head(known, whole)

    def score(examples: Sequence[Example], probabilities: np.ndarray) -> float:
        found = figures([e.label for e in examples], probabilities, known.classes)
        return float(found["weighted_f1"])

    return {
        "parts": len(parts),
        "validation": score(known.valid, head.probabilities(valid)),
        "seen": score(train, head.probabilities(seen)),
        "unseen": score(train, np.concatenate(own)),
        "unseen_by_the_whole_head": score(train, head.probabilities(unseen)),
        "probe_on_seen": _probe(seen, train, valid, known),
        "probe_on_unseen": _probe(unseen, train, valid, known),
    }


def _head(known: Examples, found: Found) -> Head:
    return Head(known.classes, found.arrays["weight"], found.arrays["bias"])


def _probe(
    vectors: np.ndarray, train: Sequence[Example], valid: np.ndarray, known: Examples
) -> float:
    """The best of two strengths, chosen where it is scored: both kinds are compared alike."""
    mean, std = vectors.mean(0), vectors.std(0) + 1e-6
    labels = [e.label for e in train]
    best = 0.0
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=200).fit((vectors - mean) / std, labels)
        found = model.predict_proba((valid - mean) / std)
        actual = [e.label for e in known.valid]
        best = max(best, figures(actual, found, known.classes)["weighted_f1"])
    return best
