"""What may stand in `CORPUS.protocol` for a corpus: a label set of its codes, splits that fit."""

from collections.abc import Iterator, Sequence

import yaml

from pipeline.corpora.reader import Reader
from pipeline.corpora.settings import ProtocolSettings
from pipeline.corpora.splits import OFFICIAL
from pipeline.records.manifest import Utterance

FRACTIONS = {
    "session5": "validation: fraction and valid_fraction: 0.1",
    "leave_one_session_out": "validation: fraction and valid_fraction: 0.1",
    "leave_one_speaker_out": "valid_fraction: 0.1",
    "speakers": "valid_fraction: 0.1 and test_fraction: 0.2",
}
LEAST = 3  # sessions or speakers: to learn from, to validate and to test on


def advice(
    utterances: Sequence[Utterance], settings: ProtocolSettings, reader: Reader
) -> Iterator[str]:
    """Settings to paste, where a corpus has no label sets or the chosen splits do not fit it."""
    if not reader.label_sets:
        yield from _label_set(utterances, settings)
    fitting = list(_splits(utterances))
    if settings.splits not in fitting:
        listed = [f"{n} (with {FRACTIONS[n]})" if n in FRACTIONS else n for n in fitting]
        yield (
            f"splits that fit: {', '.join(listed)}"
            if fitting
            else "no splits fit: give each dialogue a split (train, dev and test), or a session"
        )


def protocol_of(utterances: Sequence[Utterance]) -> str:
    """The block `protocol` of a corpus without label sets, as YAML: a class for each code."""
    column = "emotion" if any(u.emotion for u in utterances) else "sentiment"
    codes = sorted({code for u in utterances if (code := getattr(u, column)) is not None})
    splits = next(_splits(utterances), "official")
    rest = FRACTIONS.get(splits, "").replace(" and ", ", ")
    chosen = f", label_column: {column}" * (column != "emotion") + f", splits: {splits}"
    return f"{{<<: *protocol, {_of_codes(codes)}{chosen}{rest and f', {rest}'}}}"


def _of_codes(codes: Sequence[str]) -> str:
    classes = {"label_set": {code: [code] for code in codes}}
    line = yaml.safe_dump(classes, default_flow_style=True, width=10**6, allow_unicode=True)
    return line[1:-2]


def _label_set(utterances: Sequence[Utterance], settings: ProtocolSettings) -> Iterator[str]:
    column = settings.label_column
    if all(getattr(u, column) is None for u in utterances):
        column = "sentiment" if column == "emotion" else "emotion"
        yield f"label_column: {column}, as no utterance has a code of the other"
    codes = sorted({code for u in utterances if (code := getattr(u, column)) is not None})
    chosen = settings.label_set
    named = [] if isinstance(chosen, str) else [code for of in chosen.values() for code in of]
    if lacking := [code for code in codes if code not in named]:
        listed = ", ".join(lacking)
        yield f"codes outside the label set: {listed}; one of all:\n  {_of_codes(codes)}"


def _splits(utterances: Sequence[Utterance]) -> Iterator[str]:
    if {u.official_split for u in utterances} == OFFICIAL.keys():
        yield "official"
    sessions = {u.session for u in utterances}
    if None not in sessions and len(sessions) >= LEAST:
        yield from (*(["session5"] if "5" in sessions else []), "leave_one_session_out")
    speakers = {u.speaker for u in utterances}
    meeting = len({(u.dialogue, u.speaker) for u in utterances}) > len(
        {u.dialogue for u in utterances}
    )
    if not meeting and len(speakers) >= LEAST:
        yield from ("speakers", "leave_one_speaker_out")
