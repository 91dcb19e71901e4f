"""`python -m pipeline doctor`: what would stop a run, found before it starts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import av

from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.base.paths import cache_root
from pipeline.commands.encoders import encoders_of
from pipeline.commands.finding import Finding, bad, good, note
from pipeline.commands.raw_corpus import GIGABYTE, bytes_needed, examined, read_corpus
from pipeline.commands.tools import programs, repository

# What the known corpora hold: MELD, IEMOCAP, CREMA-D, and what users convert them to.
DECODERS = ("h264", "mpeg4", "flv", "aac", "mp3", "pcm_s16le")


def examine(corpora: list[str] | None) -> int:
    """Prints what was found, one line each, and a verdict.

    Args:
        corpora: Which to look at; None for those of params.yaml.

    Returns:
        0 if nothing stands in the way of a run, else 1.
    """
    to_mend = 0
    for finding in _findings(corpora):
        print(f"{finding.level:<4}  {finding.text}")
        to_mend += finding.level == "MEND"
    print(
        "not looked at: whether files are whole and decode to their end, and their content (the "
        "stage `manifest` opens each file, `frames` and `audio` decode them); whether encoders "
        "that are not here can be downloaded"
    )
    print(f"verdict: {f'mend first: {to_mend}' if to_mend else '`dvc repro` can run'}")
    return int(to_mend > 0)


def _findings(corpora: list[str] | None) -> Iterator[Finding]:
    yield repository()
    yield programs()
    yield _decoders()
    try:
        params = read_params()
    except PipelineError as error:
        yield bad(str(error))
        return
    yield good(f"params.yaml is valid, corpora {params.corpora}")
    needed = 0.0
    for corpus in corpora or params.corpora:
        try:
            raw = read_corpus(params, corpus)
            if isinstance(raw, Finding):
                yield raw
            else:
                yield from examined(params, corpus, raw)
                needed += bytes_needed(params, corpus, len(raw.utterances))
            yield from encoders_of(params, corpus)
        except PipelineError as error:
            yield bad(f"{corpus}: {error}")
    yield _disk(needed)


def _decoders() -> Finding:
    lacking = [name for name in DECODERS if name not in av.codecs_available]
    if lacking:
        return note(f"PyAV {av.__version__} lacks decoders of {lacking}: such files are masked")
    return good(f"PyAV {av.__version__} decodes {', '.join(DECODERS)}")


def _disk(needed: float) -> Finding:
    """Compares what is free with the bytes that frames and features may take."""
    folder = next(p for p in (cache_root(), *cache_root().absolute().parents) if p.is_dir())
    free = min(shutil.disk_usage(place).free for place in (Path(), folder))
    line = f"{free / GIGABYTE:.0f} GB free; frames and features may take {needed / GIGABYTE:.1f}"
    return good(line) if free > needed else bad(f"{line}: make room, or set ERC_CACHE elsewhere")
