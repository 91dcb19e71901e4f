"""The setup of a run: the corpus in numbers, what features were made with, all settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pipeline.corpora.published import side_by_side
from pipeline.records.protocol import SPLITS, Protocol
from pipeline.report.read import Results, SystemResults
from pipeline.report.words import NONE, value


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


def features(results: Results) -> Iterator[list[str]]:
    """What each modality's store was made with: a fact, and a cell per modality in use."""
    stores = [dict(_flat(store)) for store in results.features.values()]
    for name in dict.fromkeys(name for store in stores for name in store):
        yield [name, *(store.get(name, NONE) for store in stores)]
    yield ["masked utterances", *(f"{count:,}" for count in results.masked.values())]


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, fact in facts.items():
        if isinstance(fact, Mapping):
            yield from _flat(fact, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value(fact)


def described(section: str, settings: BaseModel) -> Iterator[list[str]]:
    """The settings of a section that are set, and what they mean."""
    for name, field in type(settings).model_fields.items():
        if (setting := getattr(settings, name)) is not None:
            yield [f"{section}.{name}", value(setting), field.description or ""]


def system_settings(systems: Sequence[SystemResults]) -> Iterator[list[str]]:
    """Each setting of any system, and a cell per system."""
    blocks = [system.settings for system in systems if system.settings]
    for name in dict.fromkeys(name for block in blocks for name in block):
        yield [name, *(value(block[name]) if name in block else NONE for block in blocks)]
