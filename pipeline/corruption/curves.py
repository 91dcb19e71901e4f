"""From corruptions to curves: features made worse, systems asked again, scores compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.base import paths
from pipeline.base.progress import track
from pipeline.corruption.corrupted import Extract, corrupted_store, corrupted_texts
from pipeline.corruption.corruptions import CORRUPTIONS, Corruption
from pipeline.corruption.tested import Stores, Tested, check_clean
from pipeline.evaluation.evaluate import collect_predictions, labelled_test_set
from pipeline.experiments.rows import Entrant, Row, compared
from pipeline.records.epochs import EpochPrediction
from pipeline.records.features import Features, of_utterances
from pipeline.records.manifest import Utterance, stream_manifest
from pipeline.records.predictions import TestSet
from pipeline.records.protocol import Protocol

CLEAN = "none"  # the step without corruption


@dataclass(frozen=True)
class Robustness:
    """All curves of a corpus."""

    corpus: str
    steps: Mapping[Corruption, tuple[float, ...]]
    """The corruptions and their levels, in the order of `CORRUPTIONS`."""

    rows: Mapping[tuple[str, Corruption], Sequence[Row]]
    """By system and corruption, the clean one first, then a row for each level; a corruption of a
    modality that the system does not read has the clean one alone."""

    masked: Mapping[Corruption, Sequence[int]]
    """Labelled test utterances without the modality, likewise; some lack it when clean."""

    @property
    def clean(self) -> dict[str, Row]:
        """What each system reaches without corruption."""
        return {system: rows[0] for (system, _), rows in self.rows.items()}

    @property
    def read(self) -> dict[tuple[str, Corruption], Sequence[Row]]:
        """The rows of corruptions of what a system reads."""
        return {key: rows for key, rows in self.rows.items() if len(rows) > 1}

    @property
    def test_set(self) -> TestSet:
        """The labelled test utterances."""
        return next(iter(self.rows.values()))[0].entrant.test_set


def measure(
    systems: Sequence[Tested], stores: Stores, extract: Mapping[str, Extract], quick: bool
) -> Robustness:
    """Corrupt each modality of the test split in steps, and score the systems on each.

    Args:
        systems: Of one corpus.
        stores: The clean features, of all modalities that a system reads.
        extract: By modality, what makes corrupted ones; imported ones have none.
        quick: Whether a few steps are enough.

    Raises:
        PipelineError: A system does not predict of clean features what training recorded.
    """
    corpus, protocol = systems[0].checkpoints.corpus, systems[0].protocol
    utterances = test_utterances(corpus, protocol)
    texts, test_set = {u.utterance: u.text for u in utterances}, labelled_test_set(protocol)

    def entrant(step: str, predictions: Sequence[EpochPrediction]) -> Entrant:
        return Entrant(step, *collect_predictions(predictions, protocol))

    clean = {}
    for system in systems:
        predictions = system.predict(stores, texts)
        check_clean(system, predictions)
        clean[system.name] = entrant(CLEAN, predictions)
    # Of imported features nothing but their absence can be tried.
    tried = [c for c in CORRUPTIONS if c.modality in (extract if c.apply else stores)]
    steps = {c: c.steps(quick) for c in tried}
    entrants = {(name, c): [first] for name, first in clean.items() for c in steps}
    masked = {c: [_masked(stores[c.modality], test_set)] for c in steps}
    for corruption, level in ((c, level) for c, levels in steps.items() for level in levels):
        modality, step = corruption.modality, corruption.step(level)
        made = corrupted_store(
            *(utterances, stores[modality], corruption, level),
            extract=extract[modality] if corruption.apply else None,
        )
        words = corrupted_texts(utterances, made, corruption, level)
        masked[corruption].append(_masked(made, test_set))
        readers = [system for system in systems if modality in system.modalities]
        label = f"{corpus}, predictions, {corruption.title} {step}"
        for system in track(readers, label, len(readers)):
            predictions = system.predict({**stores, modality: made}, words)
            entrants[system.name, corruption].append(entrant(step, predictions))
    rows = {key: compared(several) for key, several in entrants.items()}
    return Robustness(corpus, steps, rows, masked)


def test_utterances(corpus: str, protocol: Protocol) -> list[Utterance]:
    """Those of the test split, in manifest order."""
    tested = {e.utterance for e in protocol.entries if e.split == "test"}
    return [u for u in stream_manifest(paths.manifest(corpus)) if u.utterance in tested]


def _masked(store: Features, test_set: TestSet) -> int:
    return int((~store.present[of_utterances(store, test_set.utterances)]).sum())
