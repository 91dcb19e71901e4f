"""Splits: which dialogues are learnt from, validated on and tested on, in each fold.

A dialogue is in one split of a fold. Order comes from the manifest and from digests of names,
never from a set or a hash that differs between processes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby

from pipeline.base.errors import PipelineError
from pipeline.corpora.settings import BY_SPEAKER, ProtocolSettings
from pipeline.records.manifest import Utterance

OFFICIAL = {"train": "train", "dev": "valid", "test": "test"}
LAST = 20
Fold = dict[str, str]
Named = Mapping[str, tuple[str, ...]]


def folds(
    utterances: Sequence[Utterance], settings: ProtocolSettings, validation: Named
) -> list[Fold]:
    """The split of each dialogue, one mapping a fold; refuse what the splits cannot be made of.

    `validation` has dialogues to validate on, by a name that `settings.validation` may have.
    """
    dialogues = {name: list(turns) for name, turns in groupby(utterances, lambda u: u.dialogue)}
    if settings.splits == "official":
        return [{name: _official(turns[0]) for name, turns in dialogues.items()}]
    if settings.splits in BY_SPEAKER:
        speakers = list(dict.fromkeys(u.speaker for u in utterances))
        one_out = [[speaker] for speaker in speakers]
        drawn = [_drawn(speakers, settings.test_fraction or 0, settings.seed)]
        tested = one_out if settings.leaves_one_out else drawn
        return [_by_speakers(dialogues, speakers, test, settings) for test in tested]
    session_of = {name: _session(turns[0]) for name, turns in dialogues.items()}
    tests = ["5"] if settings.splits == "session5" else sorted(set(session_of.values()))
    return [_by_session(session_of, test, settings, validation) for test in tests]


def _official(u: Utterance) -> str:
    if u.official_split not in OFFICIAL:
        raise PipelineError(
            f"{u.dialogue} has the official split {u.official_split!r}, expected one of "
            f"{list(OFFICIAL)}; this corpus needs another value of CORPUS.protocol.splits."
        )
    return OFFICIAL[u.official_split]


def _session(u: Utterance) -> str:
    if u.session is None:
        raise PipelineError(
            f"{u.dialogue} has no session; this corpus needs another value of "
            "CORPUS.protocol.splits."
        )
    return u.session


def _by_session(
    session_of: Mapping[str, str], test: str, settings: ProtocolSettings, validation: Named
) -> Fold:
    learnt = {name: session for name, session in session_of.items() if session != test}
    split_of = dict.fromkeys(session_of, "test") | dict.fromkeys(learnt, "train")
    return split_of | dict.fromkeys(_validation(learnt, settings, validation), "valid")


def _validation(
    session_of: Mapping[str, str], settings: ProtocolSettings, validation: Named
) -> Sequence[str]:
    """The dialogues to validate on, of those that are not tested on."""
    if settings.validation == "last_20":
        if len(session_of) <= LAST:
            raise PipelineError(
                f"validation: last_20 leaves nothing to learn from {len(session_of)} dialogues; "
                "set CORPUS.protocol.validation to fraction."
            )
        return list(session_of)[-LAST:]
    if settings.validation == "fraction":
        drawn: list[str] = []
        for session in dict.fromkeys(session_of.values()):
            names = [name for name in session_of if session_of[name] == session]
            drawn += _drawn(names, settings.valid_fraction or 0, settings.seed)
        return drawn
    named = validation[settings.validation or ""]
    if lacking := [dialogue for dialogue in named if dialogue not in session_of]:
        raise PipelineError(
            f"validation: {settings.validation} names {len(named)} dialogues, of which {lacking} "
            "are not in this corpus; set CORPUS.protocol.validation to last_20 or fraction."
        )
    return named


def _drawn(names: Sequence[str], fraction: float, seed: int) -> list[str]:
    """Draws a share of the names, at least one: adding a name does not shuffle the others."""

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    return sorted(names, key=draw)[: max(1, round(fraction * len(names)))]


def _by_speakers(
    dialogues: Mapping[str, list[Utterance]],
    speakers: Sequence[str],
    test: Sequence[str],
    settings: ProtocolSettings,
) -> Fold:
    """Draws speakers for validation, of those not tested on; a dialogue follows its speakers."""
    rest = [s for s in speakers if s not in test]
    valid = _drawn(rest, settings.valid_fraction or 0, settings.seed) if len(rest) > 1 else []
    split_of = dict.fromkeys(speakers, "train") | dict.fromkeys(valid, "valid")
    split_of |= dict.fromkeys(test, "test")
    splits = {name: {split_of[u.speaker] for u in turns} for name, turns in dialogues.items()}
    for name, several in splits.items():
        if len(several) > 1:
            raise PipelineError(
                f"{name} joins speakers of the splits {sorted(several)}. splits: {settings.splits} "
                "suits corpora whose speakers do not meet; set CORPUS.protocol.splits to another "
                "value."
            )
    return {name: one.pop() for name, one in splits.items()}
