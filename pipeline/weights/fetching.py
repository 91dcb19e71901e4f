"""Completing an encoder's folder: what is missing is fetched, what is wrong is told."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing
from pipeline.weights.caches import CachePlace, cache_place
from pipeline.weights.download import SourceError
from pipeline.weights.lock import EncoderEntry, WantedFile
from pipeline.weights.sources import Fetcher

# Writes a file, unverified, or raises SourceError.
Getter = Callable[[Path], None]
# A file that no source gave, and one line per way that was tried.
Failure = tuple[WantedFile, list[str]]


def missing_files(entry: EncoderEntry, folder: Path) -> list[WantedFile]:
    """The files that are not in the store; those that are must be the right ones.

    A wrong file was put there by somebody, as nothing here writes one: it is theirs to remove.

    Raises:
        PipelineError: A file is another one.
    """
    missing, wrong = [], []
    for file in entry.files:
        path = folder / file.name
        if not path.exists():
            missing.append(file)
        elif reason := file.difference(path):
            wrong.append(f"  {path.absolute()}: {reason}")
    if wrong:
        raise PipelineError(
            f"Files in the weights store are not those of {entry.name}:\n"
            + "\n".join(wrong)
            + "\nDelete them, to have them fetched anew, or replace them with the right ones."
        )
    return missing


def fetch_all(files: list[WantedFile], folder: Path) -> list[Failure]:
    """Fetches files; returns those that no source gave."""
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        fetcher = Fetcher(Path(scratch))
        tried = [(file, _fetch_one(file, folder / file.name, fetcher)) for file in files]
    return [(file, reasons) for file, reasons in tried if reasons]


def _fetch_one(file: WantedFile, path: Path, fetcher: Fetcher) -> list[str]:
    """Tries every way in turn; returns why each failed, or nothing once one gave the file."""
    reasons: list[str] = []
    for label, get in _ways(file, fetcher):
        try:
            with replacing(path) as part:
                get(part)
                if difference := file.difference(part):
                    print(f"warning: not used, {label}: {difference}", file=sys.stderr)
                    raise SourceError(difference)
        except SourceError as error:
            reasons.append(f"{label}: {error}")
        else:
            print(f"{path}: from {label}", file=sys.stderr)
            return []
    return reasons


def _ways(file: WantedFile, fetcher: Fetcher) -> Iterator[tuple[str, Getter]]:
    """The caches of all the file's sources, then the sources, each with its name for messages."""
    for place in filter(None, map(cache_place, file.sources)):
        yield place.label, partial(_copy_cached, place)
    for source in file.sources:
        yield str(source), partial(fetcher.fetch, source, file)


def _copy_cached(place: CachePlace, destination: Path) -> None:
    if place.path is None:
        raise SourceError("not there")
    try:
        shutil.copyfile(place.path, destination)
    except OSError as error:
        raise SourceError(str(error)) from error


def failure_text(
    entry: EncoderEntry, folder: Path, failures: list[Failure], setting: str, others: list[str]
) -> str:
    """What to say where some files could not be had, and what can be done.

    Args:
        entry: The encoder.
        folder: Its folder in the store.
        failures: What no source gave.
        setting: The setting that names the encoder.
        others: Names of encoders that may serve instead.
    """
    lines = [f"No source gave {len(failures)} of the {len(entry.files)} files of {entry.name}:"]
    for file, reasons in failures:
        lines.append(f"  {file.name}")
        lines += [f"    tried {reason}" for reason in reasons]
        lines.append(f"    put it at {(folder / file.name).absolute()}")
        lines.append(f"    with {file.label} {file.expected}")
    advice = "Run this again with a connection, or put the files where it says above"
    if others:
        advice += f", or set {setting} in params.yaml to another encoder: {', '.join(others)}"
    lines.append(f"{advice}.")
    return "\n".join(lines)
