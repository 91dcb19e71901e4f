"""What a run on a cluster needs: Ray, and nodes that are alike."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

from pipeline.base.errors import PipelineError
from pipeline.doctor.findings import Finding, bad, good, note
from pipeline.executors.spread import EXECUTOR, Needs, on_cluster


def findings() -> Iterator[Finding]:
    """Nothing where work runs on this machine."""
    try:
        if not on_cluster():
            return
        yield from _of_nodes()
    except PipelineError as error:
        yield bad(str(error))


def _of_nodes() -> Iterator[Finding]:
    from pipeline.executors.cluster import ADDRESS, connected

    if find_spec("ray") and not os.environ.get(ADDRESS):
        yield note(f"{ADDRESS} is not set: each stage starts Ray on this machine alone, in 10 s")
    with connected(Needs("doctor")) as cluster:
        nodes = cluster.nodes().values()
        cores, gpus = (
            int(sum(one["Resources"].get(kind, 0) for one in nodes)) for kind in ("CPU", "GPU")
        )
    yield good(
        f"{EXECUTOR}=ray: nodes: {len(nodes)}, CPU cores: {cores}, GPUs: {gpus}; of the same code, "
        "libraries and CPU type, and all see this folder and its cache"
    )
