"""Manifest to protocol: labels, folds and splits."""

from pipeline import paths
from pipeline.labelling import make_protocol
from pipeline.manifest import read_manifest
from pipeline.params import Params
from pipeline.protocol import counts, write_protocol
from pipeline.settings.protocol import ProtocolSettings
from pipeline.stage import run


def work(params: Params, corpus: str) -> None:
    """Writes the protocol and tells its class counts."""
    utterances = read_manifest(paths.manifest(corpus))
    protocol = make_protocol(utterances, params.of(ProtocolSettings, corpus))
    write_protocol(paths.protocol(corpus), protocol)
    for split, found in counts(protocol).items():
        listed = ", ".join(f"{name} {count}" for name, count in found.items())
        print(f"{split}: {sum(found.values())} labelled utterances ({listed})")


if __name__ == "__main__":
    run(work)
