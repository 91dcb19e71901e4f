"""`python -m pipeline predict`: a trained model on a new conversation."""

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
from pipeline.corpora.registry import CorpusSettings
from pipeline.prediction.checkpoints import Checkpoints, find_checkpoints, with_width
from pipeline.prediction.conversation import read_conversation
from pipeline.prediction.extracting import check_encoders, extracted, places_of, provenance
from pipeline.prediction.media import looked_at
from pipeline.prediction.predicted import Predicted, write_predicted, write_problems
from pipeline.prediction.timeline import draw_timelines
from pipeline.records.features import Features
from pipeline.records.ledger import Problem, summary
from pipeline.records.manifest import Origin, Utterance, write_manifest
from pipeline.records.protocol import Entry
from pipeline.training.data import Dialogue, dialogues

SHOWN, LETTERS = 40, 16  # utterances on the terminal, and letters of a name
TIMELINES = "timelines"


def predict(model: Path, folder: Path, out: Path) -> None:
    """Predicts the emotion of every utterance of a conversation.

    Args:
        model: A checkpoint, or a folder of them, whose probabilities are averaged.
        folder: Holds `utterances.csv` and the clips that it names.
        out: Takes predictions.csv, predictions.parquet, ledger.csv and a timeline per dialogue.

    Raises:
        PipelineError: Something of these is not as it should be, or this working folder lacks the
            settings or the encoders that the model was trained with.
    """
    try:
        utterances = read_conversation(folder)
        checkpoints = find_checkpoints(model)
        if out.exists() and not out.is_dir():
            raise PipelineError(f"{out} is a file, expected the name of a folder for the results.")
        with scratch_folder("erc-predict") as stores:
            predicted, problems = _predicted(checkpoints, utterances, folder, stores)
        _write(out, checkpoints, predicted, problems)
    except OSError as error:
        raise PipelineError(f"{error.strerror or error}: {error.filename or out}") from error
    _tell(checkpoints, predicted, out)


def _predicted(
    checkpoints: Checkpoints, utterances: Sequence[Utterance], folder: Path, stores: Path
) -> tuple[Predicted, list[Problem]]:
    corpus, modalities = checkpoints.corpus, tuple(checkpoints.dimensions)
    params = _params(corpus)
    where = places_of(corpus, folder, stores)
    check_encoders(params, corpus, where, modalities)
    checkpoints.check(provenance(params, corpus, where, modalities))
    seconds = params.of(CorpusSettings, corpus).root.max_seconds
    rows, problems = looked_at(utterances, folder, seconds, modalities)
    say("".join(f"{line}\n" for line in summary(problems)), end="")
    write_manifest(where.manifest, rows, Origin("predict", full=False))
    features, more = extracted(params, corpus, where, modalities)
    _refuse_nothing(features)
    wide = {m: with_width(store, checkpoints.dimensions[m]) for m, store in features.items()}
    chances = checkpoints.probabilities(_dialogues(rows, wide), wide)
    mean = chances.astype(np.float64).mean(axis=0).astype(np.float32)
    present = {m: store.present for m, store in wide.items()}
    return Predicted(checkpoints.classes, rows, present, mean), [*problems, *more]


def _params(corpus: str) -> Params:
    params = read_params()
    if corpus not in params.blocks:
        raise PipelineError(
            f"The model was trained on {corpus!r}, of which params.yaml has no block; take the "
            "params.yaml that it was trained with."
        )
    return params


def _refuse_nothing(stores: dict[str, Features]) -> None:
    if not any(store.present.any() for store in stores.values()):
        raise PipelineError(
            f"The model reads {', '.join(stores)}, and no utterance has any of it: nothing can be "
            "predicted. What is wrong with the clips and texts stands above."
        )


def _dialogues(utterances: Sequence[Utterance], stores: dict[str, Features]) -> list[Dialogue]:
    entries = [Entry(0, "test", u.dialogue, u.utterance, u.speaker, None) for u in utterances]
    return dialogues(entries, stores, 0, "test")


def _write(
    out: Path, checkpoints: Checkpoints, predicted: Predicted, problems: Sequence[Problem]
) -> None:
    about = {
        "corpus": checkpoints.corpus,
        "classes": list(checkpoints.classes),
        "checkpoints": {file.name: sha256_file(file) for file in checkpoints.files},
    }
    write_predicted(out, predicted, about)
    write_problems(out, problems)
    parts = predicted.dialogues()
    for _ in track(draw_timelines(out / TIMELINES, parts), "timelines", len(parts)):
        pass


def _tell(checkpoints: Checkpoints, predicted: Predicted, out: Path) -> None:
    console = terminal()
    names = [file.stem for file in checkpoints.files]
    models = (
        f"checkpoint {names[0]}"
        if len(names) == 1
        else f"mean of the probabilities of {len(names)} checkpoints ({', '.join(names)})"
    )
    console.print(_table(predicted))
    more = len(predicted.utterances) - SHOWN
    lines = [
        f"... and {more} more" if more > 0 else "",
        f"model: {checkpoints.corpus}, {models}",
        f"predicted: {', '.join(f'{n} {name}' for name, n in _counts(predicted))}",
        *_masked(predicted),
        f"written: {out}/predictions.csv, predictions.parquet, ledger.csv, {TIMELINES}/",
    ]
    console.print(Text("\n".join(line for line in lines if line)), soft_wrap=True)


def _counts(predicted: Predicted) -> list[tuple[str, int]]:
    return Counter(predicted.labels).most_common()


def _masked(predicted: Predicted) -> list[str]:
    """A line for each modality that some utterance lacks."""
    counts = {modality: int((~there).sum()) for modality, there in predicted.present.items()}
    total = len(predicted.utterances)
    return [f"masked: {m}, in {n} of {total} utterances" for m, n in counts.items() if n]


def _table(predicted: Predicted) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("dialogue", "turn", "speaker", "text", "predicted", "%", "lacks"):
        table.add_column(name, no_wrap=name != "text")
    shares = predicted.probabilities.max(axis=1)
    for place, u in enumerate(predicted.utterances[:SHOWN]):
        before = [short_name(u.dialogue, LETTERS), str(u.turn), short_name(u.speaker, LETTERS)]
        after = [predicted.labels[place], f"{100 * shares[place]:.0f}"]
        text = Text(" ".join(u.text.split()), no_wrap=True, overflow="ellipsis")
        lacks = ", ".join(predicted.missing(place))
        table.add_row(*map(Text, before), text, *map(Text, [*after, lacks]))
    return table
