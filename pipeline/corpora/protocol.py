"""Manifest to protocol: which label and which split each utterance gets.

Decided apart from the features: changing a label set or a split decodes nothing. It re-runs this
stage, training and evaluation, and the text encoder's fine-tuning, if there is any, with the texts.
"""

from collections import Counter
from collections.abc import Sequence

from pipeline.base.errors import PipelineError
from pipeline.corpora.reader import Reader
from pipeline.corpora.settings import ProtocolSettings
from pipeline.corpora.splits import folds
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import SPLITS, Entry, Protocol


def make_protocol(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> Protocol:
    """Apply labels and splits to a manifest.

    Refuse a corpus that lacks what the splits are made by, a split without a labelled utterance,
    and a train split of one class.
    """
    label_set = reader.label_set(settings.label_set)
    codes = _codes(utterances, settings, reader)
    labelled = [(u, label_set.index(code)) for u, code in zip(utterances, codes, strict=True)]
    kept = [(u, n) for u, n in labelled if n is not None or settings.unlabelled == "context"]
    entries = [
        Entry(fold, split_of[u.dialogue], u.dialogue, u.utterance, u.speaker, label)
        for fold, split_of in enumerate(folds(utterances, settings, reader.validation))
        for u, label in kept
    ]
    _check_splits(entries, settings)
    return Protocol(label_set.classes, entries)


def remarks(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> list[str]:
    """Which raw codes the label set leaves out, and which of its own nobody has, in words."""
    label_set, codes = reader.label_set(settings.label_set), _codes(utterances, settings, reader)
    without = Counter(code or "no code" for code in codes if label_set.index(code) is None)
    # Another corpus' or a typing mistake.
    unused = [
        f"no utterance has the label set's code {c!r}" for c in label_set.codes if c not in codes
    ]
    if not without:
        return unused
    listed = ", ".join(f"{code} {count}" for code, count in sorted(without.items()))
    what = "kept as context" if settings.unlabelled == "context" else "left out"
    line = f"{what}, without a label in the set: {without.total()} utterances ({listed})"
    return [line, *unused]


def _codes(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> list[str | None]:
    """The raw code that counts, by utterance."""
    if reader.label_set(settings.label_set).column == "sentiment":
        return [u.sentiment for u in utterances]
    policy = reader.label_policies[settings.label_policy]
    return [policy.code(u) for u in utterances]


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
        classes = {e.label for e in entries if (e.fold, e.split) == (fold, "train")} - {None}
        if len(classes) < 2:
            raise PipelineError(
                f"All labelled utterances of the train split of fold {fold} are of one class, so "
                "nothing can be learnt; name a label set of which train has two classes, or other "
                "splits."
            )
