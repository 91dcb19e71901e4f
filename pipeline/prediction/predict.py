"""`python -m pipeline predict`: a trained system on a new conversation."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from pipeline.base.display import say, short_name, terminal
from pipeline.base.errors import PipelineError
from pipeline.base.files import scratch_folder, sha256_file
from pipeline.base.params import Params, read_params
from pipeline.base.progress import track
from pipeline.corpora.reader import MediaOptions
from pipeline.corpora.registry import CorpusSettings
from pipeline.prediction.checkpoints import Checkpoints, find_checkpoints
from pipeline.prediction.conversation import read_conversation
from pipeline.prediction.features import (
    check_encoders,
    extracted,
    inspect,
    places_of,
    provenance,
)
from pipeline.prediction.predicted import Predicted, write_predicted
from pipeline.prediction.timeline import draw_timelines
from pipeline.records.ledger import Problem, summary
from pipeline.records.manifest import Origin, Utterance, write_manifest
from pipeline.records.protocol import Entry
from pipeline.systems.registry import title
from pipeline.training.data import dialogues

SHOWN, LETTERS = 40, 16  # utterances on the terminal, and letters of a name
TIMELINES = "timelines"
GENERATED = (  # as the card has it
    "This model has learned from generated data: drawn faces, synthetic voices, template "
    "sentences. It shows that the pipeline works. What it says of a real person means nothing."
)


def predict(model: Path, folder: Path, out: Path, system: str | None = None) -> None:
    """Predict the emotion of every utterance of a conversation.

    Args:
        model: A checkpoint, the folder of a system, whose probabilities are averaged, or that of a
            corpus with a folder for each system.
        folder: Holds `utterances.csv` and the clips that it names.
        out: Takes predictions.csv, predictions.parquet, ledger.csv and a timeline per dialogue.
        system: Which in the folder of a corpus; None: the reference of params.yaml.

    Raises:
        PipelineError: Something of these is not as it should be, or this working folder lacks the
            settings or the encoders that the system was trained with.
    """
    try:
        utterances = read_conversation(folder)
        params = read_params()
        checkpoints = find_checkpoints(model, system, params.reference)
        if out.exists() and not out.is_dir():
            raise PipelineError(f"{out} is a file, expected the name of a folder for the results.")
        with scratch_folder("erc-predict") as stores:
            predicted, problems = _predicted(params, checkpoints, utterances, folder, stores)
        _write(out, checkpoints, predicted, problems)
    except OSError as error:
        raise PipelineError(f"{error.strerror or error}: {error.filename or out}") from error
    _show(checkpoints, predicted, out)


def _predicted(
    params: Params,
    checkpoints: Checkpoints,
    utterances: Sequence[Utterance],
    folder: Path,
    stores: Path,
) -> tuple[Predicted, list[Problem]]:
    corpus, modalities = checkpoints.corpus, tuple(checkpoints.dimensions)
    if corpus not in params.blocks:
        raise PipelineError(
            f"The model was trained on {corpus!r}, of which params.yaml has no block; take the "
            "params.yaml that it was trained with."
        )
    where = places_of(corpus, folder, stores)
    check_encoders(params, corpus, where, modalities)
    checkpoints.check(provenance(params, corpus, where, modalities))
    options = params.of(CorpusSettings, corpus).root
    if not isinstance(options, MediaOptions):
        raise PipelineError(
            f"The features of {corpus} were not made here (reader {options.reader!r}), expected a "
            "corpus of clips or texts: nothing is known that makes the same of a new conversation."
        )
    rows, problems = inspect(utterances, folder, options.max_seconds, modalities)
    say("".join(f"{line}\n" for line in summary(problems)), end="")
    write_manifest(where.manifest, rows, Origin("predict", full=False))
    features, more = extracted(params, corpus, where, checkpoints.dimensions)
    if not any(store.present.any() for store in features.values()):
        raise PipelineError(
            f"The model reads {', '.join(features)}, and no utterance has any of it: nothing can "
            "be predicted. What is wrong with the clips and texts stands above."
        )
    entries = [Entry(0, "test", u.dialogue, u.utterance, u.speaker, None) for u in rows]
    joined = dialogues(entries, features, {u.utterance: u.text for u in rows}, 0, "test")
    made = {modality: store.provenance for modality, store in features.items()}
    models = track(checkpoints.load(made), "models", len(checkpoints.files))
    each = np.stack([model.probabilities(joined, batch_size=1) for model in models])
    mean = each.mean(axis=0, dtype=np.float64).astype(np.float32)
    present = {modality: store.present for modality, store in features.items()}
    return Predicted(checkpoints.classes, rows, present, mean), [*problems, *more]


def _write(
    out: Path, checkpoints: Checkpoints, predicted: Predicted, problems: Sequence[Problem]
) -> None:
    made_by = {
        "corpus": checkpoints.corpus,
        "system": checkpoints.system,
        "classes": list(checkpoints.classes),
        "checkpoints": {file.name: sha256_file(file) for file in checkpoints.files},
    }
    write_predicted(out, predicted, made_by, problems)
    parts = list(predicted.dialogues())
    for _ in track(draw_timelines(out / TIMELINES, parts), "timelines", len(parts)):
        pass


def _show(checkpoints: Checkpoints, predicted: Predicted, out: Path) -> None:
    names, total = [file.stem for file in checkpoints.files], len(predicted.utterances)
    models = (
        f"checkpoint {names[0]}"
        if len(names) == 1
        else f"mean of the probabilities of {len(names)} checkpoints ({', '.join(names)})"
    )
    masked = {modality: int((~there).sum()) for modality, there in predicted.present.items()}
    counts = Counter(predicted.labels).most_common()
    lines = [
        *([f"... and {total - SHOWN} more"] if total > SHOWN else ()),
        f"model: {title(checkpoints.system)}, {checkpoints.corpus}, {models}",
        f"predicted: {', '.join(f'{number} {name}' for name, number in counts)}",
        *(f"masked: {m}, in {n} of {total} utterances" for m, n in masked.items() if n),
        f"written: {out}/predictions.csv, predictions.parquet, ledger.csv, {TIMELINES}/",
        *([f"WARNING: {GENERATED}"] if checkpoints.generated else ()),
    ]
    console = terminal()
    console.print(_table(predicted))
    console.print("\n".join(lines), soft_wrap=True)


def _table(predicted: Predicted) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("dialogue", "turn", "speaker", "text", "predicted", "%", "lacks"):
        table.add_column(name, no_wrap=name != "text")  # so the text alone is cut
    shares = predicted.probabilities.max(axis=1)
    for place, u in enumerate(predicted.utterances[:SHOWN]):
        table.add_row(
            *(short_name(u.dialogue, LETTERS), str(u.turn), short_name(u.speaker, LETTERS)),
            Text(" ".join(u.text.split()), no_wrap=True, overflow="ellipsis"),
            *(predicted.labels[place], f"{100 * shares[place]:.0f}"),
            ", ".join(predicted.missing(place)),
        )
    return table
