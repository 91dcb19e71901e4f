"""The model card beside a checkpoint: what the model is, what it comes from, what it is not for."""

import html
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, StrictUndefined
from torch import nn

from pipeline.base import paths
from pipeline.base.files import write_text
from pipeline.records.protocol import SPLITS, Entry
from pipeline.systems.mcn_cl import MCNCL

TEMPLATE = """\
# Model card: MCN-CL, {{ corpus | code }}, fold {{ fold }}, seed {{ seed }}

Written by the stage `train` beside its checkpoint, {{ file | code }}.
{%- if generated %}

**This model has learned from generated data**: drawn faces, synthetic voices, template sentences.
It shows that the pipeline works. What it says of a real person means nothing.
{%- endif %}

## What it is

A multimodal cross-attention network with contrastive learning (MCN-CL): it classifies the
utterances of a conversation from {{ features | join(", ") }}, with {{ classes | length }} classes:
{{ classes | map("code") | join(", ") }}. It gives each utterance a probability of each class.
{%- if model.context == "none" %}
It looks at the utterance alone.
{%- else %}
It looks at the whole dialogue, also at turns after the utterance: it cannot run as people speak.
{%- endif %}

| part | parameters |
|---|---:|
{% for part, count in parts -%}
| {{ part }} | {{ "{:,}".format(count) }} |
{% endfor -%}
| **all** | **{{ "{:,}".format(total) }}** |

Its settings: {{ model | settings }}.

## What it reads

| what | computed by | release | SHA-256 of the files | licence | features |
|---|---|---|---|---|---:|
{% for source in sources -%}
| {{ source.what }} | {{ source.by | code }} | {{ source.release | code }} | \
{{ source.sha256 | code if source.sha256 else "" }} | {{ source.licence | cell }} | \
{{ source.features or "" }} |
{% endfor %}
`predict` refuses other encoders, and other settings where they change what a feature means:
{% for name, values in extraction.items() %}
- {{ name }}: {{ values | settings }}
{%- endfor %}

## What it was trained on

The corpus {{ corpus | code }}, fold {{ fold }} of {{ folds }} (counted from 0), by the protocol in
{{ protocol | code }}.

| split | dialogues | speakers | utterances | labelled | \
{{ classes | map("cell") | join(" | ") }} |
|---|---:|---:|---:|---:|{{ "---:|" * (classes | length) }}
{% for row in splits -%}
| {{ row.split }} | {{ row.dialogues }} | {{ row.speakers }} | {{ row.utterances }} | \
{{ row.labelled | join(" | ") }} |
{% endfor %}
Training reads no label of the test split, so none is counted here. Of the {{ speakers.test }}
speakers of test, {{ speakers.known }} also speak in train.

- loss: {{ loss | settings }}
- train: {{ train | settings }}

The header of the checkpoint (safetensors metadata, key `erc`) holds all this as JSON, and the
versions of the libraries that made the features.

## How good it is

Epoch {{ epoch }} of {{ epochs }} was chosen on validation, where its weighted F1 is
{{ "%.2f" | format(valid_weighted_f1) }} %. That figure is optimistic: it chose the epoch. Those on
test, of all seeds{{ " and folds" if folds > 1 else "" }} together and with intervals, are the
stage `evaluate`'s: {{ metrics | code }}.

## How to use it

```sh
python -m pipeline predict --model {{ path }} --input DIR
```

DIR holds the clips and `utterances.csv`: see docs/using-a-model.md. The folder of the checkpoint as
`--model` gives the mean of all seeds{{ " and folds" if folds > 1 else "" }}.

## What it must not be used for

- Decisions about people: hiring, grading, insurance, credit, policing, borders, health care, or
  watching anyone at work or at school.
- Telling what someone feels. Labels say what raters saw and heard, or what an actor was to show.
- People who do not know of it, or did not agree.

## Limits

- The public corpora of this field are acted or cut from a television series, in English, with few
  speakers. Other people, languages, microphones and cameras were not tested.
- Raters disagree often, and rare classes have few utterances (above): a class without many labelled
  utterances has no figure worth a decimal.
- A probability is not a frequency until measured: `ece` in the metrics says how far off they are.
- An utterance that lacks a modality is predicted from what is left, less well: {{ slices | code }}
  says how well by what is there.

## Licences

{% if opensmile -%}
- **openSMILE**, which computes the acoustic features, allows private, research and educational use,
  but no commercial use.
{% endif -%}
- The encoders' licences stand in the table above, as their publishers state them.
- The corpus has a licence or an agreement of its own; it may bind what is learned from it.
"""


GENERATED = "demo_"  # how the corpora that the stage `demo` generates are called


@dataclass(frozen=True)
class Source:
    """What computes a part of the model's input.

    Attributes:
        what: A modality, or the detector of faces.
        by: The name of an encoder or of an openSMILE feature set.
        release: Of the encoder or of openSMILE.
        sha256: Of the encoder's files, None where there are none.
        licence: As its publisher states it.
        features: The model reads of an utterance or frame, None where it reads none.
    """

    what: str
    by: str
    release: str
    sha256: str | None
    licence: str
    features: int | None = None


def write_card(checkpoint: Path, facts: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """Writes the card of a checkpoint beside it, under the same name with `.md`.

    Args:
        checkpoint: Where it lies.
        facts: Those it was saved with.
        entries: Of all folds of the protocol, without test labels.
    """
    write_text(checkpoint.with_suffix(".md"), card(checkpoint, facts, entries))


def card(checkpoint: Path, facts: Mapping[str, Any], entries: Sequence[Entry]) -> str:
    """A checkpoint's card in Markdown; the same facts give the same text. See `write_card`."""
    corpus, model = facts["corpus"], facts["model"]
    fold = [entry for entry in entries if entry.fold == facts["fold"]]
    parts = list(_parts(model))
    text: str = _template().render(
        {**facts},
        file=checkpoint.name,
        path=checkpoint.as_posix(),
        generated=corpus.startswith(GENERATED),
        parts=parts,
        total=sum(count for _, count in parts),
        sources=[s for m, about in facts["features"].items() for s in _sources(m, about)],
        opensmile=any(a["extractor"] == "opensmile" for a in facts["features"].values()),
        folds=len({entry.fold for entry in entries}),
        splits=[_split(name, fold, facts["classes"]) for name in SPLITS],
        speakers=_speakers(fold),
        extraction=_extraction(facts["features"]),
        protocol=paths.protocol(corpus).as_posix(),
        metrics=paths.metrics(corpus, "metrics.json").as_posix(),
        slices=paths.metrics(corpus, "slices.csv").as_posix(),
    )
    return text


def _template() -> Any:
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"code": _code, "cell": _cell, "settings": _settings}
    return environment.from_string(TEMPLATE)


def _cell(text: str) -> str:
    """Text that can break neither a table nor the page."""
    return " ".join(html.escape(text, quote=False).replace("|", "\\|").split())


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace('|', '/')}`"


def _settings(values: Mapping[str, Any]) -> str:
    """`name value, name value`, names in order."""
    cells = [f"{name} {json.dumps(values[name])}" for name in sorted(values)]
    return _code(", ".join(cells))


def _parts(arguments: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The model's parts in words, and how many parameters each has."""
    with torch.device("meta"):  # neither memory nor random numbers
        model = MCNCL(**arguments)
    for modality, encoder in model.encoders.items():
        pyramid = " with PSA over its frames" if modality == "visual" and arguments["psa"] else ""
        yield f"encoder of {modality}{pyramid}", _count(encoder)
    yield "vectors in place of missing modalities", model.missing.numel()
    if model.context is not None:
        yield f"context: {arguments['context']}", _count(model.context)
    if model.mcn is not None:
        layers, heads = arguments["layers"], arguments["heads"]
        yield f"cross-attention: layers {layers}, heads {heads}", _count(model.mcn)
    if model.heads:
        yield "contrastive heads, used in training alone", _count(model.heads)
    yield "classifier", _count(model.classifier)


def _count(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def _sources(modality: str, about: Mapping[str, Any]) -> Iterator[Source]:
    """What computes a modality's features, and before that what finds the faces."""
    detector = about.get("frames", {}).get("encoder")
    if detector is not None:
        yield _of_encoder("faces, to cut them out", detector, None)
    if "encoder" in about:
        yield _of_encoder(modality, about["encoder"], about["dimension"])
    elif about["extractor"] == "opensmile":
        settings, release = about["settings"], f"openSMILE {about['versions']['opensmile']}"
        name = f"{settings['feature_set']} {settings['level']}"
        yield Source(modality, name, release, None, "openSMILE's own", about["dimension"])


def _extraction(features: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of everything between clip and model, by section of params.yaml."""
    found = {modality: about["settings"] for modality, about in features.items()}
    pictures = features.get("visual", {}).get("frames", {})
    named = {"frames": pictures.get("settings"), "faces": pictures.get("faces")}
    return found | {name: values for name, values in named.items() if values is not None}


def _of_encoder(what: str, encoder: Mapping[str, str], features: int | None) -> Source:
    return Source(
        what, encoder["name"], encoder["revision"], encoder["sha256"], encoder["licence"], features
    )


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
