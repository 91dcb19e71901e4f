"""Manifest to protocol: which label and which split each utterance gets.

Decided apart from the features: changing a label set or a split decodes nothing. It re-runs this
step, training and evaluation, and the text encoder's fine-tuning, if there is any, with the texts.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.base.errors import PipelineError
from pipeline.corpora.labels import LABEL_POLICIES, LabelSet
from pipeline.corpora.settings import ProtocolSettings
from pipeline.corpora.splits import folds
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import SPLITS, Entry, Protocol


def make_protocol(utterances: Sequence[Utterance], settings: ProtocolSettings) -> Protocol:
    """Applies labels and splits to a manifest.

    Raises:
        PipelineError: The corpus lacks what the splits are made by, or a split of a fold has no
            labelled utterance.
    """
    label_set = settings.labels
    labelled = [(u, _label(u, label_set, settings.label_policy)) for u in utterances]
    kept = [(u, n) for u, n in labelled if n is not None or settings.unlabelled == "context"]
    entries = [
        Entry(fold, split_of[u.dialogue], u.dialogue, u.utterance, u.speaker, label)
        for fold, split_of in enumerate(folds(utterances, settings))
        for u, label in kept
    ]
    _check_splits(entries, settings)
    return Protocol(label_set.classes, entries)


def unlabelled(utterances: Sequence[Utterance], settings: ProtocolSettings) -> Counter[str]:
    """How many utterances with which raw code have no class in the label set."""
    label_set = settings.labels
    codes = [_code(u, label_set, settings.label_policy) for u in utterances]
    return Counter(code or "no code" for code in codes if label_set.index(code) is None)


def remarks(utterances: Sequence[Utterance], settings: ProtocolSettings) -> list[str]:
    """Which raw codes the label set leaves out, and which of its own nobody has, in words."""
    without = unlabelled(utterances, settings)
    listed = ", ".join(f"{code} {count}" for code, count in sorted(without.items()))
    what = "kept as context" if settings.unlabelled == "context" else "left out"
    lines = [f"{what}, without a label in the set: {without.total()} utterances ({listed})"]
    return [
        *(lines if without else []),
        *(f"no utterance has the label set's code {c!r}" for c in unused(utterances, settings)),
    ]


def unused(utterances: Sequence[Utterance], settings: ProtocolSettings) -> list[str]:
    """Codes of the label set that no utterance has: another corpus' or a typing mistake."""
    label_set = settings.labels
    there = {_code(u, label_set, settings.label_policy) for u in utterances}
    return [code for code in label_set.codes if code not in there]


def _label(u: Utterance, label_set: LabelSet, policy: str) -> int | None:
    return label_set.index(_code(u, label_set, policy))


def _code(u: Utterance, label_set: LabelSet, policy: str) -> str | None:
    return LABEL_POLICIES[policy](u) if label_set.column == "emotion" else u.sentiment


def _check_splits(entries: Sequence[Entry], settings: ProtocolSettings) -> None:
    counts = Counter((e.fold, e.split) for e in entries if e.label is not None)
    for fold in sorted({e.fold for e in entries} or {0}):
        empty = [split for split in SPLITS if not counts[fold, split]]
        if empty:
            raise PipelineError(
                f"No utterance of the splits {empty} of fold {fold} has a label of the set "
                f"{settings.label_set!r} by splits {settings.splits!r}; name a label set, splits "
                "and fractions that suit this corpus."
            )
