"""Which systems a corpus has, which are left out, and which are trained."""

from collections.abc import Collection, Iterator

from pipeline.base import paths
from pipeline.base.params import Params
from pipeline.doctor.findings import Finding, good, note
from pipeline.records.epochs import read_epochs


def systems_of(params: Params, corpus: str) -> Iterator[Finding]:
    """The findings on the systems of a corpus; params.yaml is checked, so each has a block."""
    on, off = _enabled(params, corpus, True), _enabled(params, corpus, False)
    yield good(f"{corpus}: systems {', '.join(on) or 'none'}; reference {params.reference}")
    if off:
        yield note(f"{corpus}: left out, as `enabled` is false: {', '.join(off)}")
    if params.reference in off:
        yield note(
            f"{corpus}: the reference {params.reference} is left out, so no difference to it is "
            "given: enable it, or name another as `reference`"
        )
    folder = paths.checkpoints(corpus, "")
    counts = {p.name: len(list(p.glob("*.safetensors"))) for p in sorted(folder.glob("*/"))}
    trained = [f"{name} {counts[name]}" for name in on if counts.get(name)]
    yield good(f"{corpus}: checkpoints: {', '.join(trained) or 'none yet'}")
    for name in on:
        epochs = paths.epochs(corpus, name)
        if counts.get(name) == 0 and epochs.is_file():
            _, about = read_epochs(epochs)
            yield note(
                f"{corpus}: {name} was left out: {about.get('left_out', 'no reason is kept')}"
            )
    if others := [name for name, count in counts.items() if count and name not in on]:
        yield note(f"{corpus}: checkpoints of {', '.join(others)}, which no stage trains here")


def readers(params: Params, corpus: str, modalities: Collection[str]) -> str:
    """The settings by which the systems of a corpus read some modalities."""
    names = [
        name
        for name in _enabled(params, corpus, True)
        if not set(modalities).isdisjoint(params.system(corpus, name).modalities)
    ]
    listed = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
    return f"{corpus}.{listed}.modalities" if names else "what else names it"


def _enabled(params: Params, corpus: str, enabled: bool) -> list[str]:
    return [n for n in params.systems if params.system(corpus, n).enabled == enabled]
