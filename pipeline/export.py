"""`python -m pipeline export`: a corpus in a layout of the field's repositories."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from pipeline.base import paths
from pipeline.base.display import terminal
from pipeline.base.errors import PipelineError
from pipeline.base.params import Params, hint
from pipeline.base.settings import Modality
from pipeline.corpora.registry import KNOWN
from pipeline.corpora.settings import ProtocolSettings
from pipeline.evaluation.summary import source
from pipeline.feature_files.export import LAYOUTS, README, export
from pipeline.feature_files.exported import Exported
from pipeline.features.common.settings import ExtractSettings
from pipeline.records.features import Features, read_features
from pipeline.records.head import read_head
from pipeline.records.manifest import read_manifest, read_origin
from pipeline.records.protocol import read_protocol


def carry_out(
    params: Params, corpus: str, layout: str, out: Path | None, console: Console | None = None
) -> None:
    """Export a corpus to a folder, by default below data/exported, and print its README.md.

    Raises:
        PipelineError: An unknown name, a stage that did not run, or a corpus that does not fit.
    """
    params.check(corpus)
    if layout not in LAYOUTS:
        raise PipelineError(f"--layout: got {layout!r}{hint(layout, LAYOUTS)}")
    folder = out or paths.exported(corpus, layout)
    export(layout, read_exported(params, corpus), folder)
    console = console or terminal()
    console.print(Markdown((folder / README).read_text("utf-8")))
    console.print(f"\n{folder}", soft_wrap=True)


def read_exported(params: Params, corpus: str) -> Exported:
    """Read a corpus that ran up to its features.

    Raises:
        PipelineError: The manifest, the protocol or a store is missing or damaged.
    """
    settings = params.of(ProtocolSettings, corpus)
    utterances = read_manifest(paths.manifest(corpus))
    name = read_origin(paths.manifest(corpus)).reader
    reader = KNOWN[name]
    policy = reader.label_policies[settings.label_policy]
    stores = {
        modality: store
        for modality in params.of(ExtractSettings, corpus).modalities
        if (store := read_features(paths.features(corpus, modality))).present.any()
    }
    return Exported(
        corpus=corpus,
        reader=name,
        utterances=utterances,
        emotions=[policy.code(u) for u in utterances],
        label_policy=settings.label_policy,
        protocol=read_protocol(paths.protocol(corpus)),
        orders=[label_set.classes for label_set in reader.label_sets.values()],
        stores=stores,
        made_with={m: _made_with(store.provenance) for m, store in stores.items()},
        trained_on={m: _trained_on(corpus, m, store) for m, store in stores.items()},
    )


def _made_with(provenance: dict[str, Any]) -> str:
    return source(provenance) or str(provenance.get("file") or provenance["extractor"])


def _trained_on(corpus: str, modality: Modality, store: Features) -> str:
    """Whose labels an encoder has seen: of a file, what is known; of ours, if it was fine-tuned."""
    if "trained_on" in store.provenance:
        return str(store.provenance["trained_on"])
    head = paths.head(corpus)
    finetuned = modality == "text" and head.exists() and read_head(head) is not None
    return "train" if finetuned else "none"
