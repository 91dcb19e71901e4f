"""Feature stores of the test utterances alone, with one modality of them made worse."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.corruption.corruptions import Corruption
from pipeline.corruption.draws import drawn
from pipeline.corruption.extracting import Extractors
from pipeline.corruption.trained import TrainedModels
from pipeline.records.features import Features, of_utterances
from pipeline.records.manifest import Utterance, stream_manifest

Vectors = Mapping[str, np.ndarray | None]


class CorruptedStores:
    """Makes stores of the test utterances of all folds.

    Args:
        trained: The models, with the clean features.
        extractors: By modality of the models.
    """

    def __init__(self, trained: TrainedModels, extractors: Extractors) -> None:
        self._trained, self._extractors = trained, extractors
        names = {e.utterance for fold in trained.protocol.folds for e in trained.tested(fold)}
        manifest = stream_manifest(paths.manifest(trained.corpus))
        self._utterances = [u for u in manifest if u.utterance in names]

    def make(self, corruption: Corruption, level: float) -> Features:
        """A store of the test utterances, one modality of them corrupted.

        Raises:
            PipelineError: What is to be corrupted is gone, or of another run than the features.
        """
        clean = self._trained.stores[corruption.modality]
        rows = of_utterances(clean, [u.utterance for u in self._utterances])
        having = [u for u, row in zip(self._utterances, rows, strict=True) if clean.present[row]]
        if corruption.apply is None:
            vectors = _dropped(clean, having, corruption, level)
        else:
            vectors = dict(self._extractors[corruption.modality].rows(having, corruption, level))
            _check_same(having, vectors, corruption.modality)
        return store_of([u.utterance for u in self._utterances], vectors, clean)


def _dropped(
    clean: Features, having: Sequence[Utterance], corruption: Corruption, percent: float
) -> Vectors:
    """Vectors of the utterances that keep the modality, of those that have it."""
    names = [u.utterance for u in having]
    gone = drawn(names, percent, corruption.modality, corruption.name)
    rows = of_utterances(clean, names)
    cut = (clean.values[clean.offsets[row] : clean.offsets[row + 1]] for row in rows)
    return {name: vectors for name, vectors in zip(names, cut, strict=True) if name not in gone}


def _check_same(having: Sequence[Utterance], vectors: Vectors, modality: str) -> None:
    lacking = [u.utterance for u in having if u.utterance not in vectors]
    if lacking:
        raise PipelineError(
            f"{modality} of {len(lacking)} test utterances is nowhere to be found, such as that of "
            f"{lacking[0]}, though it has features: manifest, frames and features are not of the "
            "same run. Run `dvc repro`."
        )


def store_of(utterances: Sequence[str], vectors: Vectors, clean: Features) -> Features:
    """A feature store in memory.

    Args:
        utterances: In manifest order.
        vectors: [frame, feature] float32 by utterance; those without lack the modality.
        clean: Whose provenance and dimension it has.
    """
    rows = [vectors.get(utterance) for utterance in utterances]
    frames = [0 if one is None else len(one) for one in rows]
    present = [one for one in rows if one is not None]
    return Features(
        utterances=list(utterances),
        present=np.array([one is not None for one in rows]),
        offsets=np.concatenate([[0], np.cumsum(frames, dtype=np.int64)]),
        values=np.concatenate([np.zeros((0, clean.dimension), np.float32), *present]),
        provenance=clean.provenance,
    )
