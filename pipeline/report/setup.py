"""The setup of a run in numbers and words: corpus, protocol, features, settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.corpora.published import side_by_side
from pipeline.corpora.reader import Reader
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.protocol import SPLITS, Protocol
from pipeline.report.read import Results, SystemResults
from pipeline.report.words import NONE, sentence, value

SPLITTING = {
    "official": "the splits are the official ones of the corpus",
    "session5": "test is session 5",
    "leave_one_session_out": "each session is the test split of one fold",
    "speakers": "no speaker is in two splits",
}
DIGITS = 12  # shown of a digest


def by_split(protocol: Protocol) -> Iterator[list[str]]:
    """Dialogues, speakers, utterances and labelled ones by split, and by fold if several."""
    for fold in protocol.folds:
        for split in SPLITS:
            entries = [e for e in protocol.entries if (e.fold, e.split) == (fold, split)]
            labels = Counter(e.label for e in entries if e.label is not None)
            numbers = [
                len({e.dialogue for e in entries}),
                len({e.speaker for e in entries}),
                len(entries),
                labels.total(),
                *(labels[label] for label in range(len(protocol.classes))),
            ]
            name = f"fold {fold}, {split}" if len(protocol.folds) > 1 else split
            yield [name, *(f"{number:,}" for number in numbers)]


@dataclass(frozen=True)
class Count:
    """A published count beside the one of the corpus here."""

    name: str
    here: int
    published: int

    @property
    def agrees(self) -> bool:
        """Whether the two are the same."""
        return self.here == self.published


def published_counts(results: Results) -> list[Count]:
    """All counts that are published of a whole release; none where the corpus is not one."""
    if results.generated or not results.origin.full:
        return []
    groups = [*side_by_side(results.utterances, results.reader.published)]
    for splits, expected in results.protocol_settings.published(results.reader).items():
        labels = Counter(
            results.protocol.classes[entry.label]
            for entry in results.protocol.entries
            if entry.fold == 0 and entry.split in splits and entry.label is not None
        )
        groups.append(("+".join(splits), labels, expected))
    return [
        Count(f"{where}: {name}", counted[name], number)
        for where, counted, expected in groups
        for name, number in expected.items()
    ]


def protocol_words(
    settings: ProtocolSettings, reader: Reader, classes: Sequence[str]
) -> Iterator[str]:
    """Labels and splits in sentences."""
    name = settings.label_set if isinstance(settings.label_set, str) else "custom"
    policy = reader.label_policies[settings.label_policy]
    yield f"Label set {name} ({', '.join(classes)}); the label is {policy.description}."
    use = "dropped" if settings.unlabelled == "drop" else "kept as context without loss or score"
    yield f"Utterances without a label in the set are {use}."
    yield f"{sentence(SPLITTING[settings.splits])}{_validation(settings, reader)}."


def _validation(settings: ProtocolSettings, reader: Reader) -> str:
    if settings.splits == "speakers":
        shares = (settings.valid_fraction or 0, settings.test_fraction or 0)
        valid, test = (f"{100 * share:g} %" for share in shares)
        return (
            f"; {valid} of the speakers are for validation, {test} for test, drawn with seed "
            f"{settings.seed}"
        )
    if settings.validation is None:
        return ""
    if settings.validation in reader.validation:
        count = len(reader.validation[settings.validation])
        return f"; validation is the {count} dialogues of {settings.validation}"
    fraction = f"{100 * (settings.valid_fraction or 0):g} %"
    return {
        "last_20": "; validation is the last 20 dialogues outside the test split",
        "fraction": f"; validation is {fraction} of each session's dialogues, drawn with seed "
        f"{settings.seed}",
    }[settings.validation]


def features(results: Results) -> Iterator[list[str]]:
    """What each modality's store was made with: a fact, and a cell per modality in use."""
    facts = [_facts(store, results.masked[name]) for name, store in results.features.items()]
    for name in facts[0] if facts else ():
        if any(of[name] for of in facts):
            yield [name, *(of[name] or NONE for of in facts)]


def _facts(store: Mapping[str, Any], masked: int) -> dict[str, str | None]:
    frames = store.get("frames", {})
    return {
        "extractor": store.get("extractor"),
        **_encoder(store.get("encoder", {})),
        "dimension": f"{store['dimension']:,}" if "dimension" in store else None,
        "settings": _lines(store["settings"]),
        "computed on": _lines(store.get("compute", {})),
        "versions": _lines(store.get("versions", {})),
        "frames": _lines(frames.get("settings", {})),
        "faces": _lines(frames.get("faces", {})),
        **{f"faces, {name}": fact for name, fact in _encoder(frames.get("encoder", {})).items()},
        "masked utterances": f"{masked:,}",
    }


def _encoder(encoder: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "encoder": encoder.get("name"),
        "architecture": encoder.get("architecture"),
        "revision": encoder.get("revision"),
        "SHA-256": encoder.get("sha256", "")[:DIGITS],
        "licence": encoder.get("licence"),
    }


def _lines(settings: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value(setting)}" for name, setting in settings.items())


def common_settings(results: Results) -> Iterator[list[str]]:
    """The settings of protocol and computing that are set."""
    sections = {"protocol": results.protocol_settings, "compute": results.compute}
    for section, settings in sections.items():
        for name, setting in settings.model_dump().items():
            if setting is not None:
                yield [f"{section}.{name}", value(setting)]


def system_settings(systems: Sequence[SystemResults]) -> Iterator[list[str]]:
    """Each setting of any system, and a cell per system."""
    blocks = [system.settings for system in systems if system.settings]
    for name in dict.fromkeys(name for block in blocks for name in block):
        yield [name, *(value(block[name]) if name in block else NONE for block in blocks)]
