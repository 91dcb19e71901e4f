"""Raw tree to manifest: the facts of every utterance, and what is wrong with its media."""

import math

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.corpora.inspect import inspected
from pipeline.corpora.published import differences
from pipeline.corpora.reader import MediaOptions
from pipeline.corpora.registry import CorpusSettings
from pipeline.features.common.settings import ExtractSettings
from pipeline.records.ledger import of_extracted, retry, summary, write_ledger
from pipeline.records.manifest import Origin, write_manifest


def work(params: Params, corpus: str) -> None:
    """Writes the manifest and its ledger."""
    settings, root = params.of(CorpusSettings, corpus), paths.raw(corpus)
    options, reader = settings.root, settings.reader
    raw = reader.read(root, options)
    label = f"manifest {corpus}"
    extract = params.of(ExtractSettings, corpus)
    modalities = [m for m in extract.modalities if extract.computed(m)]
    longest = options.max_seconds if isinstance(options, MediaOptions) else math.inf
    utterances, found = inspected(raw.utterances, root, longest, label, modalities)
    there = {
        "text": True,
        "audio": any(u.audio for u in utterances),
        "visual": any(u.video for u in utterances),
    }
    left_out = [m for m in there if there[m] and m not in extract.modalities]
    problems = of_extracted(found, modalities, left_out)
    origin = Origin(settings.of, options.full, raw.label_policy, raw.label_sets)
    write_manifest(paths.manifest(corpus), utterances, origin)
    write_ledger(paths.ledger(corpus, "manifest"), problems)
    dialogues = len({u.dialogue for u in utterances})
    speakers = len({u.speaker for u in utterances})
    say(f"{corpus}: {len(utterances)} utterances, {dialogues} dialogues, {speakers} speakers")
    say("".join(f"  left aside: {n} {what}\n" for what, n in raw.left_aside.items() if n), end="")
    say("".join(f"  note: {note}\n" for note in raw.notes_on(modalities)), end="")
    if options.full:
        _compare(differences(utterances, reader.published))
    say(f"{len(problems)} problems in the ledger")
    lines = [*summary(problems), *retry(problems, "manifest", corpus)]
    say("".join(f"{line}\n" for line in lines), end="")


def _compare(differing: list[str]) -> None:
    say("counts: as published" if not differing else "counts differ from the published ones:")
    say("".join(f"  {line}\n" for line in differing), end="")


if __name__ == "__main__":
    run(work)
