"""The words of a model card, as a jinja2 template of Markdown."""

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
