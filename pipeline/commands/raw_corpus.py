"""What the doctor sees of a corpus: its tree, the sizes of its files, the headers of a few."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.base import paths
from pipeline.base.errors import MediaError, PipelineError
from pipeline.base.files import LFS_HEAD
from pipeline.base.params import Params
from pipeline.commands.finding import Finding, bad, good, note
from pipeline.corpora.protocol import make_protocol
from pipeline.corpora.published import differences
from pipeline.corpora.reader import RawCorpus
from pipeline.corpora.registry import CorpusSettings
from pipeline.corpora.settings import ProtocolSettings
from pipeline.features.common.settings import ExtractSettings
from pipeline.features.frames.settings import FramesSettings
from pipeline.media.probe import Probe, probe

SAMPLE, SECONDS = 20, 20.0
GIGABYTE = 1e9
# A picture of real footage as JPEG of quality 95 at 224 x 224, a frame's vector, the vectors of
# sound and text; each lies in the store, in the clip cache and in DVC's cache.
BYTES_PER_FRAME, BYTES_PER_UTTERANCE, COPIES = 15_000 + 4_000, 6373 * 4 + 768 * 4, 3


def read_corpus(params: Params, corpus: str) -> RawCorpus | Finding:
    """A corpus as its reader gives it, or why there is none."""
    root, settings = paths.raw(corpus), params.of(CorpusSettings, corpus)
    if not root.exists():
        return _absent(params, corpus, root)
    try:
        return settings.reader.read(root, settings.root)
    except PipelineError as error:
        return bad(f"{corpus}: {error}")


def examined(params: Params, corpus: str, raw: RawCorpus) -> Iterator[Finding]:
    """The findings on a corpus that could be read; opens no more than a sample of its files."""
    settings = params.of(CorpusSettings, corpus)
    options = settings.root
    yield good(f"{corpus}: {_counts(raw)} by the reader {options.reader!r}")
    yield from (note(f"{corpus}: {text}") for text in _remarks(raw))
    if options.full:
        yield from _compared(corpus, differences(raw.utterances, settings.reader.published))
    yield _protocol(params, corpus, raw)
    yield from _files(params, corpus, raw, paths.raw(corpus))


def bytes_needed(params: Params, corpus: str, utterances: int) -> float:
    """What a run may write for a corpus, roughly, in bytes."""
    visual = "visual" in params.of(ExtractSettings, corpus).modalities
    frames = params.of(FramesSettings, corpus).count if visual else 0
    return utterances * (frames * BYTES_PER_FRAME + BYTES_PER_UTTERANCE) * COPIES


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


def _counts(raw: RawCorpus) -> str:
    dialogues = len({u.dialogue for u in raw.utterances})
    speakers = len({u.speaker for u in raw.utterances})
    return f"{len(raw.utterances)} utterances, {dialogues} dialogues, {speakers} speakers"


def _remarks(raw: RawCorpus) -> Iterator[str]:
    yield from raw.notes
    left = [f"{number} {what}" for what, number in raw.left_aside.items() if number]
    if left:
        yield f"left aside: {', '.join(left)}"


def _compared(corpus: str, differing: list[str]) -> Iterator[Finding]:
    if not differing:
        yield good(f"{corpus}: counts as published")
    yield from (note(f"{corpus}: not as published: {line}") for line in differing)


def _protocol(params: Params, corpus: str, raw: RawCorpus) -> Finding:
    """Whether labels and splits fit this corpus: they need no media."""
    try:
        reader = params.of(CorpusSettings, corpus).reader
        protocol = make_protocol(raw.utterances, params.of(ProtocolSettings, corpus), reader)
    except PipelineError as error:
        return bad(f"{corpus}: {error}")
    labelled = sum(entry.label is not None for entry in protocol.entries if entry.fold == 0)
    return good(f"{corpus}: the protocol fits, {labelled} labelled utterances")


def _files(params: Params, corpus: str, raw: RawCorpus, root: Path) -> Iterator[Finding]:
    """Which files are there, by name and size alone, then the headers of a few."""
    paths_of = {
        "visual": dict.fromkeys(u.video.path for u in raw.utterances),
        "audio": dict.fromkeys(u.audio.path for u in raw.utterances),
    }
    sizes = {path: _size(root / path) for path in (*paths_of["visual"], *paths_of["audio"])}
    pointers = {p for p, size in sizes.items() if 0 < (size or 0) < 1024 and _is_pointer(root / p)}
    there = [path for path, size in sizes.items() if size and path not in pointers]
    wanted = [m for m in paths_of if m in params.of(ExtractSettings, corpus).modalities]
    told = f"{corpus}: {_told(root, sizes, len(pointers))}"
    masked = wanted and len(there) < len(sizes)
    yield note(f"{told}; what they lack is masked") if masked else good(told)
    none = [m for m in wanted if paths_of[m].keys().isdisjoint(there)]
    if none:
        yield bad(
            f"{corpus}: not one file for {none}: put the files where the reader looks, such as "
            f"{root / next(iter(paths_of[none[0]]))}, or take {none} out of "
            f"{corpus}.extract.modalities and {corpus}.model.modalities"
        )
    yield from _headers(corpus, root, there)


def _told(root: Path, sizes: Mapping[str, int | None], pointers: int) -> str:
    lacking = Counter("absent" if size is None else "empty" for size in sizes.values() if not size)
    if pointers:
        lacking[f"Git-LFS pointers (git -C {root} lfs pull)"] = pointers
    there = len(sizes) - lacking.total()
    gigabytes = sum(size or 0 for size in sizes.values()) / GIGABYTE
    listed = "".join(f", {number} {kind}" for kind, number in lacking.items())
    return f"{there} of {len(sizes)} media files, {gigabytes:.2f} GB{listed}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(LFS_HEAD)) == LFS_HEAD


def _headers(corpus: str, root: Path, files: Sequence[str]) -> Iterator[Finding]:
    """Opens a sample of each kind of file, spread evenly, as far as the time goes."""
    chosen = [path for kind in _by_suffix(files) for path in kind[:: max(1, len(kind) // SAMPLE)]]
    kinds: Counter[str] = Counter()
    wrong = []
    start = time.monotonic()
    for path in chosen:
        if time.monotonic() - start > SECONDS:
            break
        try:
            kinds[_kind(probe(root / path))] += 1
        except MediaError as error:
            wrong.append(f"{path}: {error}")
    looked = f"headers of {kinds.total() + len(wrong)} of {len(files)} files"
    listed = "; ".join(f"{number} {kind}" for kind, number in kinds.most_common(4))
    if kinds:
        yield good(f"{corpus}: {looked}: {listed}")
    if wrong:
        yield note(f"{corpus}: {looked}: {len(wrong)} cannot be opened, such as {wrong[0]}")


def _by_suffix(files: Sequence[str]) -> list[list[str]]:
    suffixes = dict.fromkeys(Path(path).suffix for path in files)
    return [[path for path in files if path.endswith(suffix)] for suffix in suffixes]


def _kind(found: Probe) -> str:
    parts = []
    if found.video is not None:
        rate = f" {found.video.rate:.2f} fps" if found.video.rate else ""
        parts.append(f"{found.video.codec} {found.video.width}x{found.video.height}{rate}")
    if found.audio is not None:
        parts.append(f"{found.audio.codec} {found.audio.rate} Hz {found.audio.layout}")
    parts += [f"{kind} in a codec nobody here can decode" for kind in found.without_decoder]
    return " + ".join(parts) or "no stream"
