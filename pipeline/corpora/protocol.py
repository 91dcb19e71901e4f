"""Manifest to protocol: which label and which split each utterance gets.

Decided apart from the features: changing a label set or a split decodes nothing. It re-runs this
stage, training and evaluation, and the text encoder's fine-tuning, if there is any, with the texts.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

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
    label_set = reader.label_set(settings.label_set, settings.label_column)
    codes = _codes(utterances, settings, reader)
    labelled = [(u, label_set.index(code)) for u, code in zip(utterances, codes, strict=True)]
    kept = [(u, n) for u, n in labelled if n is not None or settings.unlabelled == "context"]
    entries = [
        Entry(fold, split_of[u.dialogue], u.dialogue, u.utterance, u.speaker, label)
        for fold, split_of in enumerate(folds(utterances, settings, reader.validation))
        for u, label in kept
    ]
    _check_splits(entries, settings)
    return Protocol(label_set.classes, controlled(entries, settings))


def controlled(entries: Sequence[Entry], settings: ProtocolSettings) -> list[Entry]:
    """Exchange the labels of a negative control; classes, splits and their counts stay.

    A split's dialogues stand in the order of a digest. Within them, turns take each other's labels
    in the order of another. Across them, each turn takes the label of the one that is as many
    labelled turns on as the longest dialogue has, so of another dialogue.

    Raises:
        PipelineError: A split has nothing to exchange, or too few turns to give each a label of
            another dialogue.
    """
    if settings.control == "none":
        return list(entries)

    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"{settings.seed}/{name}".encode()).digest()

    splits = defaultdict(list)
    for place, e in enumerate(entries):
        if e.label is not None:
            splits[e.fold, e.split].append(place)
    exchanged = list(entries)
    for (_, split), places in splits.items():
        of = {place: drawn(entries[place].dialogue) for place in places}
        takers = sorted(places, key=of.__getitem__)
        longest = max(Counter(of.values()).values())
        if settings.control == "within_dialogues":
            _check_exchange(longest > 1, split, longest, len(places), "across_dialogues")
            givers = sorted(places, key=lambda p: (of[p], drawn(entries[p].utterance)))
        else:
            _check_exchange(2 * longest <= len(places), split, longest, len(places), "none")
            givers = takers[longest:] + takers[:longest]
        for taker, giver in zip(takers, givers, strict=True):
            exchanged[taker] = replace(entries[taker], label=entries[giver].label)
    return exchanged


def _check_exchange(possible: bool, split: str, longest: int, turns: int, other: str) -> None:
    if not possible:
        raise PipelineError(
            f"The control cannot exchange the labels of {split}, whose longest dialogue has "
            f"{longest} of its {turns} labelled turns; use control: {other}, or other splits."
        )


def check_labels(
    settings: ProtocolSettings,
    reader: Reader,
    policy: str | None,
    label_sets: Sequence[str] | None,
) -> None:
    """Refuse labels that a manifest made from feature files cannot give.

    Args:
        settings: The block `protocol`.
        reader: That of the corpus.
        policy: Which one its emotions follow already, None if they are raw codes.
        label_sets: Those whose classes its emotions tell apart, None for all.
    """
    if policy is not None and settings.label_policy != policy:
        raise PipelineError(
            f"The labels of this manifest come from a feature file, which has them by the policy "
            f"{policy!r}, and CORPUS.protocol.label_policy is {settings.label_policy!r}: set it to "
            f"{policy}, or use the official annotations."
        )
    chosen = settings.label_set
    if label_sets is None or chosen in label_sets:
        return
    merged = [_folds(reader.label_sets[name].codes) for name in label_sets[:1]]
    own = {} if isinstance(chosen, str) else chosen
    split = [codes for fold in merged for codes in fold if not _whole(codes, own.values())]
    if isinstance(chosen, str) or split:
        raise PipelineError(
            f"The labels of this manifest come from a feature file, in which the classes of "
            f"{chosen!r} cannot be told apart: set CORPUS.protocol.label_set to one of "
            f"{list(label_sets)}, or use the official annotations."
        )


def _folds(codes: Mapping[str, str]) -> list[set[str]]:
    """The codes of each class."""
    return [{code for code, of in codes.items() if of == name} for name in {*codes.values()}]


def _whole(codes: set[str], classes: Collection[Sequence[str]]) -> bool:
    """Whether codes that a file has merged are in one class together, or in none."""
    return all(codes <= set(folded) or codes.isdisjoint(folded) for folded in classes)


def remarks(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> list[str]:
    """Which raw codes the label set leaves out, and which of its own nobody has, in words."""
    label_set = reader.label_set(settings.label_set, settings.label_column)
    codes = _codes(utterances, settings, reader)
    lacking = [code for code in codes if label_set.index(code) is None]
    without = Counter("no code" if code is None else str(code) for code in lacking)
    # Another corpus' or a typing mistake.
    said = [
        f"no utterance has the label set's code {c!r}" for c in label_set.codes if c not in codes
    ]
    if without:
        listed = ", ".join(f"{code} {count}" for code, count in sorted(without.items()))
        what = "kept as context" if settings.unlabelled == "context" else "left out"
        said.insert(
            0, f"{what}, without a label in the set: {without.total()} utterances ({listed})"
        )
    if settings.control != "none":
        said.append(
            f"control: {settings.control} has exchanged labels: figures say nothing of a system"
        )
    return said


def _codes(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> list[str | float | None]:
    """The raw code, or rating, that counts, by utterance."""
    column = reader.label_set(settings.label_set, settings.label_column).column
    policy = reader.label_policies[settings.label_policy]
    return [policy.code(u) if column == "emotion" else getattr(u, column) for u in utterances]


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
