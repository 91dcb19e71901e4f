"""Manifest to protocol: labels, folds and splits."""

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.corpora.protocol import check_labels, make_protocol, remarks
from pipeline.corpora.published import split_differences
from pipeline.corpora.registry import KNOWN
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import read_manifest, read_origin
from pipeline.records.protocol import counts, write_protocol


def work(params: Params, corpus: str) -> None:
    """Writes the protocol and prints its class counts."""
    settings, manifest = params.of(ProtocolSettings, corpus), paths.manifest(corpus)
    utterances, origin = read_manifest(manifest), read_origin(manifest)
    reader = KNOWN[origin.reader]
    check_labels(settings, reader, origin.label_policy, origin.label_sets)
    protocol = make_protocol(utterances, settings, reader)
    write_protocol(paths.protocol(corpus), protocol)
    for fold in protocol.folds:
        for split, by_class in counts(protocol, fold).items():
            listed = ", ".join(f"{name} {count}" for name, count in by_class.items())
            where = f"fold {fold}, {split}" if len(protocol.folds) > 1 else split
            say(f"{where}: {sum(by_class.values())} labelled utterances ({listed})")
    for remark in remarks(utterances, settings, reader):
        say(f"note: {remark}")
    if origin.full:
        for line in split_differences(counts(protocol), settings.published(reader)):
            say(f"not as published: {line}")


if __name__ == "__main__":
    run(work)
