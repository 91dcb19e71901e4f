"""Splits: which dialogues are learnt from, chosen on and tested on, in each fold.

A dialogue is in one split of a fold. Order comes from the manifest and from digests of names,
never from a set or a hash that differs between processes.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from pipeline.base.errors import PipelineError
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Utterance

OFFICIAL = {"train": "train", "dev": "valid", "test": "test"}
LAST = 20
# The validation dialogues of COSMIC (Ghosal et al., 2020) and of those who took over its pickles.
COSMIC = (
    "Ses01M_impro01",
    "Ses01M_script03_1",
    "Ses02F_impro02",
    "Ses02F_impro07",
    "Ses02M_script01_2",
    "Ses03F_impro01",
    "Ses03M_impro02",
    "Ses03M_impro08a",
    "Ses03M_script02_2",
    "Ses03M_script03_2",
    "Ses04F_impro07",
    "Ses04F_script02_1",
)
Fold = dict[str, str]


@dataclass(frozen=True)
class Conversation:
    """A dialogue as far as splits are concerned; `group` is what is held out as a whole.

    Attributes:
        name: The dialogue's id.
        official: The authors' split, None where they made none.
        session: Recording session, None where the corpus has none.
        speakers: Everyone who speaks in it, in order of appearance.
    """

    name: str
    official: str | None
    session: str | None
    speakers: tuple[str, ...]


def folds(utterances: Sequence[Utterance], settings: ProtocolSettings) -> list[Fold]:
    """The split of each dialogue, one mapping a fold.

    Raises:
        PipelineError: The corpus lacks what the splits are made by, or too few dialogues.
    """
    conversations = _conversations(utterances)
    if settings.splits == "official":
        return [{c.name: _official(c) for c in conversations}]
    if settings.splits == "speakers":
        return [_by_speakers(conversations, settings)]
    sessions = list(dict.fromkeys(_session(c) for c in conversations))
    tests = ["5"] if settings.splits == "session5" else sorted(sessions)
    return [_by_session(conversations, test, settings) for test in tests]


def _conversations(utterances: Sequence[Utterance]) -> list[Conversation]:
    found = []
    for name, group in groupby(utterances, key=lambda u: u.dialogue):
        turns = list(group)
        speakers = tuple(dict.fromkeys(u.speaker for u in turns))
        found.append(Conversation(name, turns[0].official_split, turns[0].session, speakers))
    return found


def _official(c: Conversation) -> str:
    if c.official not in OFFICIAL:
        raise PipelineError(
            f"{c.name} has the official split {c.official!r}, expected one of {list(OFFICIAL)}; "
            "this corpus needs another value of CORPUS.protocol.splits."
        )
    return OFFICIAL[c.official]


def _session(c: Conversation) -> str:
    if c.session is None:
        raise PipelineError(
            f"{c.name} has no session; this corpus needs another value of CORPUS.protocol.splits."
        )
    return c.session


def _by_session(
    conversations: Sequence[Conversation], test: str, settings: ProtocolSettings
) -> Fold:
    learnt = [c for c in conversations if c.session != test]
    held_out = VALIDATION[settings.validation or ""](learnt, settings)
    split = dict.fromkeys(held_out, "valid")
    return {
        c.name: "test" if c.session == test else split.get(c.name, "train") for c in conversations
    }


def _cosmic(learnt: Sequence[Conversation], settings: ProtocolSettings) -> list[str]:
    there = {c.name for c in learnt}
    lacking = [name for name in COSMIC if name not in there]
    if lacking:
        raise PipelineError(
            f"validation: cosmic names 12 dialogues, of which {lacking} are not in this corpus; "
            "set CORPUS.protocol.validation to last_20 or fraction."
        )
    return list(COSMIC)


def _last(learnt: Sequence[Conversation], settings: ProtocolSettings) -> list[str]:
    if len(learnt) <= LAST:
        raise PipelineError(
            f"validation: last_20 leaves nothing to learn from {len(learnt)} dialogues; "
            "set CORPUS.protocol.validation to fraction."
        )
    return [c.name for c in learnt[-LAST:]]


def _fraction(learnt: Sequence[Conversation], settings: ProtocolSettings) -> list[str]:
    """A share of each session's dialogues, at least one, drawn by digests of their names."""
    found = []
    for session in dict.fromkeys(_session(c) for c in learnt):
        names = [c.name for c in learnt if c.session == session]
        found += _drawn(names, settings.valid_fraction or 0, settings.seed)
    return found


VALIDATION: Mapping[str, Callable[[Sequence[Conversation], ProtocolSettings], list[str]]] = {
    "cosmic": _cosmic,
    "last_20": _last,
    "fraction": _fraction,
}


def _drawn(names: Sequence[str], fraction: float, seed: int) -> list[str]:
    """A share of the names, at least one: adding a name does not shuffle the others."""

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    return sorted(names, key=draw)[: max(1, round(fraction * len(names)))]


def _by_speakers(conversations: Sequence[Conversation], settings: ProtocolSettings) -> Fold:
    """Speakers are drawn for test, then for validation; a dialogue follows its speakers."""
    speakers = list(dict.fromkeys(s for c in conversations for s in c.speakers))
    test = _drawn(speakers, settings.test_fraction or 0, settings.seed)
    rest = [s for s in speakers if s not in test]
    valid = _drawn(rest, settings.valid_fraction or 0, settings.seed) if len(rest) > 1 else []
    split_of = dict.fromkeys(speakers, "train") | dict.fromkeys(valid, "valid")
    split_of |= dict.fromkeys(test, "test")
    return dict(_followed(conversations, split_of))


def _followed(
    conversations: Sequence[Conversation], split_of: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for c in conversations:
        splits = {split_of[s] for s in c.speakers}
        if len(splits) > 1:
            raise PipelineError(
                f"{c.name} joins speakers of the splits {sorted(splits)}. splits: speakers suits "
                "corpora whose speakers do not meet (CREMA-D); set CORPUS.protocol.splits to "
                "another value."
            )
        yield c.name, splits.pop()
