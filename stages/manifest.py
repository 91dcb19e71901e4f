"""Raw tree to manifest: the facts of every utterance, and what is wrong with its media."""

from pipeline import paths
from pipeline.corpora.inspect import inspected
from pipeline.corpora.registry import READERS
from pipeline.ledger import summary, write_ledger
from pipeline.manifest import write_manifest
from pipeline.params import Params
from pipeline.settings.corpus import CorpusSettings
from pipeline.stage import run


def work(params: Params, corpus: str) -> None:
    """Writes the manifest and its ledger."""
    options = params.of(CorpusSettings, corpus).root
    reader = READERS[getattr(options, "reader")]  # noqa: B009
    raw = reader.read(paths.raw(corpus), options)
    utterances, problems = inspected(raw.utterances, paths.raw(corpus), f"manifest {corpus}")
    write_manifest(paths.manifest(corpus), utterances)
    write_ledger(paths.ledger(corpus, "manifest"), problems)
    dialogues = len({u.dialogue for u in utterances})
    speakers = len({u.speaker for u in utterances})
    print(f"{corpus}: {len(utterances)} utterances, {dialogues} dialogues, {speakers} speakers")
    print("".join(f"  left aside: {n} {what}\n" for what, n in raw.left_aside.items() if n), end="")
    print(f"{len(problems)} problems in the ledger\n{summary(problems)}")


if __name__ == "__main__":
    run(work)
