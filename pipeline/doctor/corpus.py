"""Whether a corpus is there and readable, and whether its labels and splits fit."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params
from pipeline.corpora.protocol import check_labels, make_protocol, remarks
from pipeline.corpora.published import differences
from pipeline.corpora.reader import RawCorpus
from pipeline.corpora.registry import CorpusSettings
from pipeline.corpora.settings import ProtocolSettings
from pipeline.doctor.advice import advice
from pipeline.doctor.findings import Finding, bad, good, note
from pipeline.doctor.media import files
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.frames.settings import FramesSettings
from pipeline.features.imported import find_features

# A picture of real footage as JPEG of quality 95 at 224 x 224, a frame's vector, the vectors of
# sound and text; each lies in the store, in the clip cache and in DVC's cache.
BYTES_PER_FRAME, BYTES_PER_UTTERANCE, COPIES = 15_000 + 4_000, 6373 * 4 + 768 * 4, 3


def closed_files(corpus: str, root: Path) -> Iterator[Finding]:
    """Whether each file may be read, as DVC reads all of them; it passes closed folders over."""
    every = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    closed = [file for file in every if not os.access(file, os.R_OK) and not _dangling(file)]
    if closed:
        yield bad(
            f"{corpus}: {len(closed)} files may not be read, such as {min(closed)}, and DVC reads "
            f"all: chmod -R u+rX {shlex.quote(str(root))}/"
        )


def _dangling(file: Path) -> bool:
    try:
        return not file.exists()
    except OSError:  # its folder may be listed, but not searched
        return False


def read_corpus(params: Params, corpus: str) -> RawCorpus | Finding:
    """A corpus as its reader gives it, or why there is none."""
    root, settings = paths.raw(corpus), params.of(CorpusSettings, corpus)
    if not root.exists():
        return _absent(params, corpus, root)
    try:
        return settings.reader.read(root, settings.root)
    except PipelineError as error:
        return bad(f"{corpus}: {error}")


def _absent(params: Params, corpus: str, root: Path) -> Finding:
    if root.is_symlink():
        return bad(
            f"{corpus}: {root} is a dangling link; link the corpus again: `ln -sfn DIR {root}`"
        )
    if corpus in params.demos:
        return good(f"{corpus}: a demo corpus, `dvc repro` generates {root}")
    return bad(
        f"{corpus}: {root} does not exist; link the corpus there: `ln -s /where/it/is {root}`"
    )


def examined(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """The findings on a corpus that could be read; opens no more than a sample of its files."""
    settings = params.of(CorpusSettings, corpus)
    options = settings.root
    dialogues = len({u.dialogue for u in raw.utterances})
    speakers = len({u.speaker for u in raw.utterances})
    yield good(
        f"{corpus}: {len(raw.utterances)} utterances, {dialogues} dialogues, {speakers} speakers "
        f"by the reader {options.reader!r}"
    )
    modalities = params.of(ExtractSettings, corpus).modalities
    yield from (note(f"{corpus}: {text}") for text in raw.notes_on(modalities))
    if left := [f"{number} {what}" for what, number in raw.left_aside.items() if number]:
        yield note(f"{corpus}: left aside: {', '.join(left)}")
    if options.full:
        differing = differences(raw.utterances, settings.reader.published)
        yield from (note(f"{corpus}: not as published: {line}") for line in differing)
        if not differing:
            yield good(f"{corpus}: counts as published")
    yield from _protocol(params, corpus, raw)
    yield from _imported(params, corpus, raw)
    yield from files(params, corpus, raw, paths.raw(corpus))


def _protocol(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """Whether labels and splits fit this corpus, and whom they leave out: they need no media."""
    settings = params.of(ProtocolSettings, corpus)
    reader = params.of(CorpusSettings, corpus).reader
    try:
        check_labels(settings, reader, raw.label_policy, raw.label_sets)
        protocol = make_protocol(raw.utterances, settings, reader)
    except PipelineError as error:
        yield bad(f"{corpus}: {error}")
        yield from (note(f"{corpus}: {line}") for line in advice(raw.utterances, settings, reader))
        return
    labelled = sum(entry.label is not None for entry in protocol.entries if entry.fold == 0)
    yield good(f"{corpus}: the protocol fits, {labelled} labelled utterances")
    lines = [*remarks(raw.utterances, settings, reader), *advice(raw.utterances, settings, reader)]
    yield from (note(f"{corpus}: {line}") for line in lines)


def _imported(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """Whether the files of imported modalities can be read and are of this corpus."""
    settings, reader = params.of(ExtractSettings, corpus), params.of(CorpusSettings, corpus).reader
    for modality in settings.imported:
        try:
            found = find_features(settings, reader, raw.utterances, paths.raw(corpus), modality)
        except PipelineError as error:
            yield bad(f"{corpus}: {error}")
            continue
        there = sum(vectors is not None for _, vectors in found.rows)
        yield good(f"{corpus}: {modality} of {there} utterances imported from {found.path}")
        yield from (note(f"{corpus}: {modality}: {line}") for line in found.notes)


def bytes_needed(params: Params, corpus: str, utterances: int) -> float:
    """What a run may write for a corpus, roughly, in bytes."""
    visual = params.of(ExtractSettings, corpus).computed("visual")
    frames = params.of(FramesSettings, corpus).count if visual else 0
    return utterances * (frames * BYTES_PER_FRAME + BYTES_PER_UTTERANCE) * COPIES
