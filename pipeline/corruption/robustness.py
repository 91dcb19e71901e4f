"""`python -m pipeline robustness CORPUS`: trained systems on test utterances made worse."""

from collections.abc import Sequence

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.base.settings import MODALITIES
from pipeline.corruption import page
from pipeline.corruption.corrupted import extractors
from pipeline.corruption.curves import measure
from pipeline.corruption.on_cluster import corrupt_on_cluster
from pipeline.corruption.tested import read_tested
from pipeline.features.common.settings import ExtractSettings
from pipeline.prediction.checkpoints import checkpoints_in, find_checkpoints
from pipeline.prediction.features import provenance
from pipeline.records.features import Features, read_features
from pipeline.records.protocol import read_protocol


def carry_out(corpus: str, systems: Sequence[str], quick: bool) -> None:
    """Measure, print the table and write it to docs/robustness.

    Args:
        corpus: Whose checkpoints.
        systems: Which; empty for all that have checkpoints.
        quick: One seed and fewer steps, to docs/robustness/quick.

    Raises:
        PipelineError: There is no checkpoint, or something is not as it was trained with.
    """
    params = read_params()
    params.check(corpus)
    for name in systems:
        params.check_system(name)
    folders = {name: paths.checkpoints(corpus, name) for name in systems or params.systems}
    found = [
        find_checkpoints(folder)
        for name, folder in folders.items()
        if name in systems or checkpoints_in(folder)
    ]
    if not found:
        raise PipelineError(
            f"{corpus} has no checkpoint in {paths.checkpoints(corpus, '')}: `dvc repro` trains."
        )
    places, protocol = paths.places(corpus), read_protocol(paths.protocol(corpus))
    used = [m for m in MODALITIES if any(m in one.dimensions for one in found)]
    stores: dict[str, Features] = {m: read_features(paths.features(corpus, m)) for m in used}
    imported = params.of(ExtractSettings, corpus).imported
    computed = [m for m in used if m not in imported]
    made = provenance(params, corpus, places, computed)
    made |= {m: stores[m].provenance for m in used if m in imported}
    for one in found:
        one.check(made)
    tested = [read_tested(params, protocol, one, stores, quick) for one in found]
    extract = extractors(params, corpus, places, computed)
    corrupt_on_cluster(params, protocol, corpus, stores, extract, quick)
    measured = measure(tested, stores, extract, quick)
    page.show(measured)
    say("written:", *page.write(measured, systems, quick))
