"""`python -m pipeline doctor`: find what would stop a run before it starts."""

import re
from collections.abc import Generator, Iterator, Sequence

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, read_params
from pipeline.doctor import machine
from pipeline.doctor.corpus import bytes_needed, closed_files, examined, read_corpus
from pipeline.doctor.encoders import encoders_of
from pipeline.doctor.findings import Finding, bad, good
from pipeline.doctor.systems import systems_of


def examine(corpora: Sequence[str]) -> int:
    """Print one line per finding, and a verdict.

    Args:
        corpora: Which to look at; empty for those of params.yaml.

    Returns:
        0 if nothing stands in the way of a run, else 1.
    """
    to_fix = 0
    for finding in _findings(corpora):
        corpus = finding.text.partition(":")[0]  # messages of stages do not know which it is
        text = re.sub(r"\bCORPUS\b", corpus, finding.text)
        say(f"{finding.level:<4}  {text}")
        to_fix += finding.level == "FIX"
    say(
        "not looked at: whether files are whole and decode to their end, and their content (the "
        "stage `manifest` opens each file, `frames` and `audio` decode them); whether encoders "
        "that are not here can be downloaded"
    )
    say(f"verdict: {f'fix first: {to_fix}' if to_fix else '`dvc repro` can run'}")
    return int(to_fix > 0)


def _findings(corpora: Sequence[str]) -> Iterator[Finding]:
    yield from machine.findings()
    try:
        params = read_params()
    except PipelineError as error:
        yield bad(str(error))
        return
    yield good(f"params.yaml is valid, corpora {params.corpora}")
    yield machine.device(params)
    needed = 0.0
    for corpus in corpora or params.corpora:
        try:
            needed += yield from _of_corpus(params, corpus)
        except PipelineError as error:
            yield bad(f"{corpus}: {error}")
        except OSError as error:
            yield bad(f"{corpus}: {error.strerror}: {error.filename or ''}")
    yield machine.room(needed)


def _of_corpus(params: Params, corpus: str) -> Generator[Finding, None, float]:
    """The findings on a corpus; returns the bytes that a run may write for it."""
    yield from closed_files(corpus, paths.raw(corpus))
    raw, needed = read_corpus(params, corpus), 0.0
    if isinstance(raw, Finding):
        yield raw
    else:
        yield from examined(params, corpus, raw)
        needed = bytes_needed(params, corpus, len(raw.utterances))
    yield from encoders_of(params, corpus)
    yield from systems_of(params, corpus)
    return needed
