"""The model card beside a checkpoint: what the model is, what it comes from, what it is not for."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, UndefinedError

from pipeline.base import paths
from pipeline.base.display import printable, table_cell
from pipeline.base.errors import PipelineError
from pipeline.records.protocol import SPLITS, Entry
from pipeline.systems.base import System, system
from pipeline.training.checkpoint import stated_system
from pipeline.training.data import FEW

TEMPLATE = Path(__file__).with_name("card.md.j2")
GENERATED = "demo_"  # how the corpora that the stage `demo` generates are called


def card(checkpoint: Path, facts: Mapping[str, Any], entries: Sequence[Entry]) -> str:
    """A checkpoint's card in Markdown; the same facts give the same text.

    Args:
        checkpoint: Where it lies.
        facts: What it was saved with.
        entries: Of all folds of the protocol, without test labels.
    """
    corpus = facts["corpus"]
    fold = [entry for entry in entries if entry.fold == facts["fold"]]
    made, kind = stated_system(facts), system(facts["system"])
    parts = _parts(made)
    text: str = _template().render(
        {**facts},
        file=checkpoint.name,
        path=checkpoint.as_posix(),
        generated=corpus.startswith(GENERATED),
        parts=parts,
        total=sum(parts.values()),
        sources=[s for m, about in facts["features"].items() for s in _sources(m, about)],
        opensmile=any(a["extractor"] == "opensmile" for a in facts["features"].values()),
        folds=len({entry.fold for entry in entries}),
        splits=[_split(name, fold, facts["classes"]) for name in SPLITS],
        speakers=_speakers(fold),
        extraction=_extraction(facts["features"]),
        imported={m: a["trained_on"] for m, a in facts["features"].items() if "trained_on" in a},
        protocol=paths.protocol(corpus).as_posix(),
        metrics=paths.metrics(corpus, facts["system"], "metrics.json").as_posix(),
        slices=paths.metrics(corpus, facts["system"], "tables", "slices.csv").as_posix(),
        source=kind.SOURCE,
        what=" ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        few=FEW if facts["settings"].get("standardise") == "speaker" else 0,
        alone=not made.READS_DIALOGUE or facts["settings"].get("context") == "none",
    )
    return text


def check_card(checkpoint: Path, facts: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """Draw up a card before training, as its stores alone may not allow it afterwards.

    Raises:
        PipelineError: The provenance of a store lacks what the card states.
    """
    for modality, provenance in facts["features"].items():
        try:
            shape = {**facts["shape"], "features": {modality: provenance["dimension"]}}
            alone = {"shape": shape, "features": {modality: provenance}}
            card(checkpoint, {**facts, **alone}, entries)
        except (LookupError, TypeError, AttributeError, ValueError, UndefinedError) as error:
            store = paths.features(facts["corpus"], modality)
            raise PipelineError(
                f"{store}: its provenance lacks what a model card states "
                f"({type(error).__name__}: {error}); delete it and run `dvc repro`."
            ) from error


def _template() -> Any:
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"code": _code, "cell": table_cell, "settings": _settings}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _code(text: str) -> str:
    shown = " ".join(printable(text).split())
    return f"`{shown.replace('`', chr(39)).replace('|', '/')}`"


def _settings(values: Mapping[str, Any]) -> str:
    """`name value, name value`, names in order."""
    cells = [f"{name} {json.dumps(values[name])}" for name in sorted(values)]
    return _code(", ".join(cells))


def _parts(made: System) -> dict[str, int]:
    """Parameters of each part of the model, by its name in the code."""
    counts: Counter[str] = Counter()
    for name, parameter in made.named_parameters():
        counts[name.split(".")[0]] += parameter.numel()
    return counts


def _sources(modality: str, about: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What computes a modality's features, and before that what finds the faces."""
    detector = about.get("frames", {}).get("encoder")
    if detector is not None:
        yield {**detector, "what": "faces, to cut them out", "features": ""}
    features = {"what": modality, "features": about.get("dimension")}
    if "encoder" in about:
        yield {**about["encoder"], **features}
    elif about["extractor"] == "opensmile":
        settings, release = about["settings"], f"openSMILE {about['versions']['opensmile']}"
        name = f"{settings['feature_set']} {settings['level']}"
        licence = "openSMILE's own"
        yield {"name": name, "revision": release, "sha256": "", "licence": licence, **features}
    elif about["extractor"] == "imported":
        yield {
            "name": about.get("known_as", about["file"]),
            "revision": f"imported, layout {about['layout']}",
            "sha256": about.get("sha256", ""),
            "licence": "not known",
            **features,
        }


def _extraction(features: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of everything between clip and model, by section of params.yaml."""
    sections = {modality: about["settings"] for modality, about in features.items()}
    pictures = features.get("visual", {}).get("frames", {})
    before = {"frames": pictures.get("settings"), "faces": pictures.get("faces")}
    return sections | {name: values for name, values in before.items() if values is not None}


def _split(name: str, fold: Sequence[Entry], classes: Sequence[str]) -> dict[str, Any]:
    entries = [entry for entry in fold if entry.split == name]
    counts = Counter(entry.label for entry in entries if entry.label is not None)
    labelled = [sum(counts.values()), *(counts[number] for number in range(len(classes)))]
    return {
        "split": name,
        "dialogues": len({entry.dialogue for entry in entries}),
        "speakers": len({entry.speaker for entry in entries}),
        "utterances": len(entries),
        "labelled": ["not read", *[""] * len(classes)] if name == "test" else labelled,
    }


def _speakers(fold: Sequence[Entry]) -> dict[str, int]:
    """Speakers of test, and those of them that training knows."""
    test, train = (
        {entry.speaker for entry in fold if entry.split == split} for split in ("test", "train")
    )
    return {"test": len(test), "known": len(test & train)}
