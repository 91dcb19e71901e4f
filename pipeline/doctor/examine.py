"""`python -m pipeline doctor`: find what would stop a run before it starts."""

import re
from collections.abc import Generator, Iterator, Sequence

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, read_params
from pipeline.doctor import cluster, machine
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
    yield from cluster.findings()
    needed, utterances = 0.0, 0
    for corpus in corpora or params.corpora:
        try:
            count = yield from _of_corpus(params, corpus)
            needed += bytes_needed(params, corpus, count)
            utterances += count
        except PipelineError as error:
            yield bad(f"{corpus}: {error}")
        except OSError as error:
            yield bad(f"{corpus}: {error.strerror}: {error.filename or ''}")
    yield machine.room(needed)
    if too_many := machine.files(utterances):
        yield too_many


def _of_corpus(params: Params, corpus: str) -> Generator[Finding, None, int]:
    """The findings on a corpus; returns how many utterances it has, 0 if nobody knows."""
    yield from closed_files(corpus, paths.raw(corpus))
    raw, utterances = read_corpus(params, corpus), 0
    if isinstance(raw, Finding):
        yield raw
    else:
        yield from examined(params, corpus, raw)
        utterances = len(raw.utterances)
    yield from encoders_of(params, corpus)
    yield from systems_of(params, corpus)
    return utterances
