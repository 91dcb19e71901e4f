"""Manifest to protocol: labels, folds and splits."""

from pipeline.base import paths
from pipeline.base.params import Params
from pipeline.base.stage import run
from pipeline.corpora.protocol import make_protocol, remarks
from pipeline.corpora.published_splits import published_splits, split_differences
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import read_manifest, read_origin
from pipeline.records.protocol import counts, write_protocol


def work(params: Params, corpus: str) -> None:
    """Writes the protocol and tells its class counts."""
    settings, manifest = params.of(ProtocolSettings, corpus), paths.manifest(corpus)
    utterances = read_manifest(manifest)
    protocol = make_protocol(utterances, settings)
    write_protocol(paths.protocol(corpus), protocol)
    for fold in protocol.folds:
        for split, found in counts(protocol, fold).items():
            listed = ", ".join(f"{name} {count}" for name, count in found.items())
            where = f"fold {fold}, {split}" if len(protocol.folds) > 1 else split
            print(f"{where}: {sum(found.values())} labelled utterances ({listed})")
    for remark in remarks(utterances, settings):
        print(f"note: {remark}")
    origin = read_origin(manifest)
    if origin.full and origin.reader == "iemocap":
        task = (settings.label_set, settings.label_policy, settings.splits, settings.validation)
        for line in split_differences(counts(protocol, 0), published_splits(*task)):
            print(f"not as published: {line}")


if __name__ == "__main__":
    run(work)
