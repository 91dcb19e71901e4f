"""Which media files of a corpus are there, and what the headers of a few say."""

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pipeline.base.errors import MediaError
from pipeline.base.files import LFS_HEAD
from pipeline.base.params import Params
from pipeline.base.workers import isolated
from pipeline.corpora.reader import RawCorpus
from pipeline.doctor.findings import GIGABYTE, Finding, bad, good, note
from pipeline.doctor.systems import readers
from pipeline.features.common.settings import ExtractSettings
from pipeline.media.probe import Probe, probe, unusable
from pipeline.records.manifest import Segment

STREAM: dict[str, Literal["video", "audio"]] = {"visual": "video", "audio": "audio"}
SAMPLE, SECONDS = 20, 20.0


def files(params: Params, corpus: str, raw: RawCorpus, root: Path) -> Iterator[Finding]:
    """Which files are there, by name and size alone, then the headers of a few."""
    paths_of = {
        "visual": _paths(u.video for u in raw.utterances),
        "audio": _paths(u.audio for u in raw.utterances),
    }
    settings = params.of(ExtractSettings, corpus)
    extracted = [m for m in settings.modalities if settings.computed(m)]
    worded = any(u.text.strip() for u in raw.utterances)
    never = [m for m in extracted if not (worded if m == "text" else paths_of[m])]
    if never:
        yield bad(
            f"{corpus}: no utterance has {never}: take {never} out of {corpus}.extract.modalities "
            f"and {readers(params, corpus, never)}"
        )
    needed = [m for m in paths_of if m in extracted and paths_of[m]]
    sizes = {path: _size(root / path) for m in needed or paths_of for path in paths_of[m]}
    pointers = {p for p, size in sizes.items() if 0 < (size or 0) < 1024 and _is_pointer(root / p)}
    there = [path for path, size in sizes.items() if size and path not in pointers]
    if not sizes:
        yield good(f"{corpus}: no media files, and none are expected")
        return
    line = f"{corpus}: {_presence(root, sizes, len(pointers))}"
    masked = needed and len(there) < len(sizes)
    yield note(f"{line}; what they lack is masked") if masked else good(line)
    none = [m for m in needed if paths_of[m].keys().isdisjoint(there)]
    if none:
        yield bad(
            f"{corpus}: not one file for {none}: put the files where the reader looks, such as "
            f"{root / next(iter(paths_of[none[0]]))}, or take {none} out of "
            f"{corpus}.extract.modalities and {readers(params, corpus, none)}"
        )
    if needed:
        yield from _headers(params, corpus, root, there, {m: paths_of[m] for m in needed})


def _paths(segments: Iterable[Segment | None]) -> dict[str, None]:
    return dict.fromkeys(segment.path for segment in segments if segment is not None)


def _presence(root: Path, sizes: Mapping[str, int | None], pointers: int) -> str:
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
    try:
        with path.open("rb") as file:
            return file.read(len(LFS_HEAD)) == LFS_HEAD
    except OSError:  # it may not be read: `_headers` says so, if it is one of its sample
        return False


def _headers(
    params: Params,
    corpus: str,
    root: Path,
    files: Sequence[str],
    paths_of: Mapping[str, Container[str]],
) -> Iterator[Finding]:
    """Opens a sample of each kind of file, spread evenly, as far as the time goes."""
    chosen = [path for kind in _by_suffix(files) for path in kind[:: max(1, len(kind) // SAMPLE)]]
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    opened: dict[str, Probe] = {}
    start = time.monotonic()
    items = ((path, root / path) for path in chosen)
    for path, found in isolated(_probed, items, lambda _: SECONDS):
        if isinstance(found, Probe):
            kinds[_kind(found)] += 1
            opened[path] = found
        else:
            wrong.append(f"{path}: {found}")
        if time.monotonic() - start > SECONDS:
            break
    looked = f"headers of {kinds.total() + len(wrong)} of {len(files)} files"
    listed = "; ".join(f"{number} {kind}" for kind, number in kinds.most_common(4))
    if kinds:
        yield good(f"{corpus}: {looked}: {listed}")
    if wrong:
        yield note(f"{corpus}: {looked}: {len(wrong)} cannot be opened, such as {wrong[0]}")
    for modality, paths_ in paths_of.items():
        lacks = [unusable(p, STREAM[modality]) for path, p in opened.items() if path in paths_]
        if lacks and all(lacks):
            yield bad(
                f"{corpus}: none of {len(lacks)} opened files has {modality} ({lacks[0]}): take "
                f"{modality} out of {corpus}.extract.modalities and "
                f"{readers(params, corpus, [modality])}"
            )


def _probed(path: Path) -> Probe | MediaError:
    """What a file holds; in a process of its own, which a broken file may crash."""
    try:
        return probe(path)
    except MediaError as error:
        return error


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
    return " + ".join(parts) or "without any stream"
